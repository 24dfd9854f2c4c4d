"""An agent: what is known of it, how facts change it, and who may act for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from services.registry.record import Record, counted
from shared.contracts.agent import (
    IDLE_SECONDS,
    RUNNING_SECONDS,
    AgentAttemptBegan,
    AgentAttemptEnded,
    AgentAvailabilityChanged,
    AgentDegraded,
    AgentDeregistered,
    AgentLost,
    AgentQuarantined,
    AgentRecovered,
    AgentRegistered,
    AgentReleased,
    AgentUpdated,
    Outcome,
    Status,
)
from shared.contracts.messages import Authority
from shared.kernel.decider import Aggregate, Context, NotAuthorised, Past, Refused

Standing = Literal["SPAWNING", "IDLE", "DEGRADED", "FAILED", "TERMINATED"]
"""What its beats say of an agent; a quarantine lies over it."""

HEALTH: Mapping[Standing, float] = {
    "SPAWNING": 0.0,
    "IDLE": 1.0,
    "DEGRADED": 0.5,
    "FAILED": 0.0,
    "TERMINATED": 0.0,
}
TOLD_INTERVALS = 3
"""An agent that has not beaten for so long is lost, and its tasks with it."""
UPDATABLE = ("name", "capabilities", "capacity", "tags", "phases", "version", "metadata")


class AgentNotFound(Refused):
    """No agent of that id is here."""


@dataclass(frozen=True)
class Agent:
    """An agent; without a session it has never registered."""

    agent_id: str = ""
    name: str = ""
    agent_type: str = ""
    capabilities: tuple[str, ...] = ()
    capacity: int = 1
    allocated_by: str | None = None
    """Intervention that has set its capacity; what the agent says of it does not count as long as it has."""
    capacity_said_by: str | None = None
    """Actor who said its capacity last, if not by registering."""
    tags: tuple[str, ...] = ()
    phases: tuple[str, ...] | None = None
    version: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    idle_seconds: float = IDLE_SECONDS
    running_seconds: float = RUNNING_SECONDS
    available: bool = True
    standing: Standing = "SPAWNING"
    quarantine_reason: str | None = None
    quarantine_changed_by: str | None = None
    """Actor who put it in quarantine, or released it, last."""
    quarantined_through: str | None = None
    """Intervention that put it in quarantine, if one did."""
    session: int = 0
    registered_by: str | None = None
    registered_at: datetime | None = None
    registered_session: int = 0
    """The session that the last registration began; one that recovering began may have followed."""
    registered_again_at: datetime | None = None
    """When that was."""
    last_seen_at: datetime | None = None
    """When an agent that is no longer well was last heard of; of one that is, its timer knows."""
    claims: dict[str, int] = field(default_factory=dict)
    """Task -> attempts begun less attempts ended; -1 when the end was heard of first."""
    cancelled: dict[str, datetime] = field(default_factory=dict)
    """When tasks it had were cancelled, as long as it may not have heard of it."""
    record: Record = field(default_factory=Record)
    last_used_at: datetime | None = None

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks it has."""
        return tuple(sorted(task_id for task_id, open_ in self.claims.items() if open_ > 0))

    def cancelled_of_late(self, at: datetime) -> tuple[str, ...]:
        """Tasks of which its beats tell at that time; one that it has claimed again is not among them."""
        return tuple(
            task_id
            for task_id, cancelled_at in self.cancelled.items()
            if task_id not in self.tasks and at - cancelled_at <= self._telling
        )

    @property
    def _telling(self) -> timedelta:
        return TOLD_INTERVALS * timedelta(seconds=max(self.idle_seconds, self.running_seconds))

    @property
    def running(self) -> int:
        """How many tasks it has."""
        return len(self.tasks)

    @property
    def here(self) -> bool:
        """Whether it has registered and not left."""
        return self.standing not in ("SPAWNING", "TERMINATED")

    @property
    def status(self) -> Status:
        """Where it stands on the ladder, as far as events tell."""
        if self.here and self.quarantine_reason is not None:
            return "QUARANTINED"
        return "RUNNING" if self.standing == "IDLE" and self.running else self.standing

    @property
    def health(self) -> float:
        """1 when it is well, 0.5 when it is degraded, else 0."""
        return HEALTH[self.standing]

    @property
    def offered(self) -> bool:
        """Whether it may be given another task."""
        return (
            self.available and self.status in ("IDLE", "RUNNING", "DEGRADED") and self.running < self.capacity
        )


def known(past: Past, agent_id: str) -> Agent:
    """An agent that has registered once."""
    agent = past.of(Agent, agent_id)
    if not agent.session:
        raise _unknown(agent_id)
    return agent


def present(past: Past, agent_id: str) -> Agent:
    """An agent that has not left."""
    agent = past.of(Agent, agent_id)
    if absent := absence(agent, agent_id):
        raise absent
    return agent


def absence(agent: Agent, agent_id: str) -> AgentNotFound | None:
    """What is said of an agent that has not come yet, or has left."""
    if not agent.session:
        return _unknown(agent_id)
    if agent.here:
        return None
    return AgentNotFound(f"Agent {agent_id} has left. Register it again.", agent_id=agent_id)


