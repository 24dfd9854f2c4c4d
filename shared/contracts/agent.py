"""Agents: who they are, what they can do, and whether they live."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from shared.contracts.guardian import Change, Intended, InterventionKind
from shared.contracts.messages import Authority, Command, Event, Key, Moment, Query, Result

Status = Literal["SPAWNING", "IDLE", "RUNNING", "DEGRADED", "FAILED", "QUARANTINED", "TERMINATED"]
"""SPAWNING has not registered yet; IDLE and RUNNING are well, without and with tasks; DEGRADED missed two
heartbeats; FAILED missed three and is lost; QUARANTINED gets no work whatever its health; TERMINATED left.
"""

Outcome = Literal["completed", "failed", "lost", "cancelled", "returned"]
"""How an attempt ended: `lost` by silence, `returned` because the agent left or was quarantined."""

IDLE_SECONDS = 30.0
RUNNING_SECONDS = 15.0
CAPACITY_MAX = 1000
SHORTEST_SECONDS, LONGEST_SECONDS = 0.1, 3600.0

Capabilities = tuple[Annotated[str, StringConstraints(max_length=200)], ...]
Tags = tuple[Annotated[str, StringConstraints(max_length=200)], ...]


class Session(Result):
    """An agent's standing after a command."""

    agent_id: Key
    session: int = Field(description="Epoch of the agent's session: quote it in every heartbeat.")
    status: Status
    heartbeat_seconds: float = Field(description="Beat at least this often.")
    capacity: int | None = Field(
        default=None, description="Tasks at a time: have no more, whatever was said when registering."
    )
    cancelled: tuple[Key, ...] = Field(
        default=(),
        description="Its tasks that were cancelled of late: stop them. A task is named until three intervals "
        "are over, so that a lost answer loses nothing.",
    )


class Register(Command):
    """Make an agent known, or begin a new session of one that is."""

    creates = "agent_id"

    agent_id: Key | None = None
    name: str | None = Field(default=None, max_length=200, description="For people; the id when absent.")
    agent_type: str = Field(default="worker", max_length=64, description="What kind of agent it is.")
    capabilities: Capabilities = Field(default=(), max_length=64, description="Trimmed and lower-cased.")
    capacity: int = Field(default=1, ge=1, le=CAPACITY_MAX, description="Tasks at a time.")
    tags: Tags = Field(default=(), max_length=50, description="Words to find it by; trimmed.")
    phases: tuple[Key, ...] | None = Field(
        default=None, max_length=100, description="Phases it works in; absent or empty means any."
    )
    version: str | None = Field(default=None, max_length=64, description="Of the agent's program.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Whatever else it says of itself.")
    idle_seconds: float = Field(
        default=IDLE_SECONDS,
        ge=SHORTEST_SECONDS,
        le=LONGEST_SECONDS,
        description="How often it beats while it has no tasks.",
    )
    running_seconds: float = Field(
        default=RUNNING_SECONDS,
        ge=SHORTEST_SECONDS,
        le=LONGEST_SECONDS,
        description="How often it beats while it has tasks.",
    )


class Update(Command):
    """Change what is known of an agent; what is absent stays."""

    agent_id: Key
    name: str | None = Field(default=None, max_length=200, description="For people.")
    capabilities: Capabilities | None = Field(
        default=None, max_length=64, description="All of them, trimmed and lower-cased."
    )
    capacity: int | None = Field(default=None, ge=1, le=CAPACITY_MAX, description="Tasks at a time.")
    tags: Tags | None = Field(default=None, max_length=50, description="All of them.")
    phases: tuple[Key, ...] | None = Field(
        default=None, max_length=100, description="Phases it works in; an empty list means any."
    )
    version: str | None = Field(default=None, max_length=64, description="Of the agent's program.")
    metadata: dict[str, Any] | None = Field(default=None, description="All that it says of itself.")


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


class Quarantine(Command):
    """Give an agent no more work and take away what it has, until it is released. No beat lifts it."""

    authority = Authority.GUARDIAN

    agent_id: Key
    reason: str = Field(min_length=1, max_length=2000, description="Why, for people.")


