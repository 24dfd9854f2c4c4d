"""Opening a ticket."""

from services.phase.blocker import refuse_missing, removed
from services.phase.ticket import Ticket, evolve
from services.phase.workflow import adopted
from shared.contracts.phase import OpenTicket, TicketOpened, TicketRef
from shared.kernel.decider import Context, Facts, Past, Refused


class TicketExists(Refused):
    """Another command has opened a ticket of that id."""


def open_ticket(command: OpenTicket, past: Past, context: Context) -> Facts:
    """A ticket starts in the initial phase of its workflow's newest version and stays with that version."""
    ticket_id = command.ticket_id or context.new_id("ticket_id")
    if past.of(Ticket, ticket_id).ticket_id:
        raise TicketExists(f"Ticket {ticket_id} exists. Open yours under another id.", ticket_id=ticket_id)
    version, workflow = adopted(past, command.workflow)
    blockers = tuple(dict.fromkeys(command.blocked_by))
    done = refuse_missing(past, ticket_id, blockers)
    opened = TicketOpened(
        ticket_id=ticket_id,
        title=command.title,
        description=command.description,
        priority=command.priority,
        workflow=command.workflow,
        workflow_version=version,
        phase_id=workflow.initial_phase,
        tags=command.tags,
        parent_ticket_id=command.parent_ticket_id,
        blocked_by=blockers,
        deadline=command.deadline,
        repository=command.repository,
        opened_by=context.actor,
        opened_at=context.at,
    )
    met = removed(evolve(Ticket(), opened), done, context, resolved=True)
    return [opened, *met, TicketRef(ticket_id=ticket_id)]
