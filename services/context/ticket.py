"""A ticket's visits of its phases, in whatever order they are heard of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.context.workflow import WorkflowVersion
from shared.contracts.context import (
    ContextTicketFollowed,
    ContextTicketMigrated,
    ContextVisitBegan,
    FollowMigration,
    FollowTicket,
)
from shared.kernel.decider import Aggregate, Context, Facts, Past, Refused, Unavailable

MAX_VISITS = 50
"""Visits a ticket is known by, the newest ones; going back and forth more often is a fault elsewhere."""


class TicketNotFound(Refused):
    """Context has not heard of the ticket."""


class UnknownPhase(Refused):
    """The ticket's workflow has no such phase."""


class VisitNotFound(Refused):
    """Nothing has happened in such a visit."""


@dataclass(frozen=True)
class Place:
    """A visit as the ticket sees it."""

    phase_id: str
    visit: int
    at: datetime
    """When the ticket came; when the first task was made for it, where the ticket never did."""
    entered: bool = True
    left: bool = False
    move: int = 0
    """Number of the move that brought the ticket; 0 where it was opened, or never came."""


@dataclass(frozen=True)
class Ticket:
    """A ticket; without a workflow version it is not known yet."""

    ticket_id: str = ""
    workflow_version: str = ""
    migration: int = 0
    places: tuple[Place, ...] = ()
    """In the order in which the visits began."""

    def place(self, phase_id: str, visit: int) -> Place | None:
        """The visit of that number."""
        return next((p for p in self.places if (p.phase_id, p.visit) == (phase_id, visit)), None)

    def last_visit(self, phase_id: str) -> int:
        """Number of the last visit of a phase; 0 when there was none."""
        return max((place.visit for place in self.places if place.phase_id == phase_id), default=0)


def context_id(ticket_id: str, phase_id: str, visit: int) -> str:
    """A visit as one word; neither id can hold a dot."""
    return f"{ticket_id}.{phase_id}.{visit}"


def follow_ticket(command: FollowTicket, past: Past, _: Context) -> Facts:
    """A ticket is opened once."""
    if past.of(Ticket, command.ticket_id).workflow_version:
        return []
    return [ContextTicketFollowed(**dict(command))]


def follow_migration(command: FollowMigration, past: Past, _: Context) -> Facts:
    """The last migration counts."""
    if command.migration <= followed(past, command.ticket_id).migration:
        return []
    return [ContextTicketMigrated(**dict(command))]


def evolve(
    ticket: Ticket, event: ContextTicketFollowed | ContextTicketMigrated | ContextVisitBegan
) -> Ticket:
    """The ticket after `event`."""
    match event:
        case ContextTicketMigrated():
            return replace(ticket, workflow_version=event.workflow_version, migration=event.migration)
        case ContextTicketFollowed():
            begun = Place(event.phase_id, 1, event.at)
            return Ticket(event.ticket_id, event.workflow_version, 0, (begun,))
        case ContextVisitBegan():
            others = [p for p in ticket.places if (p.phase_id, p.visit) != (event.phase_id, event.visit)]
            begun = Place(event.phase_id, event.visit, event.at, event.entered, move=event.move)
            return replace(ticket, places=_with_left([*others, begun]))


def _with_left(places: Sequence[Place]) -> tuple[Place, ...]:
    """The newest visits in order; the ticket has left all that it entered but the last one."""
    ordered = sorted(places, key=lambda place: (place.at, place.move))[-MAX_VISITS:]
    entered = [place for place in ordered if place.entered]
    current = max(entered, key=lambda place: (place.move, place.at), default=None)
    return tuple(replace(place, left=place.entered and place is not current) for place in ordered)


TICKET = Aggregate(Ticket, evolve, key="ticket_id")


def followed(past: Past, ticket_id: str) -> Ticket:
    """The ticket an event of another service speaks of, which may have overtaken the ticket's own.

    Raises Unavailable until context has heard of it.
    """
    ticket = past.of(Ticket, ticket_id)
    if not ticket.workflow_version:
        raise Unavailable(f"Ticket {ticket_id} is not known to context yet.")
    return ticket


def workflow_of(past: Past, ticket: Ticket) -> WorkflowVersion:
    """The ticket's workflow. Raises Unavailable until context has heard of it."""
    workflow = past.of(WorkflowVersion, ticket.workflow_version)
    if not workflow.phases:
        raise not_known_yet(ticket)
    return workflow


def not_known_yet(ticket: Ticket) -> Unavailable:
    """The ticket was heard of before its workflow."""
    return Unavailable(f"Workflow version {ticket.workflow_version} is not known to context yet.")


def not_found(ticket_id: str) -> TicketNotFound:
    """The refusal for a ticket nobody opened."""
    return TicketNotFound(f"Context knows no ticket {ticket_id}. Check the id.", ticket_id=ticket_id)


def check_phase(ticket: Ticket, workflow: WorkflowVersion, phase_id: str) -> None:
    """Raises UnknownPhase."""
    if phase_id not in workflow.phases:
        raise UnknownPhase(
            f"The workflow {workflow.name} of ticket {ticket.ticket_id} has no phase {phase_id}; "
            f"it has {', '.join(workflow.phases)}.",
            phase_id=phase_id,
            phases=list(workflow.phases),
        )