class Release(Command):
    """Let a quarantined agent have work again."""

    authority = Authority.GUARDIAN

    agent_id: Key
    reason: str = Field(default="", max_length=2000, description="Why, for people.")


class Deregister(Command):
    """The agent leaves; its claims are released."""

    agent_id: Key
    session: int | None = Field(
        default=None, description="End this session and no newer one; whichever there is when absent."
    )
    reason: str = Field(default="", max_length=2000, description="Why, for people.")


class MissBeat(Command):
    """An interval passed without a beat. Sent by the agent's timer."""

    authority = Authority.SYSTEM

    agent_id: Key
    session: int
    missed: int
    interval_seconds: float
    last_seen_at: Moment | None = Field(default=None, description="When it last beat.")
    running: int = Field(default=0, description="Tasks in work, as its last beat said.")


class BeginAttempt(Command):
    """An agent has claimed a task. Sent by the registry when it hears of it."""

    authority = Authority.SYSTEM

    agent_id: Key
    task_id: Key
    at: Moment


class EndAttempt(Command):
    """An agent has a task no longer. Sent by the registry when it hears of it."""

    authority = Authority.SYSTEM

    agent_id: Key
    task_id: Key
    task_type: Key | None = None
    outcome: Outcome
    at: Moment


class ApplyIntervention(Command):
    """Carry out what a guardian wants of agents. Sent by the registry when it hears of it."""

    authority = Authority.SYSTEM

    intervention_id: Key
    intended: Intended
    reason: str
    actor: str


class RevertIntervention(Command):
    """Restore what was before an intervention. Sent by the registry when it hears of it."""

    authority = Authority.SYSTEM

    intervention_id: Key
    revert_id: Key
    intended: Intended
    reason: str
    actor: str


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
    idle_seconds: float = IDLE_SECONDS
    running_seconds: float = RUNNING_SECONDS
    session: int
    registered_by: Key | None = Field(default=None, description="The actor who may act for it beside itself.")
    at: Moment


class AgentUpdated(Event):
    """Something else is known of an agent; what is absent has not changed."""

    agent_id: Key
    name: str | None = None
    capabilities: tuple[str, ...] | None = None
    capacity: int | None = None
    tags: tuple[str, ...] | None = None
    phases: tuple[Key, ...] | None = Field(default=None, description="Empty means any.")
    version: str | None = None
    metadata: dict[str, Any] | None = None
    allocated_by: Key | None = Field(
        default=None,
        description="Intervention that moved the capacity; absent where the agent or its operator said it.",
    )
    actor: str | None = None
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


class AgentQuarantined(Event):
    """An agent gets no more work: its claims are released."""

    agent_id: Key
    session: int
    reason: str
    actor: str
    intervention_id: Key | None = Field(default=None, description="Of the guardian, if it was one.")
    at: Moment


class AgentReleased(Event):
    """A quarantined agent may have work again."""

    agent_id: Key
    session: int
    reason: str
    actor: str
    at: Moment


class AgentInterventionSettled(Event):
    """What came of an intervention, or of its revert, that is about agents."""

    key = "subject"

    subject: Key = Field(description="The intervention's id.")
    intervention_id: Key
    revert_id: Key | None = Field(default=None, description="Of the revert, if it was one.")
    kind: InterventionKind
    ok: bool
    before: dict[str, Any] = Field(default_factory=dict, description="What was, as far as it was changed.")
    after: dict[str, Any] = Field(default_factory=dict, description="What is instead.")
    code: str = Field(default="", description="Why it was refused, if it was.")
    message: str = ""
    changed: dict[str, Change] = Field(default_factory=dict, description="What was not as it had been left.")
    at: Moment


class AgentDeregistered(Event):
    """An agent left: its claims are released."""

    agent_id: Key
    session: int
    reason: str
    at: Moment


class AgentAttemptBegan(Event):
    """An agent has one task more."""

    agent_id: Key
    task_id: Key
    at: Moment


