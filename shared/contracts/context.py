"""Context: what later phases know of a ticket's earlier ones."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from shared.contracts.gate import TaskStatus
from shared.contracts.messages import Authority, Command, Contract, Event, Key, Moment, Query, Result

MAX_TOKENS = 2000
"""Budget of a summary, in tokens of o200k_base."""

ContextId = Annotated[str, Field(description="`<ticket>.<phase>.<visit>`: the visit as one word.")]
Budget = Annotated[
    int, Field(ge=0, le=100_000, description="Most tokens of the summary, counted with o200k_base.")
]
Texts = tuple[str, ...]


class Findings(Contract):
    """What a task's result says beside its summary, bounded in number and length."""

    summary: str = ""
    commit: str = Field(default="", description="Where its work is in the repository, if it changed any.")
    decisions: Texts = ()
    risks: Texts = ()
    clarifications: Texts = ()
    discoveries: Texts = ()
    notes: Texts = Field(
        default=(), description="What of the result was shortened, or ignored as unreadable."
    )


class ContextState(Result):
    """What the context of a visit came to."""

    ticket_id: Key
    phase_id: Key
    visit: int
    tokens: int
    summary: str
    closed: bool


class UpdateContext(Command):
    """Aggregate the last visit of a phase now; a model that is configured is asked again."""

    ticket_id: Key
    phase_id: Key


class FollowTicket(Command):
    """Remember a ticket. Sent by context when it hears that one was opened."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    workflow_version: Key
    at: Moment


class FollowWorkflow(Command):
    """Remember the phases of a workflow version. Sent by context when it hears of one."""

    authority = Authority.SYSTEM

    version: Key
    name: Key
    phases: tuple[Key, ...]
    blocked_phase: Key | None = None


class FollowMigration(Command):
    """A ticket is pinned to another version of its workflow. Sent by context when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    workflow_version: Key
    migration: int


class NoteMove(Command):
    """A ticket went from one phase to another. Sent by context when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    from_phase: Key
    to_phase: Key
    visit: int
    at: Moment
    judged: bool = Field(description="Whether a gate had judged artifacts of the visit that was left.")
    move: int = Field(default=0, description="Number of this move among all of the ticket.")
    migration: int = Field(default=0, description="How often the ticket had been migrated before.")


class NoteTask(Command):
    """A task of a visit came into being, ended or was taken up again. Sent by context when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    visit: int
    task_id: Key
    task_type: Key | None = None
    title: str | None = None
    agent_id: Key | None = None
    status: TaskStatus
    at: Moment
    found: Findings = Findings()
    error: str = ""


class NoteArtifact(Command):
    """An artifact was handed in for a visit. Sent by context when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    visit: int
    artifact_id: Key
    artifact_type: Key
    artifact_path: str | None = None
    sha256: str | None = None
    summary: str = ""
    measured: bool = False
    task_id: Key | None = None
    at: Moment


class NoteVerdict(Command):
    """A gate judged a visit. Sent by context when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    visit: int
    passed: bool
    blocking_reasons: Texts = ()
    at: Moment


class NoteDiscovery(Command):
    """Something was found at a task of a visit. Sent by context when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    visit: int
    discovery_id: Key
    discovery_type: Key
    text: str
    task_id: Key
    at: Moment


class NoteDismissal(Command):
    """What was found at a task of a visit was none. Sent by context when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    visit: int
    discovery_id: Key
    at: Moment


class CloseVisit(Command):
    """A ticket has left a visit: do not wait any longer for what is still on its way. Sent by its timer."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    visit: int


class NoteSummary(Command):
    """What a model made of a visit, or why it made nothing. Sent by context when the model has answered."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    visit: int
    revision: int = Field(description="State of the visit that the model was shown.")
    prose: str | None = None
    model: str = ""
    reason: str = Field(default="", description="Why there is no prose.")


class ContextTicketFollowed(Event):
    """Context knows of a ticket."""

    ticket_id: Key
    phase_id: Key
    workflow_version: Key
    at: Moment


class ContextWorkflowFollowed(Event):
    """Context knows the phases of a workflow version."""

    key = "version"

    version: Key
    name: Key
    phases: tuple[Key, ...]
    blocked_phase: Key | None = None


class ContextTicketMigrated(Event):
    """Context knows that a ticket is pinned to another version of its workflow."""

    ticket_id: Key
    workflow_version: Key
    migration: int


