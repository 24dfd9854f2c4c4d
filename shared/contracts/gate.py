"""Gates: artifacts, the evidence in them, and the verdict on a visit."""

from typing import Any, Literal

from pydantic import Field

from shared.contracts.messages import Authority, Command, Event, Key, Moment, Query, Result
from shared.contracts.workflow import Workflow

GateStatus = Literal["pending", "passed", "failed", "not_configured"]


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


class Artifact(Result):
    """One piece of evidence."""

    artifact_id: Key
    artifact_type: Key
    artifact_path: str | None = None
    content: Any = None
    sha256: str | None = None
    collected_by: str
    measured: bool = False
    task_id: Key | None = None
    superseded: bool = False


class SubmitArtifact(Command):
    """Hand in an artifact by hand; it counts as claimed, never as measured."""

    creates = "artifact_id"

    artifact_id: Key | None = None
    ticket_id: Key
    phase_id: Key | None = Field(default=None, description="The ticket's current phase when absent.")
    artifact_type: Key
    artifact_path: str | None = Field(default=None, max_length=4096)
    content: Any = Field(default=None, description="Text, or an object in the shape its type asks for.")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


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
    generated: int | None = Field(default=None, description="How many tasks the scheduler made for the visit.")


class CollectTask(Command):
    """A task of a visit came into being or ended. Sent by gates when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    visit: int
    task_id: Key
    task_type: Key
    status: Literal["open", "completed", "failed", "cancelled"]
    agent_id: Key | None = None
    result: dict[str, Any] = Field(default_factory=dict)


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
    """A visit of a ticket to a phase is being judged from here on."""

    ticket_id: Key
    phase_id: Key
    visit: int


class GateTaskNoted(Event):
    """Gates knows how a task of the visit stands."""

    ticket_id: Key
    phase_id: Key
    visit: int
    task_id: Key
    task_type: Key
    status: Literal["open", "completed", "failed", "cancelled"]


class GateTasksExpected(Event):
    """Gates knows how many tasks the visit starts with."""

    ticket_id: Key
    phase_id: Key
    visit: int
    generated: int


class GateArtifactSubmitted(Event):
    """An artifact was handed in; an earlier one of the same type and path in the visit no longer counts."""

    artifact_id: Key
    ticket_id: Key
    phase_id: Key
    visit: int
    artifact_type: Key
    artifact_path: str | None = None
    content: Any = None
    sha256: str
    collected_by: str
    measured: bool
    task_id: Key | None = None
    submitted_at: Moment


class GatePassed(Event):
    """The visit may be left."""

    ticket_id: Key
    phase_id: Key
    visit: int
    artifacts: tuple[Key, ...] = ()
    at: Moment


class GateFailed(Event):
    """The visit may not be left, and why."""

    ticket_id: Key
    phase_id: Key
    visit: int
    blocking_reasons: tuple[str, ...]
    artifacts: tuple[Key, ...] = ()
    at: Moment


class GetGate(Query):
    """How the gate of a ticket's phase stands, with its criteria and artifacts."""

    ticket_id: Key
    phase_id: Key | None = None
    visit: int | None = None
