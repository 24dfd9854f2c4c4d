"""Collaboration and the scheduler in memory, with news between them that may take its time."""

from datetime import timedelta
from typing import Any

from services.collaboration.delivery import Deliveries, Delivery, UnreadUpTo
from services.collaboration.handoff import Handoff
from services.collaboration.service import collaboration
from services.scheduler.service import scheduler
from shared.contracts.collaboration import MessageDelivered
from shared.contracts.messages import Authority, Command, Event, Result
from shared.contracts.task import Claimed, ClaimTask
from shared.kernel.decider import CancelTimer, Context, Fact, Refused, Timer, Unavailable, Waiting
from shared.testing.scenario import History
from tests.scheduler.workshop import Workshop


class Firm:
    """Agents at work; `hear` lets the oldest piece of news arrive on either side."""

    def __init__(self) -> None:
        self.shop = Workshop()
        self.events: list[Event] = []
        self.timers: dict[str, Timer] = {}
        self.to_talk: list[Command] = []
        self.to_shop: list[Command] = []
        self._heard = 0
        self._sent = 0
        finders: dict[Any, Any] = {Deliveries: lambda lookup: lookup.delivery_ids, UnreadUpTo: self._unread}
        self.past = History(collaboration.aggregates, (), finders)

    def talk(
        self, command: Command, actor: str = "collaboration", authority: Authority = Authority.WORKER
    ) -> bool:
        """Let collaboration decide a command; False when it is refused or has to wait."""
        self._sent += 1
        now = self.shop.now
        context = Context(f"command-{self._sent}", actor, authority, now, now - timedelta(days=1))
        try:
            facts = collaboration.obeys[type(command)](command, self.past, context)
        except (Refused, Waiting):
            return False
        for fact in facts:
            self._happen(fact)
        return True

    def _happen(self, fact: Fact) -> None:
        match fact:
            case Event():
                self.past.add(fact)
                self.events.append(fact)
                if reaction := scheduler.hears.get(type(fact)):
                    self.to_shop += reaction(fact)
            case Timer():
                self.timers[fact.key] = fact
            case CancelTimer():
                self.timers.pop(fact.key, None)
            case Result():
                pass

    def work(self, command: Command, actor: str = "scheduler") -> list[Fact] | None:
        """Let the scheduler decide a command; None when it is refused."""
        try:
            facts = self.shop.do(command, actor)
        except Refused:
            facts = None
        self._listen()
        return facts

    def claim(self, agent: str) -> tuple[str, int] | None:
        """Let an agent take a task; answers which, under which epoch."""
        facts = self.work(ClaimTask(agent_id=agent), agent) or []
        won = [task for fact in facts if isinstance(fact, Claimed) for task in fact.tasks]
        return (won[0].task_id, won[0].claim_epoch) if won else None

    def _listen(self) -> None:
        for event in self.shop.events[self._heard :]:
            if reaction := collaboration.hears.get(type(event)):
                self.to_talk += reaction(event)
        self._heard = len(self.shop.events)

    def hear(self) -> None:
        """One piece of news arrives on each side; what came too early is put behind the others."""
        if self.to_shop:
            self.work(self.to_shop.pop(0))
        if self.to_talk:
            command = self.to_talk.pop(0)
            try:
                self.talk(command, authority=Authority.SYSTEM)
            except Unavailable:
                self.to_talk.append(command)

    def wait(self, seconds: float) -> None:
        """Let time pass; timers fire when they are due."""
        until = self.shop.now + timedelta(seconds=seconds)
        while due := sorted((t for t in self.timers.values() if t.due_at <= until), key=lambda t: t.due_at):
            self._pass(max(0.0, (due[0].due_at - self.shop.now).total_seconds()))
            if self.timers.pop(due[0].key, None):
                self.talk(due[0].command, authority=Authority.SYSTEM)
        self._pass((until - self.shop.now).total_seconds())

    def _pass(self, seconds: float) -> None:
        self.shop.wait(seconds)
        self._listen()

    def handoff(self, handoff_id: str) -> Handoff:
        """A handoff as it stands."""
        return self.past.of(Handoff, handoff_id)

    def inbox(self, agent: str) -> list[str]:
        """Ids of all messages an agent was sent."""
        mine = (event for event in self.events if isinstance(event, MessageDelivered))
        return [event.message_id for event in mine if event.recipient == agent]

    def unread(self, agent: str) -> list[str]:
        """Ids of those it has not read."""
        ids = self.inbox(agent)
        return [each for each in ids if self.past.of(Delivery, f"{each}.{agent}").read_at is None]

    def _unread(self, lookup: UnreadUpTo) -> tuple[str, ...]:
        ids = self.inbox(lookup.recipient)
        up_to = ids[: ids.index(lookup.delivery_id.partition(".")[0]) + 1]
        unread = [each for each in up_to if each in self.unread(lookup.recipient)]
        return tuple(f"{each}.{lookup.recipient}" for each in unread)[: lookup.limit]
