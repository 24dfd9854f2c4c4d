"""The workflow document: phases, gates, task templates, columns and policies, as users write it in YAML."""

import hashlib
from typing import Annotated, Any, Literal

import orjson
from pydantic import ConfigDict, Field, model_validator

from shared.contracts.messages import Contract, Key, Priority

Seconds = Annotated[float, Field(ge=0, le=366 * 24 * 3600)]
"""A span of time, at most a leap year: what is longer was meant in another unit."""

MOST_RUNNING = 1000
"""The scheduler keeps the names of those that run where their number is limited."""

_TICKET_FIELDS = (
    "id",
    "title",
    "description",
    "priority",
    "workflow",
    "tags",
    "parent_ticket_id",
    "deadline",
    "repository",
)
PLACEHOLDERS = (
    *(f"ticket_{name}" for name in _TICKET_FIELDS),
    *_TICKET_FIELDS,
    "phase_id",
    "visit",
    "blocking_reasons",
)
"""What a template's texts may hold in braces; the scheduler fills it in."""


class _Part(Contract):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExpectedOutput(_Part):
    """An artifact that a phase must bring forth, and the rules it is judged by."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: Key = Field(description="Artifact type, for example `requirements_document` or `test_coverage`.")
    pattern: str | None = Field(default=None, description="Glob of files in the repository that hold it.")
    required: bool = Field(default=True, description="Whether the gate fails without it.")
    measured: bool = Field(
        default=False,
        description="Only evidence measured by the worker or the gate counts, not an agent's word.",
    )

    @property
    def rules(self) -> dict[str, Any]:
        """Every other field: criterion name -> its parameter, for example `min_percentage: 80`."""
        return dict(self.__pydantic_extra__ or {})


class Review(_Part):
    """A judgement of what was handed in, asked for once everything that is measured is met."""

    by: Literal["model", "agent"] = Field(
        default="model",
        description="A language model, or an agent with capability `validation` that did not do the work.",
    )
    instructions: str = Field(default="", description="What the reviewer is to look at.")
    model: str | None = Field(default=None, description="Name of the model; the configured one when absent.")
    max_rounds: int = Field(
        default=3,
        ge=1,
        le=3,
        description="Reviews of one visit; after the last one that fails a human is asked.",
    )


class Approval(_Part):
    """Consent of people, asked for once everything else is met."""

    count: int = Field(default=1, ge=1, le=50, description="How many of them must approve.")
    approvers: tuple[Key, ...] = Field(
        default=(), description="Who may; anybody with MONITOR authority when nobody is named."
    )
    expires_seconds: Annotated[float, Field(ge=1)] | None = Field(
        default=None, description="How long a request is open; for ever when absent."
    )
    instructions: str = Field(default="", description="What they are to look at.")

    @model_validator(mode="after")
    def _can_be_met(self) -> "Approval":
        if self.approvers and len(set(self.approvers)) < self.count:
            raise ValueError(f"{self.count} must approve, but only {len(set(self.approvers))} may")
        return self


class Gate(_Part):
    """What must hold before a ticket leaves a phase."""

    criteria: tuple[ExpectedOutput, ...] = Field(
        default=(), description="Criteria beside those that follow from `expected_outputs`."
    )
    all_tasks_completed: bool = Field(default=True, description="Every task of the visit must be completed.")
    review: Review | None = Field(default=None, description="A judgement that the gate waits for.")
    approval: Approval | None = Field(default=None, description="Consent that the gate waits for.")


class TaskTemplate(_Part):
    """A task generated when a ticket enters the phase; texts may hold `{ticket_title}` and the like."""

    id: Key = Field(description="Name of the template, unique in the workflow; it becomes the task's type.")
    title: str | None = Field(default=None, description="Title of the task; the template's id when absent.")
    description: str = Field(default="", description="What to do.")
    priority: Priority = Field(default=Priority.MEDIUM, description="How urgent the task is.")
    required_capabilities: tuple[str, ...] = Field(
        default=(), description="What an agent must be able to do."
    )
    depends_on: tuple[Key, ...] = Field(default=(), description="Templates of this phase that come first.")
    timeout_seconds: Seconds | None = Field(
        default=None, description="Longest an attempt may run; as the workflow says when absent."
    )
    max_retries: int | None = Field(
        default=None,
        ge=0,
        le=100,
        description="How often a failed attempt is tried again; as the workflow says when absent.",
    )
    resources: tuple[str, ...] = Field(
        default=(), description="Locks the claim takes; the task waits until all of them are free."
    )


class Phase(_Part):
    """A station of the workflow."""

    id: Key = Field(description="For example `PHASE_TESTING`.")
    name: str = Field(description="Name for people.")
    description: str = Field(default="", description="What the phase is for, in a sentence.")
    sequence_order: int = Field(
        ge=-10_000,
        le=10_000,
        description="Position on the way; leaving for a higher one needs the gate.",
    )
    allowed_transitions: tuple[Key, ...] = Field(
        default=(), description="Phases a ticket may go to from here."
    )
    is_terminal: bool = Field(default=False, description="Whether a ticket is done here.")
    done_definitions: tuple[str, ...] = Field(default=(), description="Verifiable criteria of being done.")
    expected_outputs: tuple[ExpectedOutput, ...] = Field(
        default=(), description="Artifacts the phase brings forth; the gate judges them."
    )
    phase_prompt: str = Field(default="", description="What every agent working in this phase is told.")
    next_steps_guide: str = Field(
        default="", description="What comes after this phase, told to agents and people."
    )
    gate: Gate | None = Field(default=None, description="Criteria beside the expected outputs.")
    auto_advance: bool = Field(default=False, description="Go on by itself when the gate passes.")
    on_failure: Literal["stay"] | Key = Field(
        default="stay", description="Phase to go back to when the gate fails; `stay` to wait."
    )
    max_regressions: int = Field(
        default=3, ge=0, le=100, description="Going back more often than this blocks the ticket."
    )
    tasks: tuple[TaskTemplate, ...] = Field(
        default=(), description="Tasks made each time a ticket enters the phase."
    )
    configuration: dict[str, Any] = Field(
        default_factory=dict, description="Whatever else your own tools want to know of the phase."
    )

    @property
    def gated(self) -> bool:
        """Whether leaving forward needs a passed gate."""
        return bool(self.gate or self.tasks or any(output.required for output in self.expected_outputs))


class Column(_Part):
    """A column of the board."""

    id: Key = Field(description="Name of the column, unique in the workflow.")
    name: str | None = Field(default=None, description="Name for people; the id when absent.")
    wip_limit: int | None = Field(
        default=None, ge=1, le=100_000, description="Most cards at a time; none when absent."
    )
    phases: tuple[Key, ...] = Field(
        min_length=1, description="Phases whose tickets it shows; each phase is in one column."
    )
    auto_to: Key | None = Field(default=None, description="Column a finished card is moved to.")


class RetryPolicy(_Part):
    """When a failed attempt is tried again: `initial_seconds` x `factor`^n, at most `cap_seconds`."""

    max_retries: int = Field(
        default=3, ge=0, le=100, description="For tasks that name none; after that many the task failed."
    )
    initial_seconds: Seconds = Field(default=1.0, description="Wait before the first retry.")
    factor: float = Field(default=2.0, ge=1, le=100, description="How the wait grows from one to the next.")
    cap_seconds: Seconds = Field(default=60.0, description="Longest wait.")


class Ranking(_Part):
    """How far ahead of the time it became ready a task is dispatched, in seconds."""

    critical_seconds: Seconds = Field(default=4 * 3600.0, description="For priority CRITICAL.")
    high_seconds: Seconds = Field(default=3600.0, description="For priority HIGH.")
    medium_seconds: Seconds = Field(default=15 * 60.0, description="For priority MEDIUM.")
    low_seconds: Seconds = Field(default=0.0, description="For priority LOW.")
    dependent_seconds: Seconds = Field(default=120.0, description="For each task that waits for it directly.")
    dependent_cap_seconds: Seconds = Field(
        default=20 * 60.0, description="At most for all tasks that wait for it."
    )
    deadline_seconds: Seconds = Field(default=2 * 3600.0, description="When the deadline is near.")
    deadline_within_seconds: Seconds = Field(default=15 * 60.0, description="How near that is.")


class Discovering(_Part):
    """How far what agents find on the way may branch the work on one ticket."""

    max_open_branches: int = Field(
        default=20,
        ge=0,
        le=MOST_RUNNING,
        description="Most open tasks of a ticket that discoveries have spawned.",
    )
    max_depth: int = Field(
        default=5, ge=0, le=100, description="Most branches that may lead to a task, one off another."
    )


class Workflow(_Part):
    """One whole workflow document."""

    name: Key = Field(description="Name of the workflow; tickets are opened under it.")
    description: str = Field(default="", description="What the workflow is for, in a sentence.")
    initial_phase: Key = Field(description="Phase a new ticket is in.")
    blocked_phase: Key | None = Field(default=None, description="Phase of tickets that cannot go on.")
    phases: tuple[Phase, ...] = Field(
        min_length=1, max_length=200, description="The stations a ticket passes through."
    )
    columns: tuple[Column, ...] = Field(
        default=(), description="The board, from left to right; without any there is no board."
    )
    retry: RetryPolicy = Field(
        default=RetryPolicy(), description="When a failed attempt at a task is tried again."
    )
    ranking: Ranking = Field(
        default=Ranking(), description="Which of the tasks that are ready is dispatched first."
    )
    lease_seconds: float = Field(
        default=60.0, ge=1, le=24 * 3600, description="How long a claim holds without a heartbeat."
    )
    timeout_seconds: Seconds | None = Field(
        default=None, description="Longest an attempt may run, for tasks that name none."
    )
    context_wait_seconds: Seconds = Field(
        default=10.0,
        description="How long the tasks of a visit wait for what the visit before came to; 0 for no wait.",
    )
    max_running_per_ticket: int | None = Field(
        default=None,
        ge=1,
        le=MOST_RUNNING,
        description="Most tasks of one ticket that are claimed at a time; no limit when absent.",
    )
    max_running_per_workflow: int | None = Field(
        default=None,
        ge=1,
        le=MOST_RUNNING,
        description="Most tasks of all its tickets that are claimed at a time; no limit when absent.",
    )
    discovery_types: tuple[Key, ...] = Field(
        default=(), description="Types of discoveries beside the built-in ones."
    )
    discovery: Discovering = Field(
        default=Discovering(), description="How far discoveries may branch the work."
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Whatever else your own tools want to know of the workflow."
    )

    def phase(self, phase_id: str) -> Phase | None:
        """The phase of that id."""
        return next((phase for phase in self.phases if phase.id == phase_id), None)

    @property
    def version(self) -> str:
        """Hash of the content: 16 hexadecimal digits, the same for the same document however it is laid out.

        Fields at their default are left out, so that a new optional field changes no version.
        """
        content = self.model_dump(mode="json", exclude_defaults=True)
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
