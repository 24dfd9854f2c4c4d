"""How many tasks an agent may have at a time, where a guardian has set that; others claim as they like."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.scheduler.agent import Agent
from services.scheduler.decision import Decision
from services.scheduler.task import Task
from shared.contracts.task import AgentClaimsCounted
from shared.kernel.decider import Lookup


@dataclass(frozen=True)
class ClaimsOf(Lookup[tuple[str, ...]]):
    """Ids of the tasks an agent has."""

    holds = Task

    agent_id: str


@dataclass(frozen=True)
class Allotment:
    """What an agent may have, and what it has."""

    capacity: int
    task_ids: frozenset[str]

    @property
    def room(self) -> int:
        """How many more it may claim."""
        return max(0, self.capacity - len(self.task_ids))


def allotment(decision: Decision, agent: Agent) -> Allotment | None:
    """None for an agent whose capacity nobody has set."""
    if agent.capacity is None:
        return None
    found = {*decision.find(ClaimsOf(agent.agent_id)), *agent.counted}
    tasks = (decision.of(Task, task_id) for task_id in found)
    has = (task.task_id for task in tasks if task.claimed and task.agent_id == agent.agent_id)
    return Allotment(agent.capacity, frozenset(has))


def counted(decision: Decision, agent_id: str, allotted: Allotment, won: Iterable[str]) -> Allotment:
    """The allotment with what the agent has won, which is noted: claims of one moment must see each other."""
    after = Allotment(allotted.capacity, allotted.task_ids | set(won))
    if after != allotted:
        decision.record(
            AgentClaimsCounted(agent_id=agent_id, task_ids=tuple(sorted(after.task_ids)), at=decision.at)
        )
    return after
