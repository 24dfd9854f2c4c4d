"""The workflow document: phases, gates, task templates, columns and policies, as users write it in YAML."""

import hashlib
import io
from typing import Annotated, Any, Literal

import orjson
from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import YAMLError

from shared.contracts.messages import Contract, Key, Priority

Seconds = Annotated[float, Field(ge=0)]


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
    priority: Priority = Field(default=Priority.MEDIUM)
    required_capabilities: tuple[str, ...] = Field(
        default=(), description="What an agent must be able to do."
    )
    depends_on: tuple[Key, ...] = Field(default=(), description="Templates of this phase that come first.")
    timeout_seconds: Seconds | None = Field(default=None, description="Longest an attempt may run.")
    max_retries: int | None = Field(default=None, ge=0, le=100)
    resources: tuple[str, ...] = Field(default=(), description="Locks the claim takes.")


class Phase(_Part):
    """A station of the workflow."""

    id: Key = Field(description="For example `PHASE_TESTING`.")
    name: str = Field(description="Name for people.")
    description: str = Field(default="")
    sequence_order: int = Field(description="Position on the way; leaving for a higher one needs the gate.")
    allowed_transitions: tuple[Key, ...] = Field(
        default=(), description="Phases a ticket may go to from here."
    )
    is_terminal: bool = Field(default=False)
    done_definitions: tuple[str, ...] = Field(default=(), description="Verifiable criteria of being done.")
    expected_outputs: tuple[ExpectedOutput, ...] = Field(default=())
    phase_prompt: str = Field(default="", description="What every agent working in this phase is told.")
    next_steps_guide: str = Field(default="")
    gate: Gate | None = Field(default=None, description="Criteria beside the expected outputs.")
    auto_advance: bool = Field(default=False, description="Go on by itself when the gate passes.")
    on_failure: Literal["stay"] | Key = Field(
        default="stay", description="Phase to go back to when the gate fails; `stay` to wait."
    )
    max_regressions: int = Field(
        default=3, ge=0, description="Going back more often than this blocks the ticket."
    )
    tasks: tuple[TaskTemplate, ...] = Field(default=())
    configuration: dict[str, Any] = Field(default_factory=dict)

    @property
    def gated(self) -> bool:
        """Whether leaving forward needs a passed gate."""
        return bool(self.gate or self.tasks or any(output.required for output in self.expected_outputs))


class Column(_Part):
    """A column of the board."""

    id: Key
    name: str | None = None
    wip_limit: int | None = Field(default=None, ge=1, description="Most cards at a time; none when absent.")
    phases: tuple[Key, ...] = Field(min_length=1)
    auto_to: Key | None = Field(default=None, description="Column a finished card is moved to.")


class RetryPolicy(_Part):
    """When a failed attempt is tried again: `initial_seconds` x `factor`^n, at most `cap_seconds`."""

    max_retries: int = Field(default=3, ge=0, le=100)
    initial_seconds: Seconds = 1.0
    factor: float = Field(default=2.0, ge=1)
    cap_seconds: Seconds = 60.0


class Ranking(_Part):
    """How far ahead of the time it became ready a task is dispatched, in seconds."""

    critical_seconds: Seconds = 4 * 3600.0
    high_seconds: Seconds = 3600.0
    medium_seconds: Seconds = 15 * 60.0
    low_seconds: Seconds = 0.0
    dependent_seconds: Seconds = Field(default=120.0, description="For each task that waits for it directly.")
    dependent_cap_seconds: Seconds = 20 * 60.0
    deadline_seconds: Seconds = Field(default=2 * 3600.0, description="When the deadline is near.")
    deadline_within_seconds: Seconds = Field(default=15 * 60.0, description="How near that is.")


class Workflow(_Part):
    """One whole workflow document."""

    name: Key
    description: str = ""
    initial_phase: Key = Field(description="Phase a new ticket is in.")
    blocked_phase: Key | None = Field(default=None, description="Phase of tickets that cannot go on.")
    phases: tuple[Phase, ...] = Field(min_length=1)
    columns: tuple[Column, ...] = ()
    retry: RetryPolicy = RetryPolicy()
    ranking: Ranking = Ranking()
    lease_seconds: float = Field(
        default=60.0, ge=1, description="How long a claim holds without a heartbeat."
    )
    timeout_seconds: Seconds | None = Field(default=None, description="For tasks that name none.")
    discovery_types: tuple[Key, ...] = Field(
        default=(), description="Kinds of findings beside the built-in ones."
    )
    settings: dict[str, Any] = Field(default_factory=dict)

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


MAX_CHARACTERS = 1024 * 1024
"""As much as one message may hold; a few aliases in YAML can stand for far more."""


class _JsonConstructor(SafeConstructor):
    """Makes of YAML what JSON can hold; a date stays the text it was written as."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        if isinstance(node.value, str) and "\0" in node.value:
            raise ConstructorError(problem="NUL, which Postgres cannot store", problem_mark=node.start_mark)
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError) as error:
            problem = f"{node.value!r} is not of its type"
            raise ConstructorError(problem=problem, problem_mark=node.start_mark) from error


_JsonConstructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def yaml_object(text: str) -> Any:
    """What YAML text holds. Raises ValueError, from ruamel's error where that knows the line."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _JsonConstructor
    try:
        value = yaml.load(io.StringIO(text))
        if _characters(value, {}) > MAX_CHARACTERS:
            raise ValueError("aliases make the document larger than a message may be")
        return orjson.loads(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))
    except YAMLError as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from error
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise ValueError(f"a value that JSON cannot hold: {error}") from error


def _characters(value: Any, known: dict[int, int]) -> int:
    """About how long `value` is as JSON, measured without writing it out; `known` maps id to length."""
    if not isinstance(value, dict | list):
        return len(str(value)) + 1
    if id(value) not in known:
        children = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 2 + sum(_characters(child, known) for child in children)
    return known[id(value)]


def _parsed(document: object) -> object:
    return yaml_object(document) if isinstance(document, str) else document


Document = Annotated[Workflow, BeforeValidator(_parsed)]
"""A workflow as an object, or as YAML text."""
