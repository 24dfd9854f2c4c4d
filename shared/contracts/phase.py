"""Tickets and the phases they pass through."""

from typing import Any, Literal

from pydantic import Field

from shared.contracts.messages import Authority, Command, Event, Key, Moment, Priority, Query, Result
from shared.contracts.workflow import Workflow


class TicketRef(Result):
    """Which ticket the command made or changed."""

    ticket_id: Key


class TicketMoved(Result):
    """Where a ticket stands after the command."""

    ticket_id: Key
    from_phase: Key
    to_phase: Key
    visit: int


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


class GateSettled(Event):
    """The ticket knows the verdict of the gate of its current visit."""

    ticket_id: Key
    phase_id: Key
    visit: int
    passed: bool
    blocking_reasons: tuple[str, ...] = ()
    artifacts: tuple[Key, ...] = ()


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
