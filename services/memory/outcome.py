"""What a task's end tells: a new memory, and how those that it was given have served."""

from services.memory.learning_time import learning
from services.memory.memory import Memory, scored
from services.memory.task import Task
from shared.contracts.memory import CaptureOutcome, MemoryStored, MemorySuggestionSettled
from shared.kernel.decider import Context, Fact, Facts, Past, Unavailable


def capture_outcome(command: CaptureOutcome, past: Past, context: Context) -> Facts:
    """One memory for each attempt that ended a task; every memory it was given is told how it went."""
    task = past.of(Task, command.task_id)
    if not task.ticket_id:
        raise Unavailable(f"Memory does not know task {command.task_id} yet.")
    if past.of(Memory, command.memory_id).stored_at is not None:
        return []
    told = dict(command) | {"summary": command.summary or _nothing_said(command, task)}
    return [
        MemoryStored(**told, goal=task.goal, actor=context.actor, captured=True),
        *_settled(command, task, past),
        *learning(command.task_type, context.at),
    ]


def _settled(command: CaptureOutcome, task: Task, past: Past) -> Facts:
    """How the memories that the task was given have served; an older attempt heard of late tells nothing."""
    if command.attempt <= task.ended:
        return []
    ending = {"task_id": command.task_id, "attempt": command.attempt}
    served: list[Fact] = [
        scored(memory, command.success, command.at, source="task", **ending)
        for memory in (past.of(Memory, memory_id) for memory_id in task.given)
        if memory.kept
    ]
    settled = MemorySuggestionSettled(
        **ending, ticket_id=task.ticket_id, success=command.success, at=command.at
    )
    return [settled, *served]


def _nothing_said(command: CaptureOutcome, task: Task) -> str:
    """A summary for a result without one."""
    how = "done" if command.success else "failed"
    return f"{command.task_type} {how}: {task.title}"
