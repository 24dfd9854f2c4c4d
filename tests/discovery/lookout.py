"""Discovery and the scheduler in memory, with news between them that may take its time and overtake."""

from datetime import timedelta
from typing import Any

from services.discovery.discovery import Discovery
from services.discovery.service import discovery
from services.scheduler.service import scheduler
from shared.contracts.discovery import (
    DiscoveryBranchRequested,
    DiscoveryRecorded,
    FollowTicket,
    FollowWorkflow,
)
from shared.contracts.messages import Authority, Command, Event, Result
from shared.contracts.task import Claimed, ClaimedTask, ClaimTask
from shared.kernel.decider import Context, Refused, Unavailable, Waiting
from shared.testing.scenario import History
from tests.scheduler.workshop import WORKFLOW, Workshop

UNKNOWN_TO_THE_SCHEDULER = "LOFT"
"""A phase that discovery takes for one of the workflow's: a branch into it is refused late."""


class Lookout:
    """Agents at work; `hear` lets one piece of news arrive, not always the oldest."""

    def __init__(self, max_open: int, max_depth: int) -> None:
        self.shop = Workshop()
        self.past = History(discovery.aggregates, (), {})
        self.events: list[Event] = []
        self.to_discovery: list[Command] = []
        self.to_shop: list[Command] = []
        self._heard = self._sent = 0
        phases = (*(phase.id for phase in WORKFLOW.phases), UNKNOWN_TO_THE_SCHEDULER)
        limits = {"max_open_branches": max_open, "max_depth": max_depth}
        self.decide(FollowWorkflow(version=WORKFLOW.version, phases=phases, types=(), **limits))
        self.decide(FollowTicket(ticket_id="T-1", workflow_version=WORKFLOW.version))
        self.listen()

    def decide(self, command: Command, *, key: str | None = None, waited: float = 0) -> Any:
        """The result of a command; what it refuses, or how it waits, is raised."""
        self._sent += 1
        now = self.shop.now
        received = now - timedelta(seconds=waited)
        context = Context(key or f"command-{self._sent}", "ann", Authority.SYSTEM, now, received)
        try:
            facts = discovery.obeys[type(command)](command, self.past, context)
        except (Refused, Waiting) as nothing:
            self._happen(nothing.facts)
            raise
        self._happen(facts)
        return next((fact for fact in facts if isinstance(fact, Result)), None)

    def _happen(self, facts: Any) -> None:
        for event in facts:
            if isinstance(event, Event):
                self.past.add(event)
                self.events.append(event)
                if reaction := scheduler.hears.get(type(event)):
                    self.to_shop += reaction(event)

    def work(self, command: Command) -> bool:
        """Let the scheduler decide a command; False when it is refused."""
        try:
            self.shop.do(command)
        except Refused:
            return False
        finally:
            self.listen()
        return True

    def listen(self) -> None:
        """What the scheduler has announced is on its way to discovery."""
        for event in self.shop.events[self._heard :]:
            if reaction := discovery.hears.get(type(event)):
                self.to_discovery += reaction(event)
        self._heard = len(self.shop.events)

    def claim(self) -> tuple[ClaimedTask, ...]:
        """Let bob take a task, if one is ready."""
        [claimed] = [fact for fact in self.shop.do(ClaimTask(agent_id="bob")) if isinstance(fact, Claimed)]
        self.listen()
        return claimed.tasks

    def hear(self, which: int, *, twice: bool = False) -> None:
        """A piece of news arrives on each side, perhaps twice; what came too early goes to the end."""
        if self.to_shop:
            command = self.to_shop.pop(which % len(self.to_shop))
            for _ in range(1 + twice):
                self.work(command)
        if self.to_discovery:
            command = self.to_discovery.pop(which % len(self.to_discovery))
            try:
                for _ in range(1 + twice):
                    self.decide(command)
            except Unavailable:
                self.to_discovery.append(command)

    def hear_all(self) -> None:
        """Nothing is on its way any more."""
        for _ in range(10_000):
            if not (self.to_shop or self.to_discovery):
                return
            self.hear(0)
        raise AssertionError(f"news that never arrives: {self.to_shop} {self.to_discovery}")

    def of(self, discovery_id: str) -> Discovery:
        """A discovery as it stands."""
        return self.past.of(Discovery, discovery_id)

    @property
    def discoveries(self) -> dict[str, Discovery]:
        """All of them, hidden ones too."""
        told = (DiscoveryBranchRequested, DiscoveryRecorded)
        ids = {event.discovery_id for event in self.events if isinstance(event, told)}
        return {discovery_id: self.of(discovery_id) for discovery_id in ids}
