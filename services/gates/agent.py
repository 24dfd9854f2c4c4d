"""What gates knows of an agent: what it can do."""

from dataclasses import dataclass

from shared.contracts.gate import FollowAgent, GateAgentFollowed
from shared.kernel.decider import Aggregate, Context, Facts, Past

VALIDATION = "validation"
"""The capability of agents that review."""


@dataclass(frozen=True)
class Agent:
    """An agent; without a session it is not known."""

    session: int = 0
    capabilities: tuple[str, ...] = ()


def follow_agent(command: FollowAgent, past: Past, _: Context) -> Facts:
    """What it says of itself in its newest session counts."""
    told = Agent(command.session, command.capabilities)
    known = past.of(Agent, command.agent_id)
    if told == known or told.session < known.session:
        return []
    return [GateAgentFollowed(**command.model_dump())]


def evolve(_: Agent, event: GateAgentFollowed) -> Agent:
    """The agent after `event`."""
    return Agent(event.session, event.capabilities)


AGENT = Aggregate(Agent, evolve, key="agent_id")
