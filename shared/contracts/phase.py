"""Tickets and the phases they pass through."""

from typing import Any, Literal

from pydantic import Field, model_validator

from shared.contracts.messages import Authority, Command, Event, Key, Moment, Priority, Query, Result
from shared.contracts.workflow import Column, Workflow


class TicketRef(Result):
    """Which ticket the command made or changed."""

    ticket_id: Key


class TicketMoved(Result):
    """Where a ticket stands after the command."""

    ticket_id: Key
    from_phase: Key
    to_phase: Key
    visit: int


class TicketBlockers(Result):
    """What a ticket waits for after the command."""

    ticket_id: Key
    blocked_by: tuple[Key, ...] = Field(description="Tickets that must still be done first.")


class CommentRef(Result):
    """Which comment the command made."""

    ticket_id: Key
    comment_id: Key


class DoneCheck(Result):
    """How a claim compares with what the phase calls done; the gate still judges the evidence."""

    ticket_id: Key
    phase_id: Key
    visit: int
    all_met: bool
    missing: tuple[str, ...] = Field(description="Done definitions of the phase that were not claimed.")


Clearable = Literal["deadline", "repository"]


class WorkflowRef(Result):
    """Which workflow document is meant."""

    name: Key
    version: Key


class OpenTicket(Command):
    """Open a ticket; it starts in the workflow's initial phase and pins the workflow's newest version."""

    creates = "ticket_id"

    ticket_id: Key | None = Field(
        default=None, description="Id, minted by the sender; from the command's id if absent."
    )
    title: str = Field(min_length=1, max_length=200, description="What is wanted, in one line.")
    description: str = Field(default="", max_length=100_000, description="What is wanted, in full.")
    priority: Priority = Priority.MEDIUM
    workflow: Key = Field(default="software_development", description="Name of a loaded workflow.")
    tags: tuple[str, ...] = Field(default=(), max_length=50, description="Words to find it by.")
    parent_ticket_id: Key | None = None
    blocked_by: tuple[Key, ...] = Field(default=(), description="Tickets that must be done first.")
    deadline: Moment | None = None
    repository: str | None = Field(
        default=None, description="Path or URL of the repository the work is done in."
    )


class EditTicket(Command):
    """Change what a ticket says; what is absent stays. Tasks made later are made from what it says then."""

    ticket_id: Key
    title: str | None = Field(
        default=None, min_length=1, max_length=200, description="What is wanted, in one line."
    )
    description: str | None = Field(
        default=None, max_length=100_000, description="What is wanted, in full; an empty text clears it."
    )
    priority: Priority | None = None
    tags: tuple[str, ...] | None = Field(default=None, max_length=50, description="All tags it has from now.")
    deadline: Moment | None = None
    repository: str | None = Field(default=None, description="Path or URL of the repository.")
    clear: tuple[Clearable, ...] = Field(default=(), description="Fields that it shall not have any more.")

    @model_validator(mode="after")
    def _either_set_or_cleared(self) -> "EditTicket":
        if both := [name for name in self.clear if getattr(self, name) is not None]:
            raise ValueError(f"{', '.join(both)} cannot be set and cleared at once")
        return self


class AddComment(Command):
    """Say something about a ticket."""

    creates = "comment_id"

    comment_id: Key | None = Field(
        default=None, description="Id, minted by the sender; from the command's id if absent."
    )
    ticket_id: Key
    text: str = Field(min_length=1, max_length=20_000, description="What is said.")


class AddBlocker(Command):
    """Let a ticket wait for another: until that is done, none of its tasks is handed out."""

    ticket_id: Key
    blocker_id: Key = Field(description="Ticket that must be done first; one that is done counts as met.")


class RemoveBlocker(Command):
    """Let a ticket no longer wait for another."""

    ticket_id: Key
    blocker_id: Key


class MigrateTicket(Command):
    """Pin a ticket to another version of its workflow; its phase, visits and history stay."""

    ticket_id: Key
    workflow_version: Key


class RecordDoneClaim(Command):
    """Compare what an agent claims to have done with what the phase calls done; no gate passes by it."""

    task_id: Key
    ticket_id: Key | None = Field(default=None, description="The task's own when absent.")
    phase_id: Key | None = Field(default=None, description="The task's own when absent.")
    completed_criteria: tuple[str, ...] = Field(
        max_length=200, description="Done definitions that are met; case and spacing do not matter."
    )


class Transition(Command):
    """Move a ticket to a phase its workflow allows."""

    ticket_id: Key
    to_phase: Key
    reason: str = Field(default="", max_length=2000, description="Why, for the ticket's history.")
    expected_phase: Key | None = Field(default=None, description="Refuse unless the ticket is in this phase.")


class OverrideTransition(Command):
    """Move a ticket to any phase, past every gate; needs GUARDIAN."""

    authority = Authority.GUARDIAN

    ticket_id: Key
    to_phase: Key
    reason: str = Field(min_length=1, max_length=2000, description="Why, for the audit.")