class ContextVisitBegan(Event):
    """Context knows of a visit: the ticket entered the phase, or a task was made for it beforehand."""

    ticket_id: Key
    phase_id: Key
    visit: int
    at: Moment
    entered: bool = Field(description="Whether the ticket itself went there.")
    move: int = Field(default=0, description="Number of the ticket's move that it began with.")


class ContextVisitLeft(Event):
    """The ticket has left a visit; its context closes once what happened in it has been heard."""

    context_id: ContextId
    ticket_id: Key
    phase_id: Key
    visit: int
    at: Moment
    judged: bool = False


class ContextTaskNoted(Event):
    """Context knows how a task of the visit stands, and what came of it."""

    context_id: ContextId
    ticket_id: Key
    phase_id: Key
    visit: int
    task_id: Key
    task_type: Key | None = None
    title: str | None = None
    agent_id: Key | None = None
    status: TaskStatus
    at: Moment
    found: Findings = Findings()
    error: str = ""


class ContextArtifactNoted(Event):
    """Context knows of an artifact of the visit."""

    context_id: ContextId
    ticket_id: Key
    phase_id: Key
    visit: int
    artifact_id: Key
    artifact_type: Key
    artifact_path: str | None = None
    sha256: str | None = None
    summary: str = ""
    measured: bool = False
    task_id: Key | None = None
    at: Moment


class ContextDiscoveryNoted(Event):
    """Context knows of something that was found at a task of the visit."""

    context_id: ContextId
    ticket_id: Key
    phase_id: Key
    visit: int
    discovery_id: Key
    discovery_type: Key
    text: str
    task_id: Key
    at: Moment


class ContextDismissalNoted(Event):
    """Context knows that what was found at a task of the visit was none."""

    context_id: ContextId
    ticket_id: Key
    phase_id: Key
    visit: int
    discovery_id: Key
    at: Moment


class ContextVerdictNoted(Event):
    """Context knows what the gate says of the visit."""

    context_id: ContextId
    ticket_id: Key
    phase_id: Key
    visit: int
    passed: bool
    blocking_reasons: Texts = ()
    at: Moment


class ContextUpdated(Event):
    """What is known of a ticket's visit was summed up anew."""

    context_id: ContextId
    ticket_id: Key
    phase_id: Key
    visit: int
    tokens: int = Field(description="Length of `summary`, counted with o200k_base.")
    summary: str = Field(
        description="What whoever works on the ticket next should know: this visit first, then earlier ones."
    )
    closed: bool = Field(
        default=False,
        description="Whether the ticket has left this visit. A report that comes late, and a model's "
        "summary, are announced again, closed as well.",
    )
    at: Moment
    source: Literal["structured", "model"] = Field(
        default="structured", description="Who wrote the prose on this visit."
    )
    requested: bool = Field(default=False, description="Whether `update_context` asked for it.")


class ContextSummarised(Event):
    """A model put a visit into prose; the summary that holds it follows."""

    context_id: ContextId
    ticket_id: Key
    phase_id: Key
    visit: int
    revision: int
    prose: str
    model: str


class ContextSummaryDeclined(Event):
    """No usable prose came from the model: the structured summary stays."""

    context_id: ContextId
    ticket_id: Key
    phase_id: Key
    visit: int
    revision: int
    reason: str


class GetContext(Query):
    """All that is known of a ticket, phase by phase, with a summary of the whole."""

    ticket_id: Key


class GetSummary(Query):
    """A ticket's context in words, within a budget of tokens."""

    ticket_id: Key
    max_tokens: Budget = MAX_TOKENS


class ContextForPhase(Query):
    """What an agent who works in a phase should know of what was done before."""

    ticket_id: Key
    phase_id: Key
    visit: int | None = Field(default=None, ge=1, description="The last visit when absent.")
    max_tokens: Budget = MAX_TOKENS


class Summary(Result):
    """A ticket's context in words."""

    ticket_id: Key
    summary: str
    tokens: int
    max_tokens: int
    left_out: Mapping[str, int] = Field(
        default_factory=dict, description="How many entries of a kind did not fit into the budget."
    )


class PhaseSummary(Summary):
    """What an agent who works in a phase should know."""

    phase_id: Key
    visit: int
    sources: tuple[Mapping[str, Any], ...] = Field(
        default=(), description="The visits it is made from, newest first: `{phase_id, visit}`."
    )
