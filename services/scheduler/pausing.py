"""Pausing a ticket: none of its tasks is handed out, whatever it does meanwhile; those in work go on."""

from datetime import datetime
from typing import Any

from services.scheduler.changing import Changed, WorldMovedOn
from services.scheduler.creation import TicketEnded
from services.scheduler.decision import Decision
from services.scheduler.intervention import Intervention
from services.scheduler.settle import settle, settling
from services.scheduler.ticket import Pause, Ticket, TicketNotFound
from shared.contracts.guardian import Change
from shared.contracts.messages import moment_text
from shared.contracts.task import ApplyIntervention, RevertIntervention, TicketPaused, TicketResumed
from shared.kernel.decider import Refused


class TicketAlreadyPaused(Refused):
    """Nothing is left to pause."""


class TicketNotPaused(Refused):
    """There is nothing to resume."""


def pause(decision: Decision, command: ApplyIntervention) -> Changed | Refused:
    """Hold every task of the ticket, and those to come."""
    ticket = _of(decision, command)
    if not ticket.exists:
        return TicketNotFound(command.intended.ticket_id or "")
    if ticket.pause:
        return TicketAlreadyPaused(
            f"Ticket {ticket.ticket_id} is paused already. {ticket.pause.paused_by} paused it: "
            f"{ticket.pause.reason}",
            ticket_id=ticket.ticket_id,
        )
    if ticket.ended:
        return TicketEnded(
            f"Ticket {ticket.ticket_id} is over: it is in {ticket.phase_id}, and has no tasks to pause.",
            phase_id=ticket.phase_id,
        )
    paused = Pause(command.actor, command.reason, decision.at)
    return _put(decision, ticket, paused, command.intervention_id)


def resume(decision: Decision, command: ApplyIntervention) -> Changed | Refused:
    """Let go what nothing else holds."""
    ticket = _of(decision, command)
    if not ticket.exists:
        return TicketNotFound(command.intended.ticket_id or "")
    if not ticket.pause:
        return TicketNotPaused(f"Ticket {ticket.ticket_id} is not paused.", ticket_id=ticket.ticket_id)
    return _put(decision, ticket, None, command.intervention_id, command.reason)


def undo_pause(
    decision: Decision, command: RevertIntervention, applied: Intervention
) -> Changed | WorldMovedOn:
    """Resume, unless somebody has already."""
    ticket = _of(decision, command)
    if moved := _moved_on(ticket, applied):
        return moved
    return _put(decision, ticket, None, applied.before["given_by"], command.reason)


def undo_resume(
    decision: Decision, command: RevertIntervention, applied: Intervention
) -> Changed | WorldMovedOn:
    """Pause again as it was paused, unless somebody has already."""
    ticket, was = _of(decision, command), applied.before["paused"]
    if moved := _moved_on(ticket, applied):
        return moved
    paused = Pause(was["by"], was["reason"], datetime.fromisoformat(was["since"]))
    return _put(decision, ticket, paused, applied.before["given_by"])


def _of(decision: Decision, command: ApplyIntervention | RevertIntervention) -> Ticket:
    return decision.of(Ticket, command.intended.ticket_id or "")


def _moved_on(ticket: Ticket, applied: Intervention) -> WorldMovedOn | None:
    if ticket.pause_given_by == applied.intervention_id:
        return None
    left, now = applied.after["paused"], _told(ticket.pause)
    return WorldMovedOn({"paused": Change(left_as=left, is_now=now, by=ticket.pause_changed_by)})


def _put(decision: Decision, ticket: Ticket, pause: Pause | None, given_by: str, reason: str = "") -> Changed:
    """Let the ticket be paused, or not, and its tasks with it."""
    actor = decision.context.actor
    told = {"ticket_id": ticket.ticket_id, "given_by": given_by, "actor": actor, "at": decision.at}
    decision.record(
        TicketPaused(**told, paused_by=pause.paused_by, reason=pause.reason, since=pause.since)
        if pause
        else TicketResumed(**told, reason=reason)
    )
    settle(decision, decision.of(Ticket, ticket.ticket_id))
    decision.record(settling(ticket.ticket_id, decision.context))
    before = {"paused": _told(ticket.pause), "given_by": ticket.pause_given_by}
    return Changed(ticket.ticket_id, before, {"paused": _told(pause)})


def _told(pause: Pause | None) -> dict[str, Any] | None:
    if pause is None:
        return None
    return {"by": pause.paused_by, "reason": pause.reason, "since": moment_text(pause.since)}
