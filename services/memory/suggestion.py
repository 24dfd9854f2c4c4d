"""Which memories a task was given, so that its outcome tells how they served."""

from services.memory.claim import refuse_stranger
from services.memory.memory import Memory, not_found, scored
from services.memory.task import Task
from shared.contracts.memory import MemoryContextSuggested, NoteSuggestion, SuggestionRef
from shared.kernel.decider import Context, Fact, Facts, Past

MAX_GIVEN = 200
"""Memories that one task is remembered to have been given."""


def note_suggestion(command: NoteSuggestion, past: Past, context: Context) -> Facts:
    """The task was given these memories. One that has ended meanwhile is counted at once."""
    task = past.of(Task, command.task_id)
    refuse_stranger(command, task, context)
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
        ticket_id=task.ticket_id,
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