class Block(Command):
    """Put a ticket on hold in the workflow's blocked phase."""

    ticket_id: Key
    reason: str = Field(default="", max_length=2000, description="What it waits for.")


class Unblock(Command):
    """Let a blocked ticket go on, by default where it came from."""

    ticket_id: Key
    to_phase: Key | None = Field(default=None, description="Where it came from when absent.")


class LoadWorkflow(Command):
    """Make a workflow document known; the same content again changes nothing."""

    document: Workflow | dict[str, Any] | str = Field(
        union_mode="left_to_right",
        description="The document as an object, or as YAML text. An object or a text that is no sound "
        "workflow is refused with every place that is wrong.",
    )
    shipped: bool = Field(
        default=False,
        description="It comes with OmoiOS: it replaces neither what people loaded nor a shipped one that "
        "came after it.",
    )


class SettleGate(Command):
    """Act on a gate's verdict: go on, go back or block. Sent by phase itself when the gate has spoken."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    visit: int
    passed: bool
    blocking_reasons: tuple[str, ...] = ()
    artifacts: tuple[Key, ...] = ()
    at: Moment | None = Field(default=None, description="When the gate spoke; an older word is not heard.")
    workflow_version: Key | None = Field(
        default=None, description="Version it was judged by; a verdict by another than the ticket's is void."
    )


class ReopenGate(Command):
    """A verdict no longer holds. Sent by phase itself when the gate has taken it back."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    visit: int
    at: Moment


class FollowBoard(Command):
    """Know which columns the board of a workflow keeps. Sent by phase when it hears of them."""

    authority = Authority.SYSTEM

    workflow: Key
    columns: tuple[Column, ...]
    at: Moment = Field(description="When the board took them on; an older word is not heard.")


class CarryOutMove(Command):
    """Move a ticket for which the board keeps a slot. Sent by phase itself when it hears of the reservation.

    It is judged as any other move; a refusal is told as `phase.move_refused`, so that the board hears of it.
    """

    authority = Authority.SYSTEM

    ticket_id: Key
    to_phase: Key
    move: int = Field(description="How often the ticket had moved when the slot was reserved.")
    reservation: int
    expires_at: Moment
    reason: str = ""
    actor: str = Field(description="Who asked the board for the move.")


class FollowTask(Command):
    """Remember which visit a task belongs to. Sent by phase when it hears of a new task."""

    authority = Authority.SYSTEM

    task_id: Key
    ticket_id: Key
    phase_id: Key
    visit: int


class ResolveBlockers(Command):
    """A ticket is done: let those that wait for it go on. Sent by its timer once the move is committed.

    Those that wait are told page by page; a ticket that has left its end again meanwhile is still in the way.
    """

    authority = Authority.SYSTEM

    ticket_id: Key
    after: str = Field(default="", description="Go on behind this ticket id.")


class TicketOpened(Event):
    """A ticket was opened."""

    ticket_id: Key
    title: str
    description: str
    priority: Priority
    workflow: Key
    workflow_version: Key
    phase_id: Key = Field(description="Phase it starts in.")
    tags: tuple[str, ...] = ()
    parent_ticket_id: Key | None = None
    blocked_by: tuple[Key, ...] = ()
    deadline: Moment | None = None
    repository: str | None = None
    opened_by: str
    opened_at: Moment


class PhaseTransitioned(Event):
    """A ticket moved from one phase to another."""

    ticket_id: Key
    from_phase: Key
    to_phase: Key
    reason: str
    visit: int = Field(description="How often the ticket has now entered `to_phase`.")
    forced: bool = Field(default=False, description="Whether the table and the gates were overridden.")
    artifacts: tuple[Key, ...] = Field(default=(), description="Artifacts the gate of `from_phase` judged.")
    actor: str
    at: Moment
    blocking_reasons: tuple[str, ...] = Field(default=(), description="Why the gate sent the ticket back.")
    regression: bool = Field(default=False, description="Whether a failed gate sent it back.")
    terminal: bool = Field(default=False, description="Whether the ticket is over in `to_phase`.")
    move: int = Field(default=0, description="Number of this move among all of the ticket, from 1.")
    migration: int = Field(default=0, description="How often the ticket had been migrated before.")


class TicketEdited(Event):
    """A ticket says something else; what is null stayed as it was."""

    ticket_id: Key
    title: str | None = None
    description: str | None = None
    priority: Priority | None = None
    tags: tuple[str, ...] | None = None
    deadline: Moment | None = None
    repository: str | None = None
    cleared: tuple[Clearable, ...] = Field(default=(), description="Fields that it has no more.")
    edit: int = Field(description="Number of this edit among all of the ticket, from 1.")
    actor: str
    at: Moment


