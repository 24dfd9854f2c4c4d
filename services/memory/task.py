"""Tasks as memory knows them: what they are about, what they were given, and how they ended."""

from dataclasses import dataclass, replace
from datetime import datetime

from services.memory.gist import shortened
from services.memory.memory import Memory, not_found, scored
from shared.contracts.memory import (
    FollowTask,
    MemoryContextSuggested,
    MemorySuggestionSettled,
    MemoryTaskFollowed,
    NoteSuggestion,
    SuggestionRef,
)
from shared.kernel.decider import Aggregate, Context, Fact, Facts, Past

TITLE_CHARACTERS, DESCRIPTION_CHARACTERS = 200, 2000
MAX_GIVEN = 200
"""Memories that one task is remembered to have been given."""


@dataclass(frozen=True)
class Task:
    """A task; without a ticket it is not known yet."""

    task_id: str = ""
    ticket_id: str = ""
    phase_id: str = ""
    task_type: str = ""
    title: str = ""
    description: str = ""
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


def note_suggestion(command: NoteSuggestion, past: Past, context: Context) -> Facts:
    """The task was given these memories. One that has ended meanwhile is counted at once."""
    task = past.of(Task, command.task_id)
    memories = {memory_id: past.of(Memory, memory_id) for memory_id in dict.fromkeys(command.memory_ids)}
    for memory_id, memory in memories.items():
        if not memory.kept:
            raise not_found(memory_id)
    late = command.attempt <= task.ended
    known = task.told if late else task.given
    room = MAX_GIVEN - len(known)
    fresh = [memory for memory_id, memory in memories.items() if memory_id not in known][:room]
    ref = SuggestionRef(task_id=command.task_id, memory_ids=tuple(memories))
    if not fresh:
        return [ref]
    suggested = MemoryContextSuggested(
        task_id=command.task_id,
        memory_ids=tuple(memory.memory_id for memory in fresh),
        attempt=command.attempt,
        actor=context.actor,
        at=context.at,
    )
    counted: list[Fact] = []
    if late and task.ended_at is not None:
        source = {"source": "task", "task_id": command.task_id, "attempt": task.ended}
        counted = [scored(memory, task.success, task.ended_at, **source) for memory in fresh]
    return [suggested, *counted, ref]


def evolve(task: Task, event: MemoryTaskFollowed | MemoryContextSuggested | MemorySuggestionSettled) -> Task:
    """The task after `event`."""
    match event:
        case MemoryTaskFollowed():
            return replace(task, **dict(event))
        case MemoryContextSuggested():
            if event.attempt <= task.ended:
                return replace(task, told=(*task.told, *event.memory_ids))
            return replace(task, task_id=event.task_id, given=(*task.given, *event.memory_ids))
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
