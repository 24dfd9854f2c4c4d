"""Memory: what was learnt from the work, which of it helps, and what tends to succeed or fail."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from shared.contracts.messages import Authority, Command, Contract, Event, Key, Moment, Query, Result

MemoryType = Literal["error_fix", "discovery", "decision", "learning", "warning", "codebase_knowledge"]
PatternKind = Literal["success", "failure", "optimization", "discovery"]
Rating = Literal["helpful", "not_helpful"]
SearchMode = Literal["hybrid", "semantic", "keyword"]
Kind = Annotated[MemoryType, Field(description="What sort of knowledge it is.")]
Limit = Annotated[int, Field(ge=1, le=100, description="At most so many, the best first.")]
SearchText = Annotated[
    str, Field(min_length=1, max_length=20_000, description="What is looked for, in words of any kind.")
]
Probability = Annotated[float, Field(ge=0, le=1)]
Lines = tuple[str, ...]


class MemoryRef(Result):
    """The memory that the command made or changed, and its score now."""

    memory_id: Key
    score: float


class FeedbackRef(Result):
    """Which opinion was kept."""

    feedback_id: Key
    counted: bool = Field(description="False when the same was said before by the same actor.")


class SuggestionRef(Result):
    """Which memories a task was given."""

    task_id: Key
    memory_ids: tuple[Key, ...]


class PatternRefs(Result):
    """Which patterns were learnt anew, or have changed."""

    pattern_ids: tuple[Key, ...]


class Store(Command):
    """Remember something. What tasks come to is remembered without this."""

    creates = "memory_id"

    memory_id: Key | None = None
    summary: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)] = Field(
        description="What is to be remembered, in words."
    )
    memory_type: Kind = "learning"
    goal: str = Field(default="", max_length=4000, description="What was to be achieved.")
    result: dict[str, Any] = Field(
        default_factory=dict, description="What came of it; at most 8 KiB of JSON."
    )
    success: bool = Field(default=True, description="Whether the goal was reached.")
    error_patterns: Annotated[Lines, Field(max_length=20)] = Field(
        default=(), description="First lines of the errors that were met, 300 characters of each."
    )
    tags: tuple[Key, ...] = Field(default=(), max_length=32)
    task_id: Key | None = None
    ticket_id: Key | None = None
    phase_id: Key | None = None
    task_type: Key | None = None


class NoteSuggestion(Command):
    """Say which memories a task was given: its outcome then moves their scores.

    Whoever has, or had, the claim of that attempt may, and anybody from MONITOR authority up.
    """

    task_id: Key
    attempt: int = Field(default=1, ge=1, description="The attempt that was given them.")
    memory_ids: tuple[Key, ...] = Field(min_length=1, max_length=50)


class ExtractPatterns(Command):
    """Learn patterns from what is remembered now. Memory does it by itself soon after a task has ended."""

    task_type: Key | None = Field(
        default=None, description="Only of this type; of the hundred types used last when absent."
    )


class GiveFeedback(Command):
    """Say whether a memory or a pattern helped. Each actor has one opinion of it: the newest."""

    memory_id: Key | None = None
    pattern_id: Key | None = None
    rating: Rating = Field(description="`helpful` or `not_helpful`.")
    task_id: Key | None = Field(default=None, description="The task that was told of it.")
    comment: str = Field(default="", max_length=2000, description="Why, for people.")

    @model_validator(mode="after")
    def _about_one_thing(self) -> "GiveFeedback":
        if (self.memory_id is None) == (self.pattern_id is None):
            raise ValueError("name either a memory_id or a pattern_id")
        return self


class Forget(Command):
    """Erase a memory's text and vector from all that is searched or suggested; the log keeps the words.

    Whoever stored it may, and anybody from MONITOR authority up."""

    memory_id: Key
    reason: str = Field(default="", max_length=2000, description="Why, for the history.")


class FollowTask(Command):
    """Remember what a task is about. Sent by memory when it hears that one was made."""

    authority = Authority.SYSTEM

    task_id: Key
    ticket_id: Key
    phase_id: Key
    task_type: Key
    title: str
    description: str


class FollowClaim(Command):
    """An agent has a task. Sent by memory when it hears of it."""

    authority = Authority.SYSTEM

    task_id: Key
    ticket_id: Key
    attempt: int
    agent_id: Key
    claimed_by: str | None = Field(default=None, description="Actor who claimed it for the agent.")


class CaptureOutcome(Command):
    """A task ended: remember what it came to, and count that for what it used. Sent by memory."""

    authority = Authority.SYSTEM

    memory_id: Key
    task_id: Key
    ticket_id: Key
    phase_id: Key
    task_type: Key
    attempt: int
    agent_id: Key | None = None
    success: bool
    memory_type: MemoryType
    summary: str
    result: dict[str, Any] = Field(default_factory=dict)
    error_patterns: Lines = ()
    at: Moment


class NoteDiscovery(Command):
    """Something was found at a task. Sent by memory when it hears of it."""

    authority = Authority.SYSTEM

    discovery_id: Key
    discovery_type: Key
    task_id: Key
    ticket_id: Key
    phase_id: Key
    at: Moment


class MemoryTaskFollowed(Event):
    """Memory knows what a task is about."""

    task_id: Key
    ticket_id: Key
    phase_id: Key
    task_type: Key
    title: str
    description: str


class MemoryClaimFollowed(Event):
    """Memory knows who has an attempt of a task."""

    task_id: Key
    ticket_id: Key
    attempt: int
    agent_id: Key
    claimed_by: str | None = None


class MemoryStored(Event):
    """Something is remembered. Its vector is computed from `text` and is no part of the log."""

    key = "memory_id"

    memory_id: Key
    memory_type: MemoryType
    summary: str
    goal: str = ""
    result: dict[str, Any] = Field(default_factory=dict)
    success: bool
    error_patterns: Lines = ()
    tags: tuple[Key, ...] = ()
    task_id: Key | None = Field(default=None, description="The task it comes from.")
    attempt: int | None = None
    ticket_id: Key | None = None
    phase_id: Key | None = None
    task_type: Key | None = None
    agent_id: Key | None = Field(default=None, description="Who did the task.")
    actor: str = Field(description="Who stored it; `memory` for what was captured.")
    captured: bool = Field(default=False, description="Whether it was taken from a task's end.")
    at: Moment


class MemoryContextSuggested(Event):
    """A task was given memories."""

    task_id: Key
    ticket_id: Key
    memory_ids: tuple[Key, ...]
    attempt: int
    actor: str
    at: Moment


class MemorySuggestionSettled(Event):
    """A task that may have been given memories has ended."""

    key = "task_id"

    task_id: Key
    ticket_id: Key | None = Field(default=None, description="Its ticket, which is the subject's key then.")
    attempt: int
    success: bool
    at: Moment

    def subject_key(self) -> str:
        """The ticket's id where it is known."""
        return self.ticket_id or self.task_id


