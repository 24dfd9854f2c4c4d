"""An agent: its sessions, and the beats by which it is known to live."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared.contracts.agent import (
    AgentAvailabilityChanged,
    AgentDegraded,
    AgentDeregistered,
    AgentLost,
    AgentRecovered,
    AgentRegistered,
    Deregister,
    Heartbeat,
    MissBeat,
    Register,
    Session,
    SetAvailability,
    Status,
)
from shared.kernel.decider import Aggregate, CancelTimer, Context, Facts, Past, Refused, Timer

IDLE_SECONDS = 30.0
RUNNING_SECONDS = 15.0

DEGRADED_AFTER = 2
LOST_AFTER = 3
"""Beats missed in a row."""


class AgentNotFound(Refused):
    """No agent of that id is here."""


class StaleSession(Refused):
    """The session is over: the agent was lost, left, or has begun another one."""


@dataclass(frozen=True)
class Agent:
    """An agent; without a session it was never here.

    An agent that lives is IDLE: whether it is RUNNING is telemetry, which its beats tell and no event.
    """

    agent_id: str = ""
    name: str = ""
    agent_type: str = ""
    capabilities: tuple[str, ...] = ()
    capacity: int = 1
    tags: tuple[str, ...] = ()
    phases: tuple[str, ...] | None = None
    version: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    available: bool = True
    status: Status = "SPAWNING"
    session: int = 0
    registered_at: datetime | None = None
    last_seen_at: datetime | None = None
    """When an agent that is no longer well was last heard of; of one that is, its timer knows."""


def register(command: Register, past: Past, context: Context) -> Facts:
    """Registering again begins a new session and ends the one before."""
    agent_id = command.agent_id or context.new_id("agent_id")
    registered = AgentRegistered(
        agent_id=agent_id,
        name=command.name or agent_id,
        agent_type=command.agent_type,
        capabilities=normalised(command.capabilities),
        capacity=command.capacity,
        tags=command.tags,
        phases=command.phases,
        version=command.version,
        metadata=command.metadata,
        session=past.of(Agent, agent_id).session + 1,
        at=context.at,
    )
    return [registered, *_alive(agent_id, registered.session, context.at)]


def heartbeat(command: Heartbeat, past: Past, context: Context) -> Facts:
    """A beat moves the agent's timer; it is a fact only when the agent was not well."""
    agent = past.of(Agent, command.agent_id)
    if not agent.session:
        raise _not_found(command.agent_id)
    if command.session != agent.session or agent.status == "TERMINATED":
        raise StaleSession(
            f"Session {command.session} of agent {command.agent_id} is over. Register again.",
            agent_id=command.agent_id,
            session=command.session,
        )
    session = agent.session + 1 if agent.status == "FAILED" else agent.session
    well = agent.status not in ("DEGRADED", "FAILED")
    recovered = AgentRecovered(agent_id=command.agent_id, session=session, at=context.at)
    return [
        *([] if well else [recovered]),
        *_alive(command.agent_id, session, context.at, running=command.running > 0),
    ]


def miss_beat(command: MissBeat, past: Past, context: Context) -> Facts:
    """One missed beat is let pass; an agent that missed two is degraded, and one that missed three is lost.

    Each rung waits a whole interval from the one before, so that agents get their chance to beat after the
    registry itself was away.
    """
    agent = past.of(Agent, command.agent_id)
    if command.session != agent.session or agent.status == "TERMINATED":
        return []
    told = command.model_dump(include={"agent_id", "session", "missed", "last_seen_at"})
    if command.missed >= LOST_AFTER:
        return [AgentLost(**told, at=context.at)]
    next_miss = _timer(command.model_copy(update={"missed": command.missed + 1}), context.at)
    if command.missed >= DEGRADED_AFTER:
        return [AgentDegraded(**told, at=context.at), next_miss]
    return [next_miss]


def set_availability(command: SetAvailability, past: Past, context: Context) -> Facts:
    """Whether work is offered to an agent is no matter of its health."""
    agent = past.of(Agent, command.agent_id)
    if not agent.session or agent.status == "TERMINATED":
        raise _not_found(command.agent_id)
    if agent.available == command.available:
        return []
    return [AgentAvailabilityChanged(agent_id=command.agent_id, available=command.available, at=context.at)]


def deregister(command: Deregister, past: Past, context: Context) -> Facts:
    """Leaving twice is leaving once."""
    agent = past.of(Agent, command.agent_id)
    if not agent.session:
        raise _not_found(command.agent_id)
    if agent.status == "TERMINATED":
        return []
    left = AgentDeregistered(
        agent_id=command.agent_id, session=agent.session, reason=command.reason, at=context.at
    )
    return [left, CancelTimer(beat_key(command.agent_id))]


AgentEvent = (
    AgentRegistered
    | AgentAvailabilityChanged
    | AgentDegraded
    | AgentLost
    | AgentRecovered
    | AgentDeregistered
)


def evolve(agent: Agent, event: AgentEvent) -> Agent:
    """The agent after `event`."""
    match event:
        case AgentRegistered():
            said = event.model_dump(exclude={"at"})
            registered_at = agent.registered_at or event.at
            return Agent(**said, available=agent.available, status="IDLE", registered_at=registered_at)
        case AgentAvailabilityChanged():
            return replace(agent, available=event.available)
        case AgentDegraded():
            return replace(agent, status="DEGRADED", last_seen_at=event.last_seen_at)
        case AgentLost():
            return replace(agent, status="FAILED", last_seen_at=event.last_seen_at)
        case AgentRecovered():
            return replace(agent, status="IDLE", session=event.session, last_seen_at=None)
        case AgentDeregistered():
            return replace(agent, status="TERMINATED", last_seen_at=event.at)


AGENT = Aggregate(Agent, evolve, key="agent_id")


def beat_key(agent_id: str) -> str:
    """Key of the timer that waits for an agent's next beat."""
    return f"beat-{agent_id}"


def normalised(capabilities: Iterable[str]) -> tuple[str, ...]:
    """Trimmed, in lower case, each once, in the order given."""
    trimmed = (capability.strip().lower() for capability in capabilities)
    return tuple(dict.fromkeys(capability for capability in trimmed if capability))


def _alive(agent_id: str, session: int, at: datetime, *, running: bool = False) -> tuple[Timer, Session]:
    """Wait for the next beat, and say until when."""
    interval = RUNNING_SECONDS if running else IDLE_SECONDS
    first = MissBeat(agent_id=agent_id, session=session, missed=1, interval_seconds=interval, last_seen_at=at)
    status: Status = "RUNNING" if running else "IDLE"
    return _timer(first, at), Session(
        agent_id=agent_id, session=session, status=status, heartbeat_seconds=interval
    )


def _timer(command: MissBeat, at: datetime) -> Timer:
    return Timer(beat_key(command.agent_id), at + timedelta(seconds=command.interval_seconds), command)


def _not_found(agent_id: str) -> AgentNotFound:
    return AgentNotFound(f"There is no agent {agent_id}. Register it first.", agent_id=agent_id)
