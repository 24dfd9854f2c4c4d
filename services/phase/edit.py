"""Changing what a ticket says."""

from services.phase.ticket import existing
from shared.contracts.phase import EditTicket, TicketEdited, TicketRef
from shared.kernel.decider import Context, Facts, Past

_FIELDS = ("title", "description", "priority", "tags", "deadline", "repository")


def edit_ticket(command: EditTicket, past: Past, context: Context) -> Facts:
    """Only what changed is a fact; where nothing did, there is none."""
    ticket = existing(past, command.ticket_id)
    wished = {name: getattr(command, name) for name in _FIELDS}
    changed = {name: value for name, value in wished.items() if value not in (None, getattr(ticket, name))}
    cleared = tuple(name for name in dict.fromkeys(command.clear) if getattr(ticket, name) is not None)
    answer = TicketRef(ticket_id=ticket.ticket_id)
    if not changed and not cleared:
        return [answer]
    edited = TicketEdited(
        **changed,
        ticket_id=ticket.ticket_id,
        cleared=cleared,
        edit=ticket.edits + 1,
        actor=context.actor,
        at=context.at,
    )
    return [edited, answer]
