"""Gates: artifacts, the evidence in them, and the verdict on a visit."""

import json
from importlib.metadata import entry_points
from typing import Annotated, Any, Literal

from pydantic import Field, StrictFloat, StrictInt, StrictStr, TypeAdapter, ValidationError

from shared.contracts.messages import Authority, Command, Event, Key, Moment, Query, Result
from shared.contracts.workflow import Workflow

GateStatus = Literal["pending", "passed", "failed", "not_configured"]
TaskStatus = Literal["open", "completed", "failed", "cancelled"]
ReviewerKind = Literal["model", "agent"]
RequestKind = Literal["review", "approval"]
ReviewStatus = Literal["open", "passed", "failed", "withdrawn"]
ApprovalStatus = Literal["open", "approved", "rejected", "expired", "withdrawn"]
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


class EvidenceRef(Result):
    """An artifact as it was when somebody was asked to judge it."""

    artifact_id: Key
    artifact_type: Key
    artifact_path: str | None = None
    sha256: str | None = None
    measured: bool = False
    collected_by: str = ""
    findings: tuple[Finding, ...] = Field(default=(), description="Without the parameters.")


class Review(Result):
    """A review that was asked for, and what came of it."""

    request_id: Key
    round: int = Field(description="Number of the review in the visit, from 1.")
    reviewer_kind: ReviewerKind
    status: ReviewStatus
    requested_at: Moment
    problem: str | None = Field(default=None, description="Why it could not be done so far.")
    reviewed_by: str | None = None
    feedback: str | None = Field(
        default=None, description="Of the reviewer; why it was withdrawn, if it was."
    )
    evidence: tuple[str, ...] = Field(default=(), description="What the reviewer rests on.")
    settled_at: Moment | None = None


class Consent(Result):
    """One person's word on a request for approval."""

    actor: str
    approved: bool
    reason: str = ""
    at: Moment


class ApprovalRequest(Result):
    """Consent that was asked for, and what people said."""

    request_id: Key
    status: ApprovalStatus
    required: int
    approvers: tuple[Key, ...] = ()
    requested_at: Moment
    expires_at: Moment | None = None
    evidence: tuple[EvidenceRef, ...] = ()
    decisions: tuple[Consent, ...] = ()
    reason: str | None = Field(default=None, description="Why it ended without approval.")


class GateView(Verdict):
    """A gate with all its verdict rests on; `blocking_reasons` of a pending one say what it waits for."""

    outputs: tuple[GateOutput, ...] = ()
    artifacts: tuple[Artifact, ...] = Field(
        default=(), description="Every submission of the visit, oldest first."
    )
    tasks: tuple[GateTask, ...] = ()
    reviews: tuple[Review, ...] = Field(default=(), description="Every review of the visit, oldest first.")
    approvals: tuple[ApprovalRequest, ...] = Field(
        default=(), description="Every request for approval of the visit, oldest first."
    )


class Settled(Verdict):
    """Which request somebody has answered, and how the gate stands now."""

    request_id: Key
    approved_by: tuple[str, ...] = Field(default=(), description="Whose approval counts.")
    required: int | None = Field(default=None, description="How many approvals are needed.")


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


class SubmitReview(Command):
    """Give the verdict of a review that a gate has asked for; not for those who did the work."""

    ticket_id: Key
    phase_id: Key | None = Field(default=None, description="The ticket's current phase when absent.")
    visit: int | None = Field(default=None, ge=1, description="Refuse unless it is this visit.")
    round: int | None = Field(default=None, ge=1, description="Refuse unless it is this round.")
    request_id: Key | None = Field(
        default=None, description="Refuse unless it is this request: another one is about other evidence."
    )
    passed: bool
    feedback: str = Field(min_length=1, max_length=10_000, description="Why; what to do when it failed.")
    evidence: tuple[Annotated[str, Field(max_length=2000)], ...] = Field(
        default=(), max_length=50, description="What the verdict rests on: files, findings, quotations."
    )


class Approve(Command):
    """Consent to what a gate has collected. Needs MONITOR authority, or to be named in the workflow."""

    ticket_id: Key
    phase_id: Key | None = Field(default=None, description="The ticket's current phase when absent.")
    visit: int | None = Field(default=None, ge=1, description="Refuse unless it is this visit.")
    request_id: Key | None = Field(
        default=None, description="Refuse unless it is this request: another one is about other evidence."
    )
    comment: str = Field(default="", max_length=2000, description="For the history.")


class Reject(Command):
    """Refuse consent: the gate fails. Needs MONITOR authority, or to be named in the workflow."""

    ticket_id: Key
    phase_id: Key | None = Field(default=None, description="The ticket's current phase when absent.")
    visit: int | None = Field(default=None, ge=1, description="Refuse unless it is this visit.")
    request_id: Key | None = Field(
        default=None, description="Refuse unless it is this request: another one is about other evidence."
    )
    reason: str = Field(min_length=1, max_length=2000, description="Why; it is handed to whoever goes on.")


class DelayReview(Command):
    """A review could not be done now. Sent by gates when the model did not answer as it should."""

    authority = Authority.SYSTEM

    gate_id: str
    request_id: Key
    problem: str
    seconds: float = Field(default=0, ge=0, description="How long the model asked to be left alone.")


class ExpireApproval(Command):
    """A request for approval has been open too long. Sent by its timer."""

    authority = Authority.SYSTEM

    gate_id: str
    request_id: Key


