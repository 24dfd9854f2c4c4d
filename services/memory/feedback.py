"""What people and agents say of memories and patterns."""

from dataclasses import dataclass
from uuid import uuid5

from services.memory.memory import Memory, not_found, scored
from services.memory.pattern import Pattern, pattern_not_found, rated
from shared.contracts.memory import FeedbackRef, GiveFeedback, MemoryFeedbackGiven
from shared.kernel.decider import NAMESPACE, Aggregate, Context, Fact, Facts, Past


@dataclass(frozen=True)
class Feedback:
    """One actor's opinion of one thing, at one task or in general."""

    rating: str = ""


def give_feedback(command: GiveFeedback, past: Past, context: Context) -> Facts:
    """An opinion counts as an outcome; another one of the same actor counts when it has changed."""
    about = command.memory_id or command.pattern_id
    feedback_id = str(uuid5(NAMESPACE, f"feedback/{context.actor}/{about}/{command.task_id}"))
    counted = _counted(command, past, context)
    if past.of(Feedback, feedback_id).rating == command.rating:
        return [FeedbackRef(feedback_id=feedback_id, counted=False)]
    given = MemoryFeedbackGiven(
        feedback_id=feedback_id, **command.model_dump(), actor=context.actor, at=context.at
    )
    return [given, counted, FeedbackRef(feedback_id=feedback_id, counted=True)]


def _counted(command: GiveFeedback, past: Past, context: Context) -> Fact:
    helpful = command.rating == "helpful"
    if command.memory_id is not None:
        memory = past.of(Memory, command.memory_id)
        if not memory.kept:
            raise not_found(command.memory_id)
        return scored(memory, helpful, context.at, source="feedback", task_id=command.task_id)
    assert command.pattern_id is not None, "the contract asks for one of the two"
    pattern = past.of(Pattern, command.pattern_id)
    if not pattern.holds:
        raise pattern_not_found(command.pattern_id)
    return rated(pattern, helpful, context.at)


def evolve(_: Feedback, event: MemoryFeedbackGiven) -> Feedback:
    """The opinion after `event`."""
    return Feedback(event.rating)


FEEDBACK = Aggregate(Feedback, evolve, key="feedback_id")
