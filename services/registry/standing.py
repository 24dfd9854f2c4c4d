"""What people and agents change about an agent: what it can do, whether it is offered work, quarantine."""

from services.registry.agent import UPDATABLE, Agent, authorise, known, normalised, present, trimmed
from shared.contracts.agent import (
    AgentAvailabilityChanged,
    AgentQuarantined,
    AgentReleased,
    AgentUpdated,
    Quarantine,
    Release,
    SetAvailability,
    Update,
)
from shared.kernel.decider import Context, Facts, Past


def update(command: Update, past: Past, context: Context) -> Facts:
    """Only what is different is a fact."""
    agent = present(past, command.agent_id)
    authorise(agent, context)
    wanted = _wanted(command)
    changed = {name: value for name, value in wanted.items() if value != _now(agent, name)}
    if not changed:
        return []
    return [AgentUpdated(agent_id=command.agent_id, **changed, actor=context.actor, at=context.at)]


def _wanted(command: Update) -> dict[str, object]:
    said = {name: getattr(command, name) for name in UPDATABLE if getattr(command, name) is not None}
    if command.capabilities is not None:
        said["capabilities"] = normalised(command.capabilities)
    if command.tags is not None:
        said["tags"] = trimmed(command.tags)
    return said


def _now(agent: Agent, name: str) -> object:
    return agent.phases or () if name == "phases" else getattr(agent, name)


def set_availability(command: SetAvailability, past: Past, context: Context) -> Facts:
    """Whether work is offered to an agent is no matter of its health."""
    agent = present(past, command.agent_id)
    authorise(agent, context)
    if agent.available == command.available:
        return []
    return [AgentAvailabilityChanged(agent_id=command.agent_id, available=command.available, at=context.at)]


def quarantine(command: Quarantine, past: Past, context: Context) -> Facts:
    """A quarantine outlasts beats, sessions and leaving; only a release ends it."""
    agent = known(past, command.agent_id)
    if agent.quarantine_reason is not None:
        return []
    return [
        AgentQuarantined(
            agent_id=command.agent_id,
            session=agent.session,
            reason=command.reason,
            actor=context.actor,
            at=context.at,
        )
    ]


def release(command: Release, past: Past, context: Context) -> Facts:
    """The agent is then what its beats say."""
    agent = known(past, command.agent_id)
    if agent.quarantine_reason is None:
        return []
    return [
        AgentReleased(
            agent_id=command.agent_id,
            session=agent.session,
            reason=command.reason,
            actor=context.actor,
            at=context.at,
        )
    ]