class AgentAttemptEnded(Event):
    """An agent has one task less, and a better or a worse record."""

    agent_id: Key
    task_id: Key
    task_type: Key | None = None
    outcome: Outcome
    at: Moment


class GetAgent(Query):
    """One agent."""

    agent_id: Key


class ListAgents(Query):
    """Agents, newest first, with when they were last heard of."""

    include_terminated: bool = False
    limit: int = Field(default=1000, ge=1, le=1000)


class Search(Query):
    """Agents that fit, best first, each with its score.

    Score = 0.4 x share of the preferred capabilities + 0.3 x share of free capacity + 0.2 x success rate
    + 0.1 x health; among equals the one that waits longest for a task comes first.
    """

    required_capabilities: Capabilities = Field(default=(), max_length=32, description="It must have all.")
    preferred_capabilities: Capabilities = Field(
        default=(), max_length=16, description="The more the better."
    )
    task_type: Key | None = Field(default=None, description="Judge success by tasks of this type.")
    phase: Key | None = Field(default=None, description="It must work in this phase.")
    tags: Tags = Field(default=(), max_length=32, description="It must have all.")
    include_unavailable: bool = Field(
        default=False, description="Show also those that would fit but are offered no work, and why not."
    )
    limit: int = Field(default=10, ge=1, le=100)


class BestFit(Query):
    """The first agent of the same search; `no_agent_fits` says what is lacking."""

    required_capabilities: Capabilities = Field(default=(), max_length=32, description="It must have all.")
    preferred_capabilities: Capabilities = Field(
        default=(), max_length=16, description="The more the better."
    )
    task_type: Key | None = Field(default=None, description="Judge success by tasks of this type.")
    phase: Key | None = Field(default=None, description="It must work in this phase.")
    tags: Tags = Field(default=(), max_length=32, description="It must have all.")


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
    running: int = Field(default=0, description="Tasks it has claimed.")
    health: float = Field(default=1.0, description="1 when it is well, 0.5 when degraded, 0 when lost.")
    missed: int = Field(default=0, description="Heartbeats missed in a row; the first one is a warning.")
    quarantine_reason: str | None = None
    registered_at: Moment
    last_seen_at: Moment | None = Field(default=None, description="When it last beat, by the server's clock.")


class AgentRecord(Result):
    """How an agent has done tasks of one type."""

    task_type: Key
    completed: int
    failed: int = Field(description="Attempts that failed, timed out or were lost.")


class AgentView(AgentSummary):
    """An agent with all it said of itself, and what it has done."""

    phases: tuple[Key, ...] | None = None
    version: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    idle_seconds: float = IDLE_SECONDS
    running_seconds: float = RUNNING_SECONDS
    registered_by: Key | None = None
    tasks: tuple[Key, ...] = ()
    completed: int = 0
    failed: int = 0
    record: tuple[AgentRecord, ...] = ()
    last_used_at: Moment | None = None


class Agents(Result):
    """Agents, newest first."""

    agents: tuple[AgentSummary, ...]


class Score(Result):
    """What a score is made of; each part lies between 0 and 1."""

    preferred: float = Field(description="Share of the preferred capabilities; 1 when none were named.")
    free: float = Field(description="Share of its capacity that is free.")
    success: float = Field(description="(completed + 1) / (completed + failed + 2).")
    health: float


class AgentMatch(Result):
    """An agent that fits."""

    agent_id: Key
    name: str
    capabilities: tuple[str, ...]
    tags: tuple[str, ...]
    capacity: int
    running: int
    status: Status
    score: float
    parts: Score
    last_used_at: Moment | None = None
    reason: str | None = Field(default=None, description="Why it is offered no work; absent when it is.")


class AgentMatches(Result):
    """Agents that fit, best first, then those that would fit but are offered no work."""

    agents: tuple[AgentMatch, ...]
    lacking: tuple[str, ...] = Field(
        default=(), description="Required capabilities and tags that no agent has who is offered work."
    )
