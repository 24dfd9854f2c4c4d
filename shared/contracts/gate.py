"""Gates: artifacts, the evidence in them, and the verdict on a visit."""

import json
from importlib.metadata import entry_points
from typing import Annotated, Any, Literal

from pydantic import Field, StrictFloat, StrictInt, StrictStr, TypeAdapter, ValidationError

from shared.contracts.messages import Authority, Command, Event, Key, Moment, Query, Result
from shared.contracts.workflow import Workflow

GateStatus = Literal["pending", "passed", "failed", "not_configured"]
TaskStatus = Literal["open", "completed", "failed", "cancelled"]
GateId = Annotated[str, Field(description="`<ticket>.<phase>.<visit>`: the visit as one word.")]

_Texts = list[Annotated[StrictStr, Field(min_length=1)]]


def _takes(parameter: Any, words: str) -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[parameter | Literal[False], Field(description=words)])


CRITERIA_GROUP = "omoios.criteria"
"""Entry points under which installed packages offer criteria of their own."""

CRITERIA: dict[str, TypeAdapter[Any]] = {
    **{entry.name: _takes(object, "what its package says") for entry in entry_points(group=CRITERIA_GROUP)},
    "all_passed": _takes(Literal[True], "true"),
    "file_pattern": _takes(
        Annotated[StrictStr, Field(min_length=1)] | Annotated[_Texts, Field(min_length=1)],
        "a glob such as docs/**/*.md, or a list of them",
    ),
    "json_schema": _takes(dict[str, Any], "a JSON schema of draft 2020-12"),
    "min_length": _takes(Annotated[StrictInt, Field(ge=1, le=1_000_000)], "a number from 1 to 1000000"),
    "min_passing": _takes(Annotated[StrictInt, Field(ge=1, le=1_000_000)], "a number from 1 to 1000000"),
    "min_percentage": _takes(Annotated[StrictFloat, Field(ge=0, le=100)], "a number from 0 to 100"),
    "must_exist": _takes(Literal[True], "true"),
    "must_have_tests": _takes(Literal[True], "true"),
    "required_sections": _takes(Annotated[_Texts, Field(min_length=1)], "a list of section titles"),
}
"""The rules an expected output may name, with the parameter each takes; `false` switches any of them off.

The description of a parameter says in words what a document may write there.
"""


def parameter_fault(criterion: str, parameter: Any) -> str | None:
    """`min_percentage takes a number from 0 to 100, not "80%".`, or None where the parameter is right."""
    takes = CRITERIA[criterion]
    try:
        takes.validate_python(parameter)
    except ValidationError:
        return f"{criterion} takes {takes.json_schema()['description']}, not {json.dumps(parameter)[:60]}."
    return None


class ArtifactRef(Result):
    """Which artifact was submitted, and the visit it counts for."""

    artifact_id: Key
    ticket_id: Key
    phase_id: Key
    visit: int


class Verdict(Result):
    """What a gate says of a visit."""

    ticket_id: Key
    phase_id: Key
    visit: int
    status: GateStatus
    blocking_reasons: tuple[str, ...] = ()


class Finding(Result):
    """What one criterion says of one artifact."""

    criterion: str = Field(description="Name of the criterion; `pattern` for the glob of an expected output.")
    parameter: Any = Field(default=None, description="What the workflow demands, for example 80.")
    reason: str | None = Field(default=None, description="Why it is not met; absent when it is.")


class Artifact(Result):
    """One piece of evidence, without its content."""

    artifact_id: Key
    artifact_type: Key
    artifact_path: str | None = None
    sha256: str | None = None
    collected_by: str
    measured: bool = False
    task_id: Key | None = None
    submitted_at: Moment
    findings: tuple[Finding, ...] = ()
    unreadable: str | None = Field(default=None, description="Why it could not be read.")
    superseded: bool = Field(default=False, description="A later submission counts in its place.")


class GateOutput(Result):
    """An expected output and what it still lacks."""

    artifact_type: Key
    pattern: str | None = None
    required: bool = True
    measured: bool = False
    rules: dict[str, Any] = Field(default_factory=dict)
    met: bool
    reasons: tuple[str, ...] = ()


class GateTask(Result):
    """How a task of the visit stands, as the gate has heard."""

    task_id: Key
    task_type: Key
    status: TaskStatus
    error: str = ""


class GateView(Verdict):
    """A gate with all its verdict rests on; `blocking_reasons` of a pending one say what it waits for."""

    outputs: tuple[GateOutput, ...] = ()
    artifacts: tuple[Artifact, ...] = Field(
        default=(), description="Every submission of the visit, oldest first."
    )
    tasks: tuple[GateTask, ...] = ()