def _unknown(agent_id: str) -> AgentNotFound:
    return AgentNotFound(f"There is no agent {agent_id}. Register it first.", agent_id=agent_id)


def authorise(agent: Agent, context: Context) -> None:
    """Refuse whoever may not act for the agent: it may itself, who registered it, and MONITOR or above."""
    if context.authority >= Authority.MONITOR or context.actor in (agent.agent_id, agent.registered_by):
        return
    owner = f"{agent.registered_by}, who registered it, " if agent.registered_by else ""
    raise NotAuthorised(
        f"{context.actor} may not act for agent {agent.agent_id}. That may {agent.agent_id} itself, {owner}"
        f"and anybody with MONITOR authority: send it under one of those names.",
        agent_id=agent.agent_id,
        registered_by=agent.registered_by,
        held=context.authority.name,
    )


def normalised(capabilities: Iterable[str]) -> tuple[str, ...]:
    """Trimmed, in lower case, each once, in the order given."""
    return trimmed(capability.lower() for capability in capabilities)


def trimmed(words: Iterable[str]) -> tuple[str, ...]:
    """Without blanks around them, each once, in the order given."""
    return tuple(dict.fromkeys(word for word in (word.strip() for word in words) if word))


AgentEvent = (
    AgentRegistered
    | AgentUpdated
    | AgentAvailabilityChanged
    | AgentDegraded
    | AgentLost
    | AgentRecovered
    | AgentQuarantined
    | AgentReleased
    | AgentDeregistered
    | AgentAttemptBegan
    | AgentAttemptEnded
)


def evolve(agent: Agent, event: AgentEvent) -> Agent:
    """The agent after `event`: the one way along the ladder."""
    match event:
        case AgentRegistered():
            said = event.model_dump(exclude={"at"})
            return replace(
                agent,
                **said,
                standing="IDLE",
                registered_at=agent.registered_at or event.at,
                registered_session=event.session,
                registered_again_at=event.at,
                last_seen_at=None,
            )
        case AgentUpdated():
            return replace(agent, **_changes(event))
        case AgentAvailabilityChanged():
            return replace(agent, available=event.available)
        case AgentDegraded():
            return replace(agent, standing="DEGRADED", last_seen_at=event.last_seen_at)
        case AgentLost():
            return replace(agent, standing="FAILED", last_seen_at=event.last_seen_at)
        case AgentRecovered():
            return replace(agent, standing="IDLE", session=event.session, last_seen_at=None)
        case AgentQuarantined():
            return replace(
                agent,
                quarantine_reason=event.reason,
                quarantine_changed_by=event.actor,
                quarantined_through=event.intervention_id,
            )
        case AgentReleased():
            return replace(
                agent, quarantine_reason=None, quarantine_changed_by=event.actor, quarantined_through=None
            )
        case AgentDeregistered():
            return replace(agent, standing="TERMINATED", last_seen_at=event.at, allocated_by=None)
        case AgentAttemptBegan():
            return _begun(agent, event)
        case AgentAttemptEnded():
            return _ended(agent, event)


def _changes(event: AgentUpdated) -> dict[str, Any]:
    changed = {name: getattr(event, name) for name in UPDATABLE if getattr(event, name) is not None}
    if event.phases is not None:
        changed["phases"] = event.phases or None
    if event.capacity is not None:
        changed |= {"allocated_by": event.allocated_by, "capacity_said_by": event.actor}
    return changed


def _begun(agent: Agent, event: AgentAttemptBegan) -> Agent:
    used_at = max(event.at, agent.last_used_at or event.at)
    return replace(
        agent, agent_id=event.agent_id, claims=_moved(agent.claims, event.task_id, 1), last_used_at=used_at
    )


def _ended(agent: Agent, event: AgentAttemptEnded) -> Agent:
    return replace(
        agent,
        agent_id=event.agent_id,
        claims=_moved(agent.claims, event.task_id, -1),
        cancelled=_told(agent, event),
        record=_noted(agent.record, event.task_type, event.outcome),
    )


def _told(agent: Agent, event: AgentAttemptEnded) -> dict[str, datetime]:
    late = {task_id: agent.cancelled[task_id] for task_id in agent.cancelled_of_late(event.at)}
    return late | ({event.task_id: event.at} if event.outcome == "cancelled" else {})


def _moved(claims: Mapping[str, int], task_id: str, by: int) -> dict[str, int]:
    """Begins and ends add up to the same whatever their order."""
    moved = {**claims, task_id: claims.get(task_id, 0) + by}
    return {task: count for task, count in moved.items() if count}


def _noted(record: Record, task_type: str | None, outcome: Outcome) -> Record:
    match outcome:
        case "completed":
            return counted(record, task_type, completed=1)
        case "failed" | "lost":
            return counted(record, task_type, failed=1)
        case "cancelled" | "returned":
            return record


AGENT = Aggregate(Agent, evolve, key="agent_id")