class FollowMigration(Command):
    """A ticket goes on under another workflow version. Sent by gates when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    workflow_version: Key
    migration: int = Field(description="Number of this migration among all of the ticket, from 1.")


class FollowAgent(Command):
    """Remember what an agent can do. Sent by gates when it hears of it."""

    authority = Authority.SYSTEM

    agent_id: Key
    capabilities: tuple[str, ...]
    session: int


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
    reported_by: str | None = Field(default=None, description="Actor who handed the artifacts in.")


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


class GateTicketMigrated(Event):
    """Gates judges a ticket by another workflow version."""

    ticket_id: Key
    workflow_version: Key
    migration: int


class GateAgentFollowed(Event):
    """Gates knows what an agent can do; an agent that left can do nothing."""

    agent_id: Key
    capabilities: tuple[str, ...]
    session: int


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
    agent_id: Key | None = Field(default=None, description="Who worked on it, as far as the report says.")


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
    workflow_version: Key | None = Field(default=None, description="Version it was judged by.")


class GateFailed(Event):
    """The visit may not be left, and why."""

    gate_id: GateId
    ticket_id: Key
    phase_id: Key
    visit: int
    blocking_reasons: tuple[str, ...]
    artifacts: tuple[Key, ...] = ()
    at: Moment
    workflow_version: Key | None = Field(default=None, description="Version it was judged by.")


class GateReopened(Event):
    """A judged visit has something to wait for again: the verdict no longer holds."""

    gate_id: GateId
    ticket_id: Key
    phase_id: Key
    visit: int
    at: Moment


class GateReviewRequested(Event):
    """All that is measured is met: somebody is to judge the rest."""

    gate_id: GateId
    ticket_id: Key
    phase_id: Key
    visit: int
    request_id: Key
    round: int
    reviewer_kind: ReviewerKind
    model: str | None = None
    artifacts: tuple[EvidenceRef, ...] = ()
    instructions: str = ""
    at: Moment


class GateReviewSubmitted(Event):
    """A review came to its verdict."""

    gate_id: GateId
    ticket_id: Key
    phase_id: Key
    visit: int
    request_id: Key
    round: int
    passed: bool
    feedback: str
    evidence: tuple[str, ...] = ()
    reviewed_by: str
    at: Moment


class GateReviewDelayed(Event):
    """A review could not be done yet; it is tried again."""

    gate_id: GateId
    ticket_id: Key
    phase_id: Key
    visit: int
    request_id: Key
    problem: str
    not_before: Moment
    at: Moment


class GateApprovalRequested(Event):
    """People are asked to consent to exactly this evidence."""

    gate_id: GateId
    ticket_id: Key
    phase_id: Key
    visit: int
    request_id: Key
    required: int
    approvers: tuple[Key, ...] = Field(default=(), description="Anybody with MONITOR authority when empty.")
    expires_at: Moment | None = None
    evidence: tuple[EvidenceRef, ...] = ()
    instructions: str = ""
    after_review: str | None = Field(
        default=None, description="What the last review found, when people decide because no round is left."
    )
    at: Moment


class GateApproved(Event):
    """One more person consents."""

    gate_id: GateId
    ticket_id: Key
    phase_id: Key
    visit: int
    request_id: Key
    approved_by: str
    comment: str = ""
    at: Moment


class GateRejected(Event):
    """A person does not consent."""

    gate_id: GateId
    ticket_id: Key
    phase_id: Key
    visit: int
    request_id: Key
    rejected_by: str
    reason: str
    at: Moment


class GateApprovalExpired(Event):
    """Nobody decided in time; validating the gate asks again."""

    gate_id: GateId
    ticket_id: Key
    phase_id: Key
    visit: int
    request_id: Key
    at: Moment


class GateRequestWithdrawn(Event):
    """A review or an approval is no longer asked for; what was said of it does not count."""

    gate_id: GateId
    ticket_id: Key
    phase_id: Key
    visit: int
    request_id: Key
    kind: RequestKind
    reason: str
    at: Moment


class PendingRequest(Result):
    """A review or an approval that a gate waits for."""

    gate_id: str
    ticket_id: Key
    phase_id: Key
    visit: int
    request_id: Key
    kind: RequestKind
    requested_at: Moment
    reviewer_kind: ReviewerKind | None = None
    round: int | None = None
    problem: str | None = Field(default=None, description="Why a review could not be done so far.")
    required: int | None = None
    approved_by: tuple[str, ...] = ()
    approvers: tuple[Key, ...] = ()
    expires_at: Moment | None = None
    instructions: str = ""
    evidence: tuple[EvidenceRef, ...] = ()


class PendingRequests(Result):
    """Requests, oldest first."""

    requests: tuple[PendingRequest, ...]


class PendingReviews(Query):
    """Reviews that gates wait for, oldest first; agents with capability `validation` look here."""

    reviewer_kind: ReviewerKind | None = None
    ticket_id: Key | None = None
    limit: int = Field(default=50, ge=1, le=200)


class PendingApprovals(Query):
    """Approvals that gates wait for, oldest first."""

    ticket_id: Key | None = None
    limit: int = Field(default=50, ge=1, le=200)


class GetArtifact(Query):
    """One artifact with its content."""

    ticket_id: Key
    phase_id: Key | None = Field(default=None, description="The ticket's current phase when absent.")
    visit: int | None = Field(default=None, ge=1, description="The last one when absent.")
    artifact_id: Key


class ArtifactContent(Artifact):
    """An artifact with its content."""

    content: Any = None


class GetGate(Query):
    """How the gate of a ticket's phase stands, with its criteria and artifacts."""

    ticket_id: Key
    phase_id: Key | None = None
    visit: int | None = None
