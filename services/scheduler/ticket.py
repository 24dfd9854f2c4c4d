"""A ticket, as far as its tasks depend on it."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.contracts.messages import Priority
from shared.contracts.task import (
    BlockersFollowed,
    ContextFollowed,
    ContextMissed,
    EditFollowed,
    MigrationFollowed,
    PhaseEntered,
    TaskSpawnRefused,
    TicketFollowed,
    TicketPaused,
    TicketResumed,
)
from shared.contracts.workflow import Phase, Workflow
from shared.kernel.decider import Aggregate, Refused


class TicketNotFound(Refused):
    """The scheduler knows no ticket of that id."""

    def __init__(self, ticket_id: str) -> None:
        super().__init__(
            f"The scheduler knows no ticket {ticket_id}. If it was opened a moment ago, try again; else "
            "check the id: omoi ticket list names those there are.",
            ticket_id=ticket_id,
        )


@dataclass(frozen=True)
class Pause:
    """Who wants no task of a ticket handed out, why, and since when."""

    paused_by: str
    reason: str
    since: datetime


@dataclass(frozen=True)
class Ticket:
    """Where a ticket is, and which visit its tasks are made for."""

    ticket_id: str = ""
    title: str = ""
    description: str = ""
    priority: Priority = Priority.MEDIUM
    workflow: str | None = None
    workflow_version: str = ""
    tags: tuple[str, ...] = ()
    parent_ticket_id: str | None = None
    deadline: datetime | None = None
    repository: str | None = None
    phase_id: str = ""
    visit: int = 0
    on_hold: bool = False
    ended: bool = False
    visits: dict[str, int] = field(default_factory=dict)
    """Phase -> the last visit of it."""
    working_phase: str = ""
    """The phase it is worked on in: where it is, or was before it was put on hold."""
    blocked_by: tuple[str, ...] = ()
    """The tickets that it waits for."""
    pause: Pause | None = None
    pause_given_by: str = ""
    """Intervention that paused or resumed it last; empty: it is as it was opened."""
    pause_changed_by: str | None = None
    """Actor who paused or resumed it last."""
    left: tuple[str, int] | None = None
    """Phase and number of the visit that was worked on before."""
    awaiting: bool = False
    """Whether the tasks of the visit wait for what that one came to."""
    context: str = ""
    """What earlier visits came to, in words."""
    early: str | None = None
    """What the visit that goes on came to, heard before the move that ends it."""
    context_at: datetime | None = None
    move: int = 0
    edit: int = 0
    blocker_change: int = 0
    migration: int = 0
    """Numbers of the last news of each kind, by which older news is known."""

    @property
    def exists(self) -> bool:
        """Whether the scheduler has heard of it."""
        return bool(self.ticket_id)

    @property
    def working_visit(self) -> int:
        """The visit that is worked on."""
        return self.visit_of(self.working_phase)

    def visit_of(self, phase_id: str) -> int:
        """The visit that a task made for `phase_id` now belongs to: the last one, or the first to come."""
        return self.visits.get(phase_id, 1)


@dataclass(frozen=True)
class Visit:
    """What the tasks of a ticket's visit of a phase are made from."""

    ticket: Ticket
    phase: Phase
    workflow: Workflow
    blocking_reasons: tuple[str, ...] = ()

    @property
    def number(self) -> int:
        """Which visit of the phase it is."""
        return self.ticket.visit_of(self.phase.id)

    def fields(self) -> dict[str, Any]:
        """What every task of the visit is created with."""
        return {
            "ticket_id": self.ticket.ticket_id,
            "phase_id": self.phase.id,
            "visit": self.number,
            "branched": self.phase.id != self.ticket.working_phase,
            "repository": self.ticket.repository,
            "workflow_version": self.ticket.workflow_version,
            "workflow": self.workflow.name,
            "max_running_per_ticket": self.workflow.max_running_per_ticket,
            "max_running_per_workflow": self.workflow.max_running_per_workflow,
        }


TicketEvent = (
    TicketFollowed
    | EditFollowed
    | BlockersFollowed
    | MigrationFollowed
    | ContextFollowed
    | ContextMissed
    | PhaseEntered
    | TaskSpawnRefused
    | TicketPaused
    | TicketResumed
)


def evolve(ticket: Ticket, event: TicketEvent) -> Ticket:
    """Follow what is heard of the ticket."""
    match event:
        case TicketFollowed():
            return _followed(event)
        case EditFollowed():
            return replace(ticket, **_edited(event), edit=event.edit)
        case BlockersFollowed():
            return replace(ticket, blocked_by=event.blocked_by, blocker_change=event.change)
        case MigrationFollowed(workflow_version=version, migration=migration):
            return replace(ticket, workflow_version=version, migration=migration, ended=event.ended)
        case ContextFollowed():
            return _informed(ticket, event)
        case ContextMissed():
            return replace(ticket, awaiting=False)
        case TaskSpawnRefused():
            return ticket
        case TicketPaused():
            return _paused(ticket, event, Pause(event.paused_by, event.reason, event.since))
        case TicketResumed():
            return _paused(ticket, event, None)
        case PhaseEntered():
            return _entered(_after(ticket, event), event)


def _paused(ticket: Ticket, event: TicketPaused | TicketResumed, pause: Pause | None) -> Ticket:
    return replace(ticket, pause=pause, pause_given_by=event.given_by, pause_changed_by=event.actor)


def _informed(ticket: Ticket, event: ContextFollowed) -> Ticket:
    informed = replace(ticket, context_at=event.at)
    if (event.phase_id, event.visit) == ticket.left:
        return replace(informed, context=event.summary, awaiting=False)
    return replace(informed, early=event.summary)


def _after(ticket: Ticket, event: PhaseEntered) -> Ticket:
    """The ticket with the visit behind it that it worked on, if another one begins."""
    before = (ticket.working_phase, ticket.working_visit)
    if event.on_hold or before == (event.phase_id, event.visit):
        return ticket
    context = ticket.context if ticket.early is None else ticket.early
    return replace(ticket, left=before, early=None, context=context, awaiting=event.waits_for_context)


def _entered(ticket: Ticket, event: PhaseEntered) -> Ticket:
    return replace(
        ticket,
        phase_id=event.phase_id,
        visit=event.visit,
        on_hold=event.on_hold,
        ended=event.ended,
        visits={**ticket.visits, event.phase_id: event.visit},
        working_phase=ticket.working_phase if event.on_hold else event.phase_id,
        move=event.move,
    )


_EDITABLE = ("title", "description", "priority", "tags", "deadline", "repository")


def _edited(event: EditFollowed) -> dict[str, Any]:
    told = {name: getattr(event, name) for name in _EDITABLE}
    changed = {name: value for name, value in told.items() if value is not None}
    return changed | dict.fromkeys(event.cleared)


def _followed(event: TicketFollowed) -> Ticket:
    return Ticket(
        ticket_id=event.ticket_id,
        title=event.title,
        description=event.description,
        priority=event.priority,
        workflow=event.workflow,
        workflow_version=event.workflow_version,
        tags=event.tags,
        parent_ticket_id=event.parent_ticket_id,
        deadline=event.deadline,
        repository=event.repository,
        phase_id=event.phase_id,
        working_phase=event.phase_id,
        blocked_by=event.blocked_by,
    )


TICKET = Aggregate(Ticket, evolve, "ticket_id")