class SubmitArtifact(Command):
    """Hand in an artifact by hand; it counts as claimed, never as measured."""

    creates = "artifact_id"

    artifact_id: Key | None = None
    ticket_id: Key
    phase_id: Key | None = Field(default=None, description="The ticket's current phase when absent.")
    artifact_type: Key
    artifact_path: str | None = Field(
        default=None, max_length=4096, description="File in the repository; the same one again supersedes."
    )
    content: Any = Field(default=None, description="Text, or an object in the shape its type asks for.")
    sha256: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="Of the file; of the content when absent."
    )


class ValidateGate(Command):
    """Judge the current visit of a phase now."""

    ticket_id: Key
    phase_id: Key | None = Field(default=None, description="The ticket's current phase when absent.")


class FollowTicket(Command):
    """Remember which workflow version a ticket is under. Sent by gates when it hears of the ticket."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    workflow_version: Key


class FollowWorkflow(Command):
    """Remember a workflow version. Sent by gates when it hears of one."""

    authority = Authority.SYSTEM

    version: Key
    document: Workflow


class BeginVisit(Command):
    """A ticket entered a phase. Sent by gates when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    visit: int
    at: Moment


class ExpectTasks(Command):
    """The scheduler made the tasks of a visit. Sent by gates when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    visit: int
    generated: int = Field(description="How many tasks the phase's templates made.")


class CollectTask(Command):
    """A task of a visit came into being, ended or was taken up again. Sent by gates when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    visit: int
    task_id: Key
    task_type: Key | None = Field(default=None, description="Absent where the task must be known already.")
    template: Key | None = Field(
        default=None, description="Template that made the task; told when it is created."
    )
    status: TaskStatus
    at: Moment = Field(
        description="When it came to stand so; an older report than the last one changes nothing."
    )
    agent_id: Key | None = None
    artifacts: Any = Field(
        default=None,
        description="`[{artifact_type, artifact_path?, content?, sha256?, measured?}]`, as it was handed in; "
        "any other shape fails the gate.",
    )
    error: str = ""


class GateTicketFollowed(Event):
    """Gates knows of a ticket."""

    ticket_id: Key
    phase_id: Key
    workflow_version: Key


class GateWorkflowFollowed(Event):
    """Gates knows a workflow version."""

    key = "version"

    version: Key
    document: Workflow


class GateVisitBegan(Event):
    """Gates knows that a ticket entered a phase."""

    ticket_id: Key
    phase_id: Key
    visit: int
    at: Moment
    on_hold: bool = Field(
        default=False, description="Whether the visit that it came from is only interrupted."
    )


class GateTaskNoted(Event):
    """Gates knows how a task of the visit stands."""

    gate_id: GateId
    ticket_id: Key
    phase_id: Key
    visit: int
    task_id: Key
    task_type: Key
    templated: bool = Field(description="Whether one of the phase's templates made it.")
    status: TaskStatus
    since: Moment
    error: str = ""


class GateTasksExpected(Event):
    """Gates knows how many tasks the visit starts with."""

    gate_id: GateId
    ticket_id: Key
    phase_id: Key
    visit: int
    generated: int


class GateArtifactSubmitted(Event):
    """An artifact was handed in; an earlier one of the same type and path in the visit no longer counts."""

    gate_id: GateId
    artifact_id: Key
    ticket_id: Key
    phase_id: Key
    visit: int
    artifact_type: Key
    artifact_path: str | None = None
    content: Any = None
    sha256: str | None = Field(
        default=None, description="Of the file or the content; absent when there is neither."
    )
    collected_by: str
    measured: bool
    task_id: Key | None = None
    submitted_at: Moment
    summary: str = Field(default="", description="The number in it, for example `90 %`.")
    findings: tuple[Finding, ...] = Field(default=(), description="What the criteria of the phase say of it.")
    unreadable: str | None = Field(
        default=None, description="Why it could not be read; it then fails the gate."
    )


class GatePassed(Event):
    """The visit may be left."""

    gate_id: GateId
    ticket_id: Key
    phase_id: Key
    visit: int
    artifacts: tuple[Key, ...] = ()
    at: Moment


class GateFailed(Event):
    """The visit may not be left, and why."""

    gate_id: GateId
    ticket_id: Key
    phase_id: Key
    visit: int
    blocking_reasons: tuple[str, ...]
    artifacts: tuple[Key, ...] = ()
    at: Moment


class GateReopened(Event):
    """A judged visit has a task to wait for again: the verdict no longer holds."""

    gate_id: GateId
    ticket_id: Key
    phase_id: Key
    visit: int
    at: Moment


class GetGate(Query):
    """How the gate of a ticket's phase stands, with its criteria and artifacts."""

    ticket_id: Key
    phase_id: Key | None = None
    visit: int | None = None
