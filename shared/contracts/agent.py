"""Agents: who they are, what they can do, and whether they live."""

from typing import Any, Literal

from pydantic import Field

from shared.contracts.messages import Authority, Command, Event, Key, Moment, Query, Result

Status = Literal["SPAWNING", "IDLE", "RUNNING", "DEGRADED", "FAILED", "QUARANTINED", "TERMINATED"]


class Session(Result):
    """An agent's standing after a command."""

    agent_id: Key
    session: int = Field(description="Epoch of the agent's session: quote it in every heartbeat.")
    status: Status
    heartbeat_seconds: float = Field(description="Beat at least this often.")


class Register(Command):
    """Make an agent known, or begin a new session of one that is."""

    creates = "agent_id"

    agent_id: Key | None = None
    name: str | None = Field(default=None, max_length=200, description="For people; the id when absent.")
    agent_type: str = Field(default="worker", max_length=64, description="What kind of agent it is.")
    capabilities: tuple[str, ...] = Field(default=(), max_length=64, description="Trimmed and lower-cased.")
    capacity: int = Field(default=1, ge=1, le=1000, description="Tasks at a time.")
    tags: tuple[str, ...] = Field(default=(), max_length=50, description="Words to find it by.")
    phases: tuple[Key, ...] | None = Field(default=None, description="Phases it works in; absent means any.")
    version: str | None = Field(default=None, max_length=64, description="Of the agent's program.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Whatever else it says of itself.")


class Heartbeat(Command):
    """The agent lives. Telemetry: an event follows only when its health changes."""

    agent_id: Key
    session: int = Field(description="Epoch of the session that registering or recovering began.")
    running: int = Field(
        default=0, ge=0, description="Tasks in work; the interval is shorter when there are any."
    )


class SetAvailability(Command):
    """Offer an agent work, or stop offering."""

    agent_id: Key
    available: bool


class Deregister(Command):
    """The agent leaves; its claims are released."""

    agent_id: Key
    reason: str = Field(default="", max_length=2000, description="Why, for people.")


class MissBeat(Command):
    """An interval passed without a beat. Sent by the agent's timer."""

    authority = Authority.SYSTEM

    agent_id: Key
    session: int
    missed: int
    interval_seconds: float
    last_seen_at: Moment | None = Field(default=None, description="When it last beat.")


class AgentRegistered(Event):
    """An agent is known, in a new session."""

    agent_id: Key
    name: str
    agent_type: str
    capabilities: tuple[str, ...]
    capacity: int
    tags: tuple[str, ...] = ()
    phases: tuple[Key, ...] | None = None
    version: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    session: int
    at: Moment


class AgentAvailabilityChanged(Event):
    """An agent is offered work, or no longer."""

    agent_id: Key
    available: bool
    at: Moment


class AgentDegraded(Event):
    """An agent missed two heartbeats."""

    agent_id: Key
    session: int
    missed: int
    last_seen_at: Moment | None = Field(default=None, description="When it last beat.")
    at: Moment


class AgentLost(Event):
    """An agent missed three heartbeats: its claims are released."""

    agent_id: Key
    session: int
    missed: int
    last_seen_at: Moment | None = Field(default=None, description="When it last beat.")
    at: Moment


class AgentRecovered(Event):
    """An agent that was degraded or lost beats again; a lost one in a new session."""

    agent_id: Key
    session: int
    at: Moment


class AgentDeregistered(Event):
    """An agent left: its claims are released."""

    agent_id: Key
    session: int
    reason: str
    at: Moment


class GetAgent(Query):
    """One agent."""

    agent_id: Key


class ListAgents(Query):
    """Agents, newest first, with when they were last heard of."""

    include_terminated: bool = False
    limit: int = Field(default=1000, ge=1, le=1000)


class AgentSummary(Result):
    """How an agent stands."""

    agent_id: Key
    name: str
    agent_type: str
    capabilities: tuple[str, ...]
    capacity: int
    tags: tuple[str, ...]
    available: bool
    status: Status
    session: int
    registered_at: Moment
    last_seen_at: Moment | None = Field(default=None, description="When it last beat, by the server's clock.")


class AgentView(AgentSummary):
    """An agent with all it said of itself."""

    phases: tuple[Key, ...] | None = None
    version: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class Agents(Result):
    """Agents, newest first."""

    agents: tuple[AgentSummary, ...]
