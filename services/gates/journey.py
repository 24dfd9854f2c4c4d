"""A ticket that moves on, or goes on under another workflow version: what is asked for goes with it."""

from dataclasses import replace

from services.gates.gate import Gate
from services.gates.ticket import Ticket, Visit, document_of, evolve, followed, gate_id
from services.gates.verdict import judged, withdrawn
from services.gates.workflow import WorkflowVersion
from shared.contracts.gate import BeginVisit, FollowMigration, GateTicketMigrated, GateVisitBegan
from shared.kernel.decider import Context, Facts, Past, Unavailable

LEFT = "The ticket has left the phase."


def begin_visit(command: BeginVisit, past: Past, context: Context) -> Facts:
    """A visit begins once, so that a ticket that was on hold goes on with the one it was in.

    One that comes late is remembered, but does not move the ticket back. Nobody is asked any more to judge
    a visit that is over.
    """
    ticket = followed(past, command.ticket_id)
    if command.visit <= ticket.visits.get(command.phase_id, 0):
        return []
    began = GateVisitBegan(
        ticket_id=command.ticket_id,
        phase_id=command.phase_id,
        visit=command.visit,
        at=command.at,
        on_hold=command.phase_id == document_of(past, ticket).blocked_phase,
    )
    moved = evolve(ticket, began)
    if not moved.has_left(ticket.phase_id or "", ticket.visits.get(ticket.phase_id or "", 0)):
        return [began]
    return [began, *withdrawn(_gate(past, command.ticket_id, ticket), LEFT, context)]


def follow_migration(command: FollowMigration, past: Past, context: Context) -> Facts:
    """What is asked for goes on by the rules of the new version, with what was said so far.

    A verdict is given anew: phase takes no verdict of a version that the ticket is not under any more.
    """
    ticket = followed(past, command.ticket_id)
    if command.migration <= ticket.migration:
        return []
    document = past.of(WorkflowVersion, command.workflow_version).document
    if not document:
        raise Unavailable(f"Workflow version {command.workflow_version} is not known to gates yet.")
    migrated = GateTicketMigrated(**command.model_dump())
    assert ticket.phase_id
    phase = document.phase(ticket.phase_id)
    gate = _gate(past, command.ticket_id, ticket)
    if not phase or not phase.gated or not (gate.open_request or gate.verdict):
        return [migrated, *withdrawn(gate, "The workflow no longer asks for it.", context)]
    visit = Visit(command.ticket_id, phase, ticket.visits[phase.id], command.workflow_version)
    return [migrated, *judged(visit, replace(gate, changed=True), context)]


def _gate(past: Past, ticket_id: str, ticket: Ticket) -> Gate:
    """The gate of the visit that a ticket is in."""
    assert ticket.phase_id
    return past.of(Gate, gate_id(ticket_id, ticket.phase_id, ticket.visits.get(ticket.phase_id, 0)))
