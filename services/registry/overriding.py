"""What guardians decide over agents: who has how much capacity, and who gets no work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.registry.agent import Agent, absence, evolve
from services.registry.intervention import Intervention
from shared.contracts.agent import (
    CAPACITY_MAX,
    AgentQuarantined,
    AgentReleased,
    AgentUpdated,
    ApplyIntervention,
    RevertIntervention,
)
from shared.contracts.guardian import Change
from shared.contracts.messages import Event
from shared.kernel.decider import Context, Past, Refused


class SameAgent(Refused):
    """Capacity moves from one agent to another one."""


class CapacityExhausted(Refused):
    """The agent would have nothing left."""


class CapacityTooLarge(Refused):
    """No agent may have so much."""


class AgentAlreadyQuarantined(Refused):
    """The agent gets no work already."""


class WorldMovedOn(Refused):
    """Something is not as the intervention had left it."""

    def __init__(self, changed: Mapping[str, Change]) -> None:
        super().__init__(f"It cannot be undone: {', '.join(changed)} changed since.")
        self.changed = dict(changed)


@dataclass(frozen=True)
class Changed:
    """What was and what is, as far as it was changed."""

    facts: Sequence[Event]
    before: dict[str, Any]
    after: dict[str, Any]


def reallocate(command: ApplyIntervention, past: Past, context: Context) -> Changed | Refused:
    """Take capacity from one agent and give it to another one; what runs goes on."""
    aim, moved = command.intended, command.intended.capacity or 0
    source, target = past.of(Agent, aim.from_agent or ""), past.of(Agent, aim.to_agent or "")
    absent = absence(source, aim.from_agent or "") or absence(target, aim.to_agent or "")
    if problem := absent or _impossible(source, target, moved):
        return problem
    made = {source.agent_id: source.capacity - moved, target.agent_id: target.capacity + moved}
    through = command.intervention_id
    facts = [_allocated(agent_id, capacity, through, context) for agent_id, capacity in made.items()]
    before = {
        "capacity": {agent.agent_id: agent.capacity for agent in (source, target)},
        "allocated_by": {agent.agent_id: agent.allocated_by for agent in (source, target)},
    }
    return Changed(facts, before, {"capacity": made})


def _impossible(source: Agent, target: Agent, moved: int) -> Refused | None:
    if source.agent_id == target.agent_id:
        return SameAgent(f"{source.agent_id} cannot give capacity to itself. Name two agents.")
    if source.capacity - moved < 1:
        most = source.capacity - 1
        return CapacityExhausted(
            f"Agent {source.agent_id} has capacity {source.capacity} and keeps at least 1: "
            + (f"move {most} at most." if most else "none can be moved."),
            agent_id=source.agent_id,
            capacity=source.capacity,
        )
    if target.capacity + moved > CAPACITY_MAX:
        return CapacityTooLarge(
            f"Agent {target.agent_id} has capacity {target.capacity}; {CAPACITY_MAX} is the most there is.",
            agent_id=target.agent_id,
            capacity=target.capacity,
        )
    return None


def _allocated(agent_id: str, capacity: int, through: str | None, context: Context) -> AgentUpdated:
    return AgentUpdated(
        agent_id=agent_id, capacity=capacity, allocated_by=through, actor=context.actor, at=context.at
    )


def return_capacity(command: RevertIntervention, past: Past, context: Context) -> Changed | WorldMovedOn:
    """Give both agents what they had, unless somebody has changed that since, or one has left."""
    applied = past.of(Intervention, command.intervention_id)
    left, was = applied.after["capacity"], applied.before["capacity"]
    agents = [past.of(Agent, agent_id) for agent_id in left]
    moved = {
        f"capacity of {agent.agent_id}": Change(
            left_as=left[agent.agent_id], is_now=_now(agent), by=_by(agent)
        )
        for agent in agents
        if agent.allocated_by != command.intervention_id
    }
    if moved:
        return WorldMovedOn(moved)
    through = applied.before["allocated_by"]
    facts = [_allocated(agent_id, was[agent_id], through[agent_id], context) for agent_id in left]
    return Changed(facts, {"capacity": left}, {"capacity": was})


def _now(agent: Agent) -> int | str:
    return agent.capacity if agent.here else "none: it has left"


def _by(agent: Agent) -> str | None:
    return agent.capacity_said_by if agent.here else None


def quarantine(command: ApplyIntervention, past: Past, context: Context) -> Changed | Refused:
    """Give an agent no more work, and take what it has."""
    agent_id = command.intended.agent_id or ""
    agent = past.of(Agent, agent_id)
    if absent := absence(agent, agent_id):
        return absent
    if agent.quarantine_reason is not None:
        return AgentAlreadyQuarantined(
            f"Agent {agent.agent_id} is in quarantine already: {agent.quarantine_reason}",
            agent_id=agent.agent_id,
        )
    quarantined = AgentQuarantined(
        agent_id=agent.agent_id,
        session=agent.session,
        reason=command.reason,
        actor=context.actor,
        intervention_id=command.intervention_id,
        at=context.at,
    )
    before = {"status": agent.status, "tasks": list(agent.tasks)}
    return Changed([quarantined], before, {"status": "QUARANTINED", "reason": command.reason})


def release(command: RevertIntervention, past: Past, context: Context) -> Changed | WorldMovedOn:
    """Let an agent have work again; the tasks that it had have gone to others, or wait for somebody."""
    applied = past.of(Intervention, command.intervention_id)
    agent = past.of(Agent, command.intended.agent_id or "")
    if agent.quarantined_through != command.intervention_id or not agent.here:
        by = agent.quarantine_changed_by if agent.here else None
        return WorldMovedOn({"status": Change(left_as="QUARANTINED", is_now=agent.status, by=by)})
    released = AgentReleased(
        agent_id=agent.agent_id,
        session=agent.session,
        reason=command.reason,
        actor=context.actor,
        at=context.at,
    )
    after = {
        "status": evolve(agent, released).status,
        "not_restored": {"tasks": applied.before["tasks"]},
    }
    return Changed([released], {"status": "QUARANTINED"}, after)
