"""Tasks as memory knows them: what they are about, what they were given, and how they ended."""

from dataclasses import dataclass, replace
from datetime import datetime

from services.memory.gist import shortened
from shared.contracts.memory import (
    FollowTask,
    MemoryClaimFollowed,
    MemoryContextSuggested,
    MemorySuggestionSettled,
    MemoryTaskFollowed,
)
from shared.kernel.decider import Aggregate, Context, Facts, Past, Refused

TITLE_CHARACTERS, DESCRIPTION_CHARACTERS = 200, 2000
MAX_CLAIMANTS = 20
"""Of one attempt, the latest; it is handed over more often hardly ever."""


class TaskNotFound(Refused):
    """Memory has not heard of the task."""


@dataclass(frozen=True)
class Task:
    """A task; without a ticket it is not known yet."""

    task_id: str = ""
    ticket_id: str = ""
    phase_id: str = ""
    task_type: str = ""
    title: str = ""
    description: str = ""
    attempt: int = 0
    """The latest that was claimed."""
    claimants: tuple[str, ...] = ()
    """Agents who have or had that attempt, and who claimed it for them."""
    given: tuple[str, ...] = ()
    """Memories whose effect is not known yet."""
    ended: int = 0
    """The last attempt that is known to have ended the task."""
    success: bool = False
    ended_at: datetime | None = None
    told: tuple[str, ...] = ()
    """Memories for which that end was counted."""

    @property
    def goal(self) -> str:
        """What it is to achieve."""
        return f"{self.title}\n{self.description}".strip()


def follow_task(command: FollowTask, past: Past, _: Context) -> Facts:
    """A task is made once."""
    if past.of(Task, command.task_id).ticket_id:
        return []
    told = dict(command) | {
        "title": shortened(command.title, TITLE_CHARACTERS),
        "description": shortened(command.description, DESCRIPTION_CHARACTERS),
    }
    return [MemoryTaskFollowed(**told)]


def task_not_found(task_id: str) -> TaskNotFound:
    """The refusal for a task that memory does not know."""
    return TaskNotFound(
        f"Memory knows no task {task_id}. Check the id; if it was made a moment ago, try again.",
        task_id=task_id,
    )


TaskEvent = MemoryTaskFollowed | MemoryClaimFollowed | MemoryContextSuggested | MemorySuggestionSettled


def evolve(task: Task, event: TaskEvent) -> Task:
    """The task after `event`."""
    match event:
        case MemoryTaskFollowed():
            return replace(task, **dict(event))
        case MemoryClaimFollowed():
            before = task.claimants if event.attempt == task.attempt else ()
            named = dict.fromkeys((*before, event.agent_id, *filter(None, [event.claimed_by])))
            return replace(task, attempt=event.attempt, claimants=tuple(named)[-MAX_CLAIMANTS:])
        case MemoryContextSuggested():
            if event.attempt <= task.ended:
                return replace(task, told=(*task.told, *event.memory_ids))
            return replace(task, given=(*task.given, *event.memory_ids))
        case MemorySuggestionSettled():
            return replace(
                task,
                ended=event.attempt,
                success=event.success,
                ended_at=event.at,
                told=task.given,
                given=(),
            )


TASK = Aggregate(Task, evolve, key="task_id")