class MemoryScored(Event):
    """An outcome counts for or against a memory."""

    key = "memory_id"

    memory_id: Key
    success: bool
    source: Literal["task", "feedback"]
    task_id: Key | None = None
    attempt: int | None = None
    score: float = Field(description="After it: 0 to 1, one half where nothing is known.")
    at: Moment
    replaces_at: Moment | None = Field(
        default=None, description="When the same actor said the opposite, which counts no more."
    )


class MemoryFeedbackGiven(Event):
    """Somebody said whether a memory or a pattern helped."""

    key = "feedback_id"

    feedback_id: Key
    memory_id: Key | None = None
    pattern_id: Key | None = None
    rating: Rating
    task_id: Key | None = None
    comment: str = ""
    actor: str
    at: Moment


class MemoryForgotten(Event):
    """A memory's text and vector are gone from everything that is searched or suggested.

    The log keeps the words.
    """

    key = "memory_id"

    memory_id: Key
    reason: str
    actor: str
    at: Moment


class MemoryDiscoveryNoted(Event):
    """Memory knows of something that was found at a task."""

    key = "discovery_id"

    discovery_id: Key
    discovery_type: Key
    task_id: Key
    task_type: Key
    ticket_id: Key
    phase_id: Key
    at: Moment


class MemoryPatternLearned(Event):
    """What tends to happen with tasks of a type, as far as samples tell."""

    key = "pattern_id"

    pattern_id: Key
    kind: PatternKind
    task_type: Key
    phase_id: Key | None = Field(default=None, description="Of a `discovery` pattern.")
    discovery_type: Key | None = Field(default=None, description="Of a `discovery` pattern.")
    indicators: Lines
    recommended_memory_ids: tuple[Key, ...] = ()
    samples: int = Field(description="0 where what was learnt does not hold any more.")
    successes: float = Field(description="Samples that bear it out, each the less the older it is.")
    failures: float = Field(description="Samples that speak against it, weighed alike.")
    confidence: float
    at: Moment


