"""What is seen of one subject at one time, under the names that expressions use."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.guardian.seen import Fleet
from services.guardian.vocabulary import CONSTANTS
from shared.contracts.guardian import AgentSeen, DiscoverySeen, TaskSeen, TicketSeen, WipSeen
from shared.contracts.messages import Priority
from shared.contracts.policy import Fact, Subject

SERVING = ("IDLE", "RUNNING")


@dataclass(frozen=True)
class Sight:
    """One subject, and the fleet around it."""

    subject: Subject
    subject_id: str
    fleet: Fleet
    task: TaskSeen | None = None
    agent: AgentSeen | None = None
    ticket: TicketSeen | None = None
    wip: WipSeen | None = None
    discovery: DiscoverySeen | None = None

    @property
    def watch_id(self) -> str:
        """The watch of the subject."""
        return f"{self.subject}-{self.subject_id}"

    @property
    def about(self) -> str:
        """The ticket it is about, else the subject itself."""
        return self.task.ticket_id if self.task else self.subject_id

    def names(self, now: datetime, fact: Fact | None, count: int) -> dict[str, Any]:
        """What expressions may read; not known is None."""
        return {
            **CONSTANTS,
            "now": now,
            "fact": fact,
            "count": count,
            "fleet": FleetSight(self.fleet, self.task),
            "task": self.task,
            "agent": self.agent,
            "ticket": self.ticket,
            "wip": self.wip,
            "discovery": self.discovery,
        }


@dataclass(frozen=True)
class FleetSight:
    """The agents that are offered work and the tasks that are ready, as one task sees them, or nobody."""

    fleet: Fleet
    task: TaskSeen | None

    @property
    def agents(self) -> int:
        """How many are offered work."""
        return sum(1 for _ in self._serving)

    @property
    def capacity(self) -> int:
        """Tasks that they can do at a time."""
        return sum(agent.capacity for agent in self._serving)

    @property
    def running(self) -> int:
        """Tasks that they have."""
        return sum(agent.running for agent in self._serving)

    @property
    def free(self) -> int:
        """Tasks that they could take besides; of a task, those that could do it."""
        return sum(max(0, _free(agent)) for agent in self._serving if self._can_do(agent))

    @property
    def waiting_critical(self) -> int:
        """Ready tasks of priority CRITICAL."""
        return self.fleet.waiting.get(Priority.CRITICAL, 0)

    @property
    def waiting_high(self) -> int:
        """Ready tasks of priority HIGH."""
        return self.fleet.waiting.get(Priority.HIGH, 0)

    @property
    def waiting_medium(self) -> int:
        """Ready tasks of priority MEDIUM."""
        return self.fleet.waiting.get(Priority.MEDIUM, 0)

    @property
    def waiting_low(self) -> int:
        """Ready tasks of priority LOW."""
        return self.fleet.waiting.get(Priority.LOW, 0)

    @property
    def recipient(self) -> str | None:
        """The agent that capacity would help most: the fullest of those that could do the task."""
        able = (agent for agent in self._serving if self._can_do(agent))
        found = min(able, key=lambda agent: (_free(agent), agent.id), default=None)
        return found.id if found else None

    @property
    def donor(self) -> str | None:
        """The agent that misses capacity least: most to spare, and something left to keep.

        For a task it is one that cannot do the task: taking capacity from who could would help nobody.
        """
        recipient = self.recipient
        spared = (
            agent
            for agent in self._serving
            if agent.capacity > 1 and agent.id != recipient and not (self.task and self._can_do(agent))
        )
        found = max(spared, key=lambda agent: (_free(agent), agent.id), default=None)
        return found.id if found else None

    @property
    def _serving(self) -> Iterable[AgentSeen]:
        return (agent for agent in self.fleet.by_id.values() if agent.available and agent.status in SERVING)

    def _can_do(self, agent: AgentSeen) -> bool:
        return self.task is None or set(self.task.required_capabilities) <= set(agent.capabilities)


def _free(agent: AgentSeen) -> int:
    return agent.capacity - agent.running
