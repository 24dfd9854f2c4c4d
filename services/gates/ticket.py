"""What gates knows of a ticket: its workflow version, where it is, and its visits to each phase."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.gates.workflow import WorkflowVersion
from shared.contracts.gate import FollowTicket, GateTicketFollowed, GateTicketMigrated, GateVisitBegan
from shared.contracts.workflow import Phase, Workflow
from shared.kernel.decider import Aggregate, Context, Facts, Past, Refused, Unavailable


class TicketNotFound(Refused):
    """Gates has not heard of the ticket."""


class UnknownPhase(Refused):
    """The ticket's workflow has no such phase."""


class GateNotFound(Refused):
    """There is no visit that could be judged."""


@dataclass(frozen=True)
class Ticket:
    """A ticket; without a workflow version it is not known yet."""

    workflow_version: str | None = None
    phase_id: str | None = None
    """The phase it is worked on in: where it is, or was before it was put on hold."""
    since: datetime | None = None
    visits: Mapping[str, int] = field(default_factory=dict)
    migration: int = 0
    """How often it has gone on under another workflow version."""

    def has_left(self, phase_id: str, visit: int) -> bool:
        """Whether that visit began and is over."""
        began = self.visits.get(phase_id, 0)
        return visit < began or (visit == began and self.phase_id != phase_id)


@dataclass(frozen=True)
class Visit:
    """One visit of a ticket to a phase, with the phase as the ticket's workflow version defines it."""

    ticket_id: str
    phase: Phase
    number: int
    workflow_version: str | None

    @property
    def gate_id(self) -> str:
        """The visit as one word."""
        return gate_id(self.ticket_id, self.phase.id, self.number)

    def fields(self) -> dict[str, Any]:
        """The fields by which every event of a gate names the visit."""
        return {
            "gate_id": self.gate_id,
            "ticket_id": self.ticket_id,
            "phase_id": self.phase.id,
            "visit": self.number,
        }


def gate_id(ticket_id: str, phase_id: str, visit: int) -> str:
    """A visit as one word; neither id can hold a dot."""
    return f"{ticket_id}.{phase_id}.{visit}"


def visit_named(name: str) -> dict[str, Any]:
    """The fields that a gate's id stands for."""
    ticket_id, phase_id, visit = name.split(".")
    return {"gate_id": name, "ticket_id": ticket_id, "phase_id": phase_id, "visit": int(visit)}


def follow_ticket(command: FollowTicket, past: Past, _: Context) -> Facts:
    """A ticket is opened once."""
    if past.of(Ticket, command.ticket_id).workflow_version:
        return []
    return [
        GateTicketFollowed(
            ticket_id=command.ticket_id,
            phase_id=command.phase_id,
            workflow_version=command.workflow_version,
        )
    ]


def evolve(ticket: Ticket, event: GateTicketFollowed | GateVisitBegan | GateTicketMigrated) -> Ticket:
    """The ticket after `event`."""
    match event:
        case GateTicketFollowed():
            return Ticket(event.workflow_version, event.phase_id, None, {event.phase_id: 1})
        case GateTicketMigrated():
            return replace(ticket, workflow_version=event.workflow_version, migration=event.migration)
        case GateVisitBegan():
            visits = {**ticket.visits, event.phase_id: event.visit}
            if event.on_hold or (ticket.since and event.at < ticket.since):
                return replace(ticket, visits=visits)
            return replace(ticket, visits=visits, phase_id=event.phase_id, since=event.at)


TICKET = Aggregate(Ticket, evolve, key="ticket_id")


def followed(past: Past, ticket_id: str) -> Ticket:
    """The ticket an event of another service speaks of, which may have overtaken the ticket's own.

    Raises Unavailable until gates has heard of it.
    """
    ticket = past.of(Ticket, ticket_id)
    if not ticket.workflow_version:
        raise Unavailable(f"Ticket {ticket_id} is not known to gates yet.")
    return ticket


def visit_of(past: Past, ticket_id: str, phase_id: str, visit: int) -> Visit:
    """The visit that an event of another service speaks of. Raises Unavailable and UnknownPhase."""
    ticket = followed(past, ticket_id)
    phase = _phase(document_of(past, ticket), phase_id, ticket_id)
    return Visit(ticket_id, phase, visit, ticket.workflow_version)


def visit_asked_for(past: Past, ticket_id: str, phase_id: str | None) -> Visit:
    """The last visit to a phase, by default the one the ticket is worked on in.

    Raises TicketNotFound, UnknownPhase, GateNotFound and Unavailable.
    """
    ticket = past.of(Ticket, ticket_id)
    if not ticket.workflow_version:
        raise TicketNotFound(f"Gates knows no ticket {ticket_id}.", ticket_id=ticket_id)
    return chosen_visit(ticket_id, ticket, document_of(past, ticket), phase_id)


def chosen_visit(
    ticket_id: str, ticket: Ticket, workflow: Workflow, phase_id: str | None, visit: int | None = None
) -> Visit:
    """A visit that has begun: by default the last one to the phase the ticket is worked on in.

    Raises UnknownPhase and GateNotFound.
    """
    assert ticket.phase_id
    phase = _phase(workflow, phase_id or ticket.phase_id, ticket_id)
    if phase.is_terminal:
        raise GateNotFound(
            f"{phase.id} is terminal: nothing leaves it, so it has no gate.", phase_id=phase.id
        )
    last = ticket.visits.get(phase.id, 0)
    if not 1 <= (visit or last) <= last:
        raise GateNotFound(
            f"Ticket {ticket_id} has been in {phase.id} {last} times; it is worked on in {ticket.phase_id}.",
            phase_id=phase.id,
            visits=last,
            current_phase=ticket.phase_id,
        )
    return Visit(ticket_id, phase, visit or last, ticket.workflow_version)


def document_of(past: Past, ticket: Ticket) -> Workflow:
    """The workflow of a ticket that gates has heard of. Raises Unavailable until gates knows it."""
    assert ticket.workflow_version
    document = past.of(WorkflowVersion, ticket.workflow_version).document
    if not document:
        raise Unavailable(f"Workflow version {ticket.workflow_version} is not known to gates yet.")
    return document


def _phase(workflow: Workflow, phase_id: str, ticket_id: str) -> Phase:
    phase = workflow.phase(phase_id)
    if not phase:
        known = [phase.id for phase in workflow.phases]
        raise UnknownPhase(
            f"The workflow {workflow.name} of ticket {ticket_id} has no phase {phase_id}; "
            f"it has {', '.join(known)}.",
            phase_id=phase_id,
            phases=known,
        )
    return phase