class MemoryPatternScored(Event):
    """Feedback counts for or against a pattern."""

    key = "pattern_id"

    pattern_id: Key
    success: bool
    confidence: float
    at: Moment
    replaces_at: Moment | None = Field(
        default=None, description="When the same actor said the opposite, which counts no more."
    )


class Search(Query):
    """Find memories by meaning, by words, or by both."""

    text: SearchText
    mode: SearchMode = "hybrid"
    limit: Limit = 10
    memory_type: MemoryType | None = None
    task_type: Key | None = None
    ticket_id: Key | None = None
    success: bool | None = Field(default=None, description="Only what succeeded, or only what failed.")
    min_similarity: Probability = Field(
        default=0.0, description="Leave out what is known to be less similar."
    )


class SuggestContext(Query):
    """What a task should know of what was learnt before. Asking leaves no trace: `note_suggestion` does."""

    task_id: Key | None = None
    text: str = Field(
        default="", max_length=20_000, description="What the task is about; its own words when empty."
    )
    task_type: Key | None = Field(
        default=None, description="Patterns of this type; the task's own if absent."
    )
    limit: Annotated[int, Field(ge=1, le=50, description="At most so many, the best first.")] = 5

    @model_validator(mode="after")
    def _about_something(self) -> "SuggestContext":
        if self.task_id is None and not self.text.strip():
            raise ValueError("name a task_id or give a text")
        return self


class SearchPatterns(Query):
    """Patterns that were learnt, the most certain first."""

    task_type: Key | None = None
    phase_id: Key | None = Field(default=None, description="Patterns of this phase, and those of any phase.")
    kind: PatternKind | None = None
    discovery_type: Key | None = None
    text: str = Field(default="", max_length=1000, description="Words that an indicator must hold.")
    min_confidence: Probability = 0.0
    limit: Limit = 20


class GetMemory(Query):
    """All about one memory."""

    memory_id: Key


class Recommended(Contract):
    """A memory that a pattern points to."""

    memory_id: Key
    summary: str


class EmbeddingModel(Contract):
    """Which model made a vector. Vectors of two models are never compared."""

    provider: str
    model: str
    version: str


class MemorySummary(Result):
    """A memory as it is listed."""

    memory_id: Key
    memory_type: MemoryType
    summary: str
    goal: str
    success: bool
    error_patterns: Lines = ()
    tags: tuple[Key, ...] = ()
    task_id: Key | None = None
    ticket_id: Key | None = None
    phase_id: Key | None = None
    task_type: Key | None = None
    score: float = Field(
        description="How well it served: the posterior mean of a Beta(1,1) with the outcomes of the tasks "
        "that used it and with feedback, older ones counting less."
    )
    uses: int = Field(default=0, description="Outcomes that count in the score.")
    stored_at: Moment


class Match(MemorySummary):
    """A memory that was found."""

    rank_score: float = Field(description="Reciprocal rank fusion of its places by meaning and by words.")
    similarity: float | None = Field(
        description="0 to 1, alike for all embedding providers; null when it has no vector of today's model."
    )
    found_by: tuple[Literal["semantic", "keyword"], ...]


class Matches(Result):
    """What was found, the best first."""

    memories: tuple[Match, ...]
    mode: SearchMode = Field(description="How it was searched after all.")
    degraded: str = Field(default="", description="Why it was not searched as asked, and what would help.")


class MemoryView(MemorySummary):
    """All about one memory, and where it comes from."""

    result: dict[str, Any]
    attempt: int | None = None
    agent_id: Key | None = None
    actor: str
    captured: bool
    suggested: bool = Field(description="Whether it may be suggested: its score has not fallen too low.")
    embedding: EmbeddingModel | None = Field(
        default=None, description="The model of its vector; null while it has none."
    )
    embedding_problem: str = Field(default="", description="Why today's model makes no vector of it.")


class TaskPattern(Result):
    """What tends to happen with tasks of a type."""

    pattern_id: Key
    kind: PatternKind
    task_type: Key
    phase_id: Key | None = None
    discovery_type: Key | None = None
    indicators: Lines = Field(description="Words and first lines of errors that go with it.")
    recommended_context: tuple[Recommended, ...] = ()
    confidence: float = Field(
        description="Posterior mean of a Beta(1,1) with the samples and the feedback, decayed by age."
    )
    samples: int
    successes: float
    failures: float
    learned_at: Moment


class Patterns(Result):
    """The patterns found, the most certain first."""

    patterns: tuple[TaskPattern, ...]


class Suggestion(Result):
    """What a task should know of what was learnt before."""

    memories: tuple[Match, ...]
    patterns: tuple[TaskPattern, ...] = ()
    degraded: str = ""
