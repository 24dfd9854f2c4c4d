"""An assignment: whether a task is to be given to the agent that fits it best, and what came of that."""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.contracts.task import TaskAssignmentEnded, TaskAssignmentRequested
from shared.kernel.decider import Aggregate


@dataclass(frozen=True)
class Assignment:
    """The assignments of one task, of which the last one may be open."""

    task_id: str = ""
    request: int = 0
    """How often it was asked for."""
    open: bool = False
    requested_at: datetime | None = None
    agent_id: str | None = None
    """Who got the task."""
    reason: str = ""
    """Why nobody did."""


def evolve(assignment: Assignment, event: TaskAssignmentRequested | TaskAssignmentEnded) -> Assignment:
    """The assignment after `event`."""
    match event:
        case TaskAssignmentRequested():
            return Assignment(event.task_id, event.request, open=True, requested_at=event.at)
        case TaskAssignmentEnded():
            return replace(assignment, open=False, agent_id=event.agent_id, reason=event.reason)


ASSIGNMENT = Aggregate(Assignment, evolve, "task_id")
