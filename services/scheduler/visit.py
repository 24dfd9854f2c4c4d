"""A ticket's visits of its phases: what begins with each of them."""

from collections.abc import Sequence

from services.scheduler.creation import generate
from services.scheduler.decision import Decision
from services.scheduler.settle import settle, settling
from services.scheduler.ticket import Ticket, Visit
from services.scheduler.workflow import workflow_of
from shared.contracts.task import EnterPhase, FollowTicket, PhaseEntered, TicketFollowed
from shared.kernel.decider import Context, Facts, Past, Unavailable


def follow_ticket(command: FollowTicket, past: Past, context: Context) -> Facts:
    """Remember a ticket, and begin its visit of the phase it starts in."""
    decision = Decision(past, context)
    if decision.of(Ticket, command.ticket_id).exists:
        return []
    decision.record(TicketFollowed(**dict(command)))
    _begin(decision, command.ticket_id, command.phase_id, 1)
    return decision.facts


def enter_phase(command: EnterPhase, past: Past, context: Context) -> Facts:
    """Follow a ticket into a phase: settle the tasks it leaves, and make those of the visit.

    Moves that are heard in the wrong order wait for the one before them.
    """
    decision = Decision(past, context)
    ticket = decision.of(Ticket, command.ticket_id)
    if (ticket.phase_id, ticket.visit) == (command.phase_id, command.visit):
        return []
    if ticket.phase_id != command.from_phase:
        raise Unavailable(
            f"Ticket {command.ticket_id} enters {command.phase_id} from {command.from_phase}, but as far as "
            f"the scheduler has heard it is in {ticket.phase_id or 'no phase'}."
        )
    _begin(decision, command.ticket_id, command.phase_id, command.visit, command.blocking_reasons)
    settle(decision, decision.of(Ticket, command.ticket_id))
    decision.record(settling(command.ticket_id, context))
    return decision.facts


def _begin(
    decision: Decision, ticket_id: str, phase_id: str, visit: int, blocking_reasons: Sequence[str] = ()
) -> None:
    workflow = workflow_of(decision, decision.of(Ticket, ticket_id).workflow_version)
    phase = workflow.phase(phase_id)
    on_hold = phase_id == workflow.blocked_phase
    worked_on = None if on_hold else phase
    decision.record(
        PhaseEntered(
            ticket_id=ticket_id,
            phase_id=phase_id,
            visit=visit,
            generated=len(worked_on.tasks) if worked_on else 0,
            on_hold=on_hold,
            ended=phase.is_terminal if phase else False,
        )
    )
    if worked_on:
        ticket = decision.of(Ticket, ticket_id)
        generate(decision, Visit(ticket, worked_on, workflow, tuple(blocking_reasons)))
