"""A guardian without a database: its rules over a log in memory, with timers that may come late."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.guardian.replaying import Met, Replay
from services.guardian.service import guardian
from shared.contracts.guardian import (
    FollowAgent,
    FollowTask,
    FollowTicket,
    GuardianPolicyMissed,
    GuardianPolicyTriggered,
    LoadPolicy,
)
from shared.contracts.messages import Authority, Command, Event, Result
from shared.contracts.policy import Policy
from shared.kernel.decider import CancelTimer, Context, Timer, Unavailable
from shared.testing.scenario import NOON, History


def policy(*triggers: Mapping[str, Any], **fields: Any) -> Policy:
    """A policy with these triggers."""
    named = [{"id": f"t{number}", "actions": ["notify"], **each} for number, each in enumerate(triggers)]
    return Policy.model_validate({"name": "p", "triggers": named, **fields})


@dataclass
class Guardian:
    """One guardian, whose clock the test moves."""

    now: datetime = NOON
    log: list[Event] = field(default_factory=list)
    timers: dict[str, Timer] = field(default_factory=dict)
    past: History = field(default_factory=lambda: History(guardian.aggregates, (), {}))
    commands: int = 0

    def do(self, command: Command, cause: str | None = None) -> None:
        """Decide a command, and let what follows have happened."""
        self.commands += 1
        context = Context(
            f"command-{self.commands}",
            "guardian",
            Authority.SYSTEM,
            self.now,
            self.now,
            durable=True,
            causation=cause or f"event-{self.commands}",
        )
        for fact in guardian.obeys[type(command)](command, self.past, context):
            match fact:
                case Event():
                    self.log.append(fact)
                    self.past.add(fact)
                case Timer(key=key):
                    self.timers[key] = fact
                case CancelTimer(key=key):
                    self.timers.pop(key, None)
                case Result():
                    pass

    def load(self, document: Policy) -> None:
        """Watch a policy from now on."""
        self.do(LoadPolicy(document=document.model_dump(mode="json", exclude_defaults=True)))

    def wait(self, seconds: float) -> None:
        """Let time pass; timers fire when they are due."""
        end = self.now + timedelta(seconds=seconds)
        while due := sorted((t for t in self.timers.values() if t.due_at <= end), key=lambda t: t.due_at):
            self.now = max(self.now, due[0].due_at)
            self.fire(due[0])
        self.now = end

    def sleep(self, seconds: float) -> None:
        """Let time pass while nobody watches: as if the guardian was killed meanwhile."""
        self.now += timedelta(seconds=seconds)

    def fire(self, timer: Timer) -> None:
        """Fire one timer now."""
        del self.timers[timer.key]
        self.do(timer.command)

    def task(
        self,
        task_id: str,
        fact: str,
        changes: Mapping[str, Any] | None = None,
        *,
        late: float = 0,
        spent: int = 0,
    ) -> None:
        """Hear something of a task that happened `late` seconds ago."""
        at = self.now - timedelta(seconds=late)
        body = {"fact": f"task.{fact}", "task_id": task_id, "ticket_id": f"ticket-{task_id}", "at": at}
        self._hear(FollowTask.model_validate({**body, "tries_spent": spent, "changes": changes or {}}))

    def agent(
        self, agent_id: str, fact: str, changes: Mapping[str, Any] | None = None, *, more: int = 0
    ) -> None:
        """Hear something of an agent."""
        body = {"fact": f"agent.{fact}", "agent_id": agent_id, "at": self.now}
        self._hear(FollowAgent.model_validate({**body, "more": more, "changes": changes or {}}))

    def ticket(self, ticket_id: str, fact: str, *, late: float = 0, **fields: Any) -> None:
        """Hear something of a ticket."""
        at = self.now - timedelta(seconds=late)
        self._hear(FollowTicket.model_validate({"fact": fact, "ticket_id": ticket_id, "at": at, **fields}))

    def _hear(self, command: Command) -> None:
        try:
            self.do(command)
        except Unavailable:
            self.commands -= 1

    @property
    def met(self) -> list[Met]:
        """What was recorded of policies."""
        return [
            event for event in self.log if isinstance(event, GuardianPolicyTriggered | GuardianPolicyMissed)
        ]

    @property
    def triggered(self) -> list[GuardianPolicyTriggered]:
        """When policies were triggered."""
        return [event for event in self.met if isinstance(event, GuardianPolicyTriggered)]


def replayed(document: Policy, log: Sequence[Event], first: int, until: datetime | None = None) -> list[Met]:
    """What a back-test of a log says, from an index on; what can be forgotten is, at every step."""
    replay, met = Replay(document), []
    for number, event in enumerate(log):
        met += replay.take(event, judging=number >= first)
        replay.forget()
    return [*met, *(replay.until(until) if until else ())]


def told(met: Sequence[Met]) -> list[Any]:
    """What must be the same live and in a back-test; the number of the load is not."""
    return [(type(each).__name__, each.model_dump(exclude={"load"})) for each in met]
