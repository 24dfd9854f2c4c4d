"""What people and agents say of memories and patterns."""

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid5

from services.memory.memory import Memory, not_found, scored
from services.memory.pattern import Pattern, pattern_not_found, rated
from services.memory.task import Task, task_not_found
from shared.contracts.memory import FeedbackRef, GiveFeedback, MemoryFeedbackGiven
from shared.kernel.decider import NAMESPACE, Aggregate, Context, Fact, Facts, Past, Refused


class MemoryNotTold(Refused):
    """The task was not told of the memory."""


@dataclass(frozen=True)
class Feedback:
    """One actor's opinion of one thing."""

    rating: str = ""
    at: datetime | None = None


def give_feedback(command: GiveFeedback, past: Past, context: Context) -> Facts:
    """An opinion counts as an outcome; another one of the same actor takes its place."""
    _check_task(command, past)
    about = command.memory_id or command.pattern_id
    feedback_id = str(uuid5(NAMESPACE, f"feedback/{context.actor}/{about}"))
    before = past.of(Feedback, feedback_id)
    counted = _counted(command, before, past, context)
    if before.rating == command.rating:
        return [FeedbackRef(feedback_id=feedback_id, counted=False)]
    given = MemoryFeedbackGiven(
        feedback_id=feedback_id, **command.model_dump(), actor=context.actor, at=context.at
    )
    return [given, counted, FeedbackRef(feedback_id=feedback_id, counted=True)]


def _check_task(command: GiveFeedback, past: Past) -> None:
    """Raises TaskNotFound or MemoryNotTold where a task is named."""
    if command.task_id is None:
        return
    task = past.of(Task, command.task_id)
    if not task.ticket_id:
        raise task_not_found(command.task_id)
    if command.memory_id is not None and command.memory_id not in (*task.given, *task.told):
        raise MemoryNotTold(
            f"Task {command.task_id} was not told of memory {command.memory_id}. Leave the task out, or name "
            "one that was.",
            task_id=command.task_id,
            memory_id=command.memory_id,
        )


def _counted(command: GiveFeedback, before: Feedback, past: Past, context: Context) -> Fact:
    helpful = command.rating == "helpful"
    if command.memory_id is not None:
        memory = past.of(Memory, command.memory_id)
        if not memory.kept:
            raise not_found(command.memory_id)
        source = {"source": "feedback", "task_id": command.task_id, "replaces_at": before.at}
        return scored(memory, helpful, context.at, **source)
    assert command.pattern_id is not None, "the contract asks for one of the two"
    pattern = past.of(Pattern, command.pattern_id)
    if not pattern.holds:
        raise pattern_not_found(command.pattern_id)
    return rated(pattern, helpful, context.at, before.at)


def evolve(_: Feedback, event: MemoryFeedbackGiven) -> Feedback:
    """The opinion after `event`."""
    return Feedback(event.rating, event.at)


FEEDBACK = Aggregate(Feedback, evolve, key="feedback_id")