class CommentAdded(Event):
    """Somebody said something about a ticket."""

    ticket_id: Key
    comment_id: Key
    text: str
    actor: str
    at: Moment


class BlockerAdded(Event):
    """A ticket waits for another."""

    ticket_id: Key
    blocker_id: Key
    blocked_by: tuple[Key, ...] = Field(description="All that it waits for now.")
    change: int = Field(description="How often the blockers of the ticket have changed, with this.")
    actor: str
    at: Moment


class BlockerRemoved(Event):
    """A ticket no longer waits for another."""

    ticket_id: Key
    blocker_id: Key
    resolved: bool = Field(default=False, description="Whether that is because the other is done.")
    blocked_by: tuple[Key, ...] = Field(description="All that it still waits for.")
    change: int = Field(description="How often the blockers of the ticket have changed, with this.")
    actor: str
    at: Moment


class TicketMigrated(Event):
    """A ticket is pinned to another version of its workflow; its phase, visits and history stay."""

    ticket_id: Key
    workflow: Key
    from_version: Key
    workflow_version: Key
    phase_id: Key = Field(description="Phase it is in, before and after.")
    migration: int = Field(description="Number of this migration among all of the ticket, from 1.")
    move: int = Field(description="How often the ticket had moved before.")
    actor: str
    at: Moment
    void_phase: Key | None = Field(
        default=None, description="Phase whose gate asks something else now, so that its verdict is void."
    )


class DoneClaimChecked(Event):
    """What was claimed to be done was compared with what the phase calls done."""

    ticket_id: Key
    task_id: Key
    phase_id: Key
    visit: int
    completed_criteria: tuple[str, ...]
    all_met: bool
    missing: tuple[str, ...]
    actor: str
    at: Moment


class TaskFollowed(Event):
    """Phase knows which visit a task belongs to."""

    ticket_id: Key
    task_id: Key
    phase_id: Key
    visit: int


class GateSettled(Event):
    """The ticket knows the verdict of the gate of its current visit."""

    ticket_id: Key
    phase_id: Key
    visit: int
    passed: bool
    blocking_reasons: tuple[str, ...] = ()
    artifacts: tuple[Key, ...] = ()
    at: Moment | None = Field(default=None, description="When the gate spoke.")


class GateUnsettled(Event):
    """The ticket knows that the verdict on its current visit no longer holds."""

    ticket_id: Key
    phase_id: Key
    visit: int
    at: Moment


class PullRequested(Event):
    """A ticket may go on by itself, and asks the board for a slot in the column it would come to."""

    ticket_id: Key
    from_phase: Key
    to_phase: Key
    move: int = Field(description="How often the ticket has moved.")
    reason: str
    at: Moment


class MoveRefused(Event):
    """A ticket was not moved although the board keeps a slot for it."""

    ticket_id: Key
    to_phase: Key
    reservation: int
    code: str = Field(description="Stable reason in snake case.")
    message: str = Field(description="The reason and the way out, for a person.")
    at: Moment


class BoardFollowed(Event):
    """Phase knows which columns the board of a workflow keeps."""

    workflow: Key
    columns: tuple[Column, ...]
    at: Moment


class WorkflowLoaded(Event):
    """A version of a workflow became known."""

    key = "name"

    name: Key
    version: Key
    document: Workflow


class WorkflowAdopted(Event):
    """Tickets opened from now on pin this version; an older one is adopted again when it is loaded again."""

    name: Key
    version: Key
    shipped: bool = Field(description="Whether it came with OmoiOS rather than from people.")
    adopted_by: str
    adopted_at: Moment


class GetTicket(Query):
    """One ticket as the phase service decides on it."""

    ticket_id: Key


class PhaseHistory(Query):
    """Every transition of a ticket, oldest first."""

    ticket_id: Key


class ValidTransitions(Query):
    """Where a ticket may go from its phase, and what each way still waits for."""

    ticket_id: Key


class ValidateDone(Query):
    """Whether what is claimed covers what the phase calls done; nothing is recorded, no gate passes by it."""

    task_id: Key
    ticket_id: Key | None = Field(default=None, description="The task's own when absent.")
    phase_id: Key | None = Field(default=None, description="The task's own when absent.")
    completed_criteria: tuple[str, ...] = Field(max_length=200)


class GetWorkflow(Query):
    """A workflow document by name, the newest version unless one is named."""

    name: Key
    version: Key | None = None


class ListWorkflows(Query):
    """Names and versions of the workflows that are loaded."""


class TicketView(Result):
    """A ticket as the phase service decides on it."""

    ticket_id: Key
    title: str
    phase_id: Key
    visit: int
    workflow: Key
    workflow_version: Key
    priority: Priority
    gate: Literal["pending", "passed", "failed", "not_configured"]
    blocking_reasons: tuple[str, ...] = ()
    details: dict[str, Any] = Field(default_factory=dict)
