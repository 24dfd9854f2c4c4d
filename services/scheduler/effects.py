"""Asking the registry which agent fits a task that is to be assigned."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from services.scheduler.allotment import ClaimsOf
from services.scheduler.queries.lookup import claims_of, open_assignments
from services.scheduler.task import Task
from shared.contracts.agent import AgentMatch, BestFit
from shared.contracts.messages import Command
from shared.contracts.task import AssignTask, EndAssignment
from shared.kernel.asking import Asking, QueryRefused
from shared.kernel.declaration import Activity, NotNow
from shared.kernel.reading import Reading

CATCH_UP_SECONDS, CATCH_UP_TRIES = 0.02, 250


@dataclass(frozen=True)
class Wanted:
    """A task that is to be assigned, by the number of the request."""

    task_id: str
    request: int

    @property
    def key(self) -> str:
        """Asked for again, it is another piece of work."""
        return f"{self.task_id}/{self.request}"


async def pending(reading: Reading, limit: int) -> Sequence[Wanted]:
    """Tasks to be assigned, in the order in which that was asked for."""
    return [Wanted(row["task_id"], row["request"]) for row in await open_assignments(reading, limit)]


async def assign(wanted: Wanted, reading: Reading, asking: Asking) -> Sequence[Command]:
    """Give the task to the agent that fits best; when none does, say so."""
    task = await reading.state(Task, wanted.task_id)
    assert task is not None, "only tasks that there are are to be assigned"
    if task.status != "ready":
        return [_over(wanted, f"It is {task.status} already.")]
    try:
        agent_id = await _best_fit(task, reading, asking)
    except QueryRefused as refused:
        if refused.code != "no_agent_fits":
            raise
        return [_over(wanted, refused.message)]
    return [AssignTask(task_id=wanted.task_id, agent_id=agent_id, request=wanted.request)]


async def _best_fit(task: Task, reading: Reading, asking: Asking) -> str:
    """The registry hears of claims a moment later; it is asked again until it knows what its answer has."""
    query = BestFit(
        required_capabilities=task.required_capabilities, task_type=task.task_type, phase=task.phase_id
    )
    for _ in range(CATCH_UP_TRIES):
        match = AgentMatch.model_validate(await asking.query(query))
        if match.running >= len(await claims_of(ClaimsOf(match.agent_id), reading)):
            return match.agent_id
        await asyncio.sleep(CATCH_UP_SECONDS)
    raise NotNow("The registry has not heard yet which tasks its agents have", 1.0)


def _over(wanted: Wanted, reason: str) -> EndAssignment:
    return EndAssignment(task_id=wanted.task_id, request=wanted.request, reason=reason[:2000])


ASSIGNING = Activity("assigning", pending, assign, asks=[BestFit], at_once=1)
"""One after the other, so that each assignment is seen by the next."""
