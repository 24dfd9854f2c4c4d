"""An agent, as far as the scheduler must know it: whether it may be given tasks, and which wait for it."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.contracts.task import (
    AgentAssigned,
    AgentClaimsCounted,
    AgentFollowed,
    AssignmentLapsed,
    CapabilitiesFollowed,
    CapacityFollowed,
    FollowAgent,
    FollowCapabilities,
    FollowCapacity,
    FollowPhases,
    PhasesFollowed,
    TaskPickedUp,
    Withholding,
)
from shared.kernel.decider import Aggregate, Context, Facts, Past, Refused


class AgentIsQuarantined(Refused):
    """The agent gets no tasks until it is released."""


@dataclass(frozen=True)
class Withheld:
    """Whether tasks are withheld from an agent for one cause, and since when that is so."""

    withheld: bool
    reason: str
    at: datetime

    @property
    def sentence(self) -> str:
        """The reason, with the full stop that people leave out."""
        said = self.reason.strip() or "No reason was given"
        return said if said.endswith((".", "!", "?")) else f"{said}."


@dataclass(frozen=True)
class Agent:
    """An agent of which the registry had something to say, or who was assigned a task."""

    agent_id: str = ""
    causes: dict[Withholding, Withheld] = field(default_factory=dict)
    assigned: dict[str, int] = field(default_factory=dict)
    """Task -> epoch of the claim that was made for it and that it has not picked up."""
    capabilities: tuple[str, ...] = ()
    capabilities_at: datetime | None = None
    """When it said so; None for one that was never registered."""
    registered_by: str | None = None
    """Actor who registered it last."""
    phases: tuple[str, ...] = ()
    """Where it works; empty for anywhere."""
    phases_at: datetime | None = None
    capacity: int | None = None
    """How many tasks it may have, where a guardian has set that."""
    capacity_at: datetime | None = None
    counted: tuple[str, ...] = ()
    """What it had after its last claim under such a capacity; claims that the index shows later."""

    @property
    def available(self) -> bool:
        """Whether it is offered work at all."""
        cause = self.causes.get("unavailable")
        return cause is None or not cause.withheld

    @property
    def withheld_because(self) -> str:
        """Why it is given no tasks; empty when it is."""
        withheld = sorted(name for name, cause in self.causes.items() if cause.withheld)
        return f"Agent {self.agent_id} is given no tasks: {', '.join(withheld)}." if withheld else ""


def follow_agent(command: FollowAgent, past: Past, context: Context) -> Facts:
    """Remember the newest word on each cause; an older one that comes late is let pass."""
    known = past.of(Agent, command.agent_id).causes.get(command.cause)
    if known is not None and known.at >= command.at:
        return []
    return [AgentFollowed(**command.model_dump())]


def follow_capabilities(command: FollowCapabilities, past: Past, context: Context) -> Facts:
    """Remember the newest word on what an agent can do."""
    known = past.of(Agent, command.agent_id).capabilities_at
    if known is not None and known >= command.at:
        return []
    return [CapabilitiesFollowed(**command.model_dump())]


def follow_phases(command: FollowPhases, past: Past, context: Context) -> Facts:
    """Remember the newest word on where an agent works."""
    known = past.of(Agent, command.agent_id)
    if known.phases_at is None and not command.phases:
        return []
    if known.phases_at is not None and known.phases_at >= command.at:
        return []
    return [PhasesFollowed(**command.model_dump())]


def follow_capacity(command: FollowCapacity, past: Past, context: Context) -> Facts:
    """Remember the newest word on how many tasks an agent may have; of most nobody ever sets it."""
    known = past.of(Agent, command.agent_id)
    if command.capacity == known.capacity or (known.capacity_at and known.capacity_at >= command.at):
        return []
    return [CapacityFollowed(**command.model_dump())]


def refuse_quarantined(agent: Agent) -> None:
    """Refuse an agent that is in quarantine."""
    cause = agent.causes.get("quarantine")
    if cause is not None and cause.withheld:
        raise AgentIsQuarantined(
            f"Agent {agent.agent_id} is quarantined: {cause.sentence} It gets no tasks until a guardian "
            f"releases it: omoi agents release {agent.agent_id}.",
            agent_id=agent.agent_id,
            reason=cause.reason,
        )


AgentEvent = (
    AgentFollowed
    | CapabilitiesFollowed
    | PhasesFollowed
    | CapacityFollowed
    | AgentClaimsCounted
    | AgentAssigned
    | TaskPickedUp
    | AssignmentLapsed
)


def evolve(agent: Agent, event: AgentEvent) -> Agent:
    """The agent after `event`."""
    match event:
        case AgentFollowed():
            cause = Withheld(event.withheld, event.reason, event.at)
            return replace(agent, agent_id=event.agent_id, causes={**agent.causes, event.cause: cause})
        case CapabilitiesFollowed(agent_id=agent_id, capabilities=known, at=at):
            registrar = event.registered_by or agent.registered_by
            return replace(
                agent, agent_id=agent_id, capabilities=known, capabilities_at=at, registered_by=registrar
            )
        case PhasesFollowed(agent_id=agent_id, phases=phases, at=at):
            return replace(agent, agent_id=agent_id, phases=phases, phases_at=at)
        case CapacityFollowed(agent_id=agent_id, capacity=capacity, at=at):
            return replace(agent, agent_id=agent_id, capacity=capacity, capacity_at=at, counted=())
        case AgentClaimsCounted(agent_id=agent_id, task_ids=task_ids):
            return replace(agent, agent_id=agent_id, counted=task_ids)
        case AgentAssigned():
            assigned = {**agent.assigned, event.task_id: event.claim_epoch}
            return replace(agent, agent_id=event.agent_id, assigned=assigned)
        case TaskPickedUp() | AssignmentLapsed():
            others = {task: epoch for task, epoch in agent.assigned.items() if task != event.task_id}
            return replace(agent, assigned=others)


AGENT = Aggregate(Agent, evolve, "agent_id")
