"""The read model of agents: who they are, how they are, and what they have done."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.contracts.agent import (
    AgentAvailabilityChanged,
    AgentDegraded,
    AgentDeregistered,
    AgentLost,
    AgentQuarantined,
    AgentRecovered,
    AgentRegistered,
    AgentReleased,
    AgentUpdated,
    Status,
)
from shared.contracts.task import TaskClaimed, TaskCompleted, TaskLeaseExpired

UPDATABLE = ("name", "capabilities", "capacity", "tags", "phases", "version", "metadata")


@dataclass(frozen=True)
class Agent:
    """An agent; without a status it has never registered.

    The registry's events change the fields up to `quarantine_reason`, the scheduler's those that follow, and
    so it does not matter which of the two is heard first.
    """

    agent_id: str
    name: str | None = None
    agent_type: str | None = None
    capabilities: tuple[str, ...] = ()
    capacity: int | None = None
    tags: tuple[str, ...] = ()
    phases: tuple[str, ...] | None = None
    version: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    session: int = 0
    available: bool = True
    registered_at: datetime | None = None
    status: Status | None = None
    status_since: datetime | None = None
    quarantine_reason: str | None = None
    claims: int = 0
    completed: int = 0
    lost: int = 0
    """Attempts that ended because it was silent or gone."""
    last_claimed_at: datetime | None = None


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
    | TaskClaimed
    | TaskCompleted
    | TaskLeaseExpired
)


def evolve(row: Agent | None, event: AgentEvent) -> Agent:
    """The agent after `event`."""
    agent = row or Agent(event.agent_id)
    match event:
        case AgentRegistered():
            return _registered(agent, event)
        case AgentUpdated():
            return _updated(agent, event)
        case AgentAvailabilityChanged():
            return replace(agent, available=event.available)
        case AgentDegraded():
            return replace(agent, status="DEGRADED", status_since=event.at)
        case AgentLost():
            return replace(agent, status="FAILED", status_since=event.at)
        case AgentRecovered():
            return replace(agent, status="IDLE", status_since=event.at, session=event.session)
        case AgentQuarantined():
            return replace(agent, quarantine_reason=event.reason)
        case AgentReleased():
            return replace(agent, quarantine_reason=None)
        case AgentDeregistered():
            return replace(agent, status="TERMINATED", status_since=event.at)
        case TaskClaimed():
            return replace(agent, claims=agent.claims + 1, last_claimed_at=event.claimed_at)
        case TaskCompleted():
            return replace(agent, completed=agent.completed + 1)
        case TaskLeaseExpired():
            return agent if event.returned else replace(agent, lost=agent.lost + 1)


def _updated(agent: Agent, event: AgentUpdated) -> Agent:
    changed = {name: value for name in UPDATABLE if (value := getattr(event, name)) is not None}
    return replace(agent, **changed | ({"phases": event.phases or None} if "phases" in changed else {}))


def _registered(agent: Agent, event: AgentRegistered) -> Agent:
    return replace(
        agent,
        name=event.name,
        agent_type=event.agent_type,
        capabilities=event.capabilities,
        capacity=event.capacity,
        tags=event.tags,
        phases=event.phases,
        version=event.version,
        metadata=event.metadata,
        session=event.session,
        registered_at=agent.registered_at or event.at,
        status="IDLE",
        status_since=event.at,
    )
