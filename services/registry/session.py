"""A session: one life of an agent, and the beats by which it is known to live."""

from datetime import datetime, timedelta

from services.registry.agent import Agent, authorise, known, normalised, trimmed
from shared.contracts.agent import (
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
    Status,
)
from shared.contracts.messages import moment_text
from shared.kernel.decider import CancelTimer, Context, Facts, Past, Refused, Timer

DEGRADED_AFTER = 2
LOST_AFTER = 3
"""Beats missed in a row; the first one is a warning."""


class StaleSession(Refused):
    """The session is over: the agent was lost, left, or has begun another one."""


def register(command: Register, past: Past, context: Context) -> Facts:
    """Registering again begins a new session and ends the one before; an id that was left is anybody's.

    A capacity that a guardian has set stays.
    """
    agent_id = command.agent_id or context.new_id("agent_id")
    agent = past.of(Agent, agent_id)
    if agent.here:
        authorise(agent, context)
    registered = AgentRegistered(
        agent_id=agent_id,
        name=command.name or agent_id,
        agent_type=command.agent_type,
        capabilities=normalised(command.capabilities),
        capacity=agent.capacity if agent.here and agent.allocated_by else command.capacity,
        tags=trimmed(command.tags),
        phases=command.phases or None,
        version=command.version,
        metadata=command.metadata,
        idle_seconds=command.idle_seconds,
        running_seconds=command.running_seconds,
        session=agent.session + 1,
        registered_by=context.actor,
        at=context.at,
    )
    return [registered, *_alive(registered, agent.quarantine_reason, context.at)]


def heartbeat(command: Heartbeat, past: Past, context: Context) -> Facts:
    """A beat moves the agent's timer; it is a fact only when the agent was not well.

    It lifts no quarantine: a quarantined agent that was lost is then quarantined and well.
    """
    agent = known(past, command.agent_id)
    authorise(agent, context)
    if command.session != agent.session or not agent.here:
        raise _stale(agent, command.session)
    session = agent.session + 1 if agent.standing == "FAILED" else agent.session
    recovered = AgentRecovered(agent_id=command.agent_id, session=session, at=context.at)
    return [
        *([] if agent.standing == "IDLE" else [recovered]),
        *_alive(agent, agent.quarantine_reason, context.at, session=session, running=command.running),
    ]


def miss_beat(command: MissBeat, past: Past, context: Context) -> Facts:
    """One missed beat is a warning; an agent that missed two is degraded, and one that missed three is lost.

    Each rung waits a whole interval from the one before, so that agents get their chance to beat after the
    registry itself was away.
    """
    agent = past.of(Agent, command.agent_id)
    if command.session != agent.session or not agent.here or agent.standing == "FAILED":
        return []
    told = command.model_dump(include={"agent_id", "session", "missed", "last_seen_at"})
    if command.missed >= LOST_AFTER:
        return [AgentLost(**told, at=context.at)]
    next_miss = _timer(command.model_copy(update={"missed": command.missed + 1}), context.at)
    if command.missed >= DEGRADED_AFTER:
        return [AgentDegraded(**told, at=context.at), next_miss]
    return [next_miss]


def deregister(command: Deregister, past: Past, context: Context) -> Facts:
    """Leaving twice is leaving once; an old session cannot end a newer one."""
    agent = known(past, command.agent_id)
    authorise(agent, context)
    if not agent.here:
        return []
    if command.session not in (None, agent.session):
        raise _stale(agent, command.session)
    left = AgentDeregistered(
        agent_id=command.agent_id, session=agent.session, reason=command.reason, at=context.at
    )
    return [left, CancelTimer(beat_key(command.agent_id))]


def _stale(agent: Agent, session: int | None) -> StaleSession:
    """The refusal for an old session; it tells one that another registration ended from others."""
    over = f"Session {session} of agent {agent.agent_id} is over:"
    at = agent.registered_again_at
    if not agent.here:
        why = f"{over} it has left. Register again."
    elif session is not None and session < agent.registered_session and at is not None:
        by = f" by {agent.registered_by}" if agent.registered_by else ""
        why = (
            f"{over} {agent.agent_id} was registered again{by} at {at:%Y-%m-%d %H:%M:%S} UTC. "
            "Two programs cannot be one agent: register under another name, or again to take its place."
        )
    else:
        why = f"{over} the agent was lost in between. Register again."
    return StaleSession(
        why,
        agent_id=agent.agent_id,
        session=session,
        current_session=agent.session,
        registered_session=agent.registered_session,
        registered_by=agent.registered_by,
        registered_at=moment_text(at) if at else None,
        metadata=dict(agent.metadata),
    )


def beat_key(agent_id: str) -> str:
    """Key of the timer that waits for an agent's next beat."""
    return f"beat-{agent_id}"


def _alive(
    agent: Agent | AgentRegistered,
    quarantine_reason: str | None,
    at: datetime,
    *,
    session: int | None = None,
    running: int = 0,
) -> tuple[Timer, Session]:
    """Wait for the next beat, and say until when."""
    interval = agent.running_seconds if running else agent.idle_seconds
    first = MissBeat(
        agent_id=agent.agent_id,
        session=session or agent.session,
        missed=1,
        interval_seconds=interval,
        last_seen_at=at,
        running=running,
    )
    well: Status = "RUNNING" if running else "IDLE"
    return _timer(first, at), Session(
        agent_id=agent.agent_id,
        session=first.session,
        status=well if quarantine_reason is None else "QUARANTINED",
        heartbeat_seconds=interval,
        capacity=agent.capacity,
        cancelled=agent.cancelled_of_late(at) if isinstance(agent, Agent) else (),
    )


def _timer(command: MissBeat, at: datetime) -> Timer:
    return Timer(beat_key(command.agent_id), at + timedelta(seconds=command.interval_seconds), command)
