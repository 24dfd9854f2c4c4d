"""A ticket's visits of its phases: what begins with each of them."""

from services.scheduler.context_wait import waiting, waits_for_context
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
    start = {"ticket_id": command.ticket_id, "from_phase": command.phase_id, "phase_id": command.phase_id}
    _begin(decision, EnterPhase(**start, visit=1))
    return decision.facts


def enter_phase(command: EnterPhase, past: Past, context: Context) -> Facts:
    """Follow a ticket into a phase: settle the tasks it leaves, and make those of the visit.

    Moves that are heard in the wrong order wait for the one before them.
    """
    decision = Decision(past, context)
    ticket = decision.of(Ticket, command.ticket_id)
    if _is_known(command, ticket):
        return []
    if not _is_next(command, ticket):
        raise Unavailable(
            f"Ticket {command.ticket_id} enters {command.phase_id} from {command.from_phase} by move "
            f"{command.move}, but as far as the scheduler has heard it is in {ticket.phase_id or 'no phase'} "
            f"after {ticket.move} moves and {ticket.migration} migrations."
        )
    _begin(decision, command)
    settle(decision, decision.of(Ticket, command.ticket_id))
    decision.record(settling(command.ticket_id, context))
    return decision.facts


def _is_known(command: EnterPhase, ticket: Ticket) -> bool:
    if command.move:
        return command.move <= ticket.move
    return (ticket.phase_id, ticket.visit) == (command.phase_id, command.visit)


def _is_next(command: EnterPhase, ticket: Ticket) -> bool:
    if command.move:
        return (command.move, command.migration) == (ticket.move + 1, ticket.migration)
    return ticket.phase_id == command.from_phase


def _begin(decision: Decision, entering: EnterPhase) -> None:
    ticket = decision.of(Ticket, entering.ticket_id)
    workflow = workflow_of(decision, ticket.workflow_version)
    phase = workflow.phase(entering.phase_id)
    on_hold = entering.phase_id == workflow.blocked_phase
    worked_on = None if on_hold else phase
    decision.record(
        PhaseEntered(
            ticket_id=entering.ticket_id,
            phase_id=entering.phase_id,
            visit=entering.visit,
            generated=len(worked_on.tasks) if worked_on else 0,
            on_hold=on_hold,
            ended=phase.is_terminal if phase else False,
            move=ticket.move + 1 if ticket.visit else 0,
            waits_for_context=bool(
                worked_on and waits_for_context(ticket, worked_on, entering.visit, workflow)
            ),
        )
    )
    entered = decision.of(Ticket, entering.ticket_id)
    if entered.awaiting or ticket.awaiting:
        decision.record(waiting(decision, entered))
    if worked_on:
        generate(decision, Visit(entered, worked_on, workflow, entering.blocking_reasons))
