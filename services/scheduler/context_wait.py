"""What a visit waits for before its tasks are handed out: the context of the visit that was left."""

from datetime import timedelta

from services.scheduler.decision import Decision
from services.scheduler.settle import settle, settling
from services.scheduler.ticket import Ticket
from services.scheduler.workflow import workflow_of
from shared.contracts.task import ContextFollowed, ContextMissed, EndContextWait, FollowContext
from shared.contracts.workflow import Phase, Workflow
from shared.kernel.decider import CancelTimer, Context, Facts, Past, Timer, Unavailable


def waits_for_context(ticket: Ticket, phase: Phase, visit: int, workflow: Workflow) -> bool:
    """Whether a visit that begins waits for what the ticket's last visit came to.

    Nothing is known of an initial phase without tasks; a visit that was interrupted goes on as it was; and
    what was heard before the move is here already.
    """
    left = workflow.phase(ticket.working_phase)
    idle = left is None or (left.id == workflow.initial_phase and not left.tasks)
    goes_on = (phase.id, visit) == (ticket.working_phase, ticket.working_visit)
    return bool(
        phase.tasks and workflow.context_wait_seconds and not idle and not goes_on and ticket.early is None
    )


def waiting(decision: Decision, ticket: Ticket) -> Timer | CancelTimer:
    """Ends the wait of the visit that just began, or that of the one before."""
    key = f"context-{ticket.ticket_id}"
    if not ticket.awaiting or ticket.left is None:
        return CancelTimer(key)
    seconds = workflow_of(decision, ticket.workflow_version).context_wait_seconds
    phase_id, visit = ticket.left
    ending = EndContextWait(ticket_id=ticket.ticket_id, phase_id=phase_id, visit=visit)
    return Timer(key, decision.at + timedelta(seconds=seconds), ending)


def follow_context(command: FollowContext, past: Past, context: Context) -> Facts:
    """Keep what the visit that was left came to, or the one that is about to be; older ones are history."""
    decision = Decision(past, context)
    ticket = decision.of(Ticket, command.ticket_id)
    place = (command.phase_id, command.visit)
    if command.visit > ticket.visits.get(command.phase_id, 0):
        raise Unavailable(
            f"Ticket {command.ticket_id} has not entered {command.phase_id} {command.visit} times yet, as "
            "far as the scheduler has heard."
        )
    newer = ticket.context_at is None or command.at >= ticket.context_at
    if not newer or place not in (ticket.left, (ticket.working_phase, ticket.working_visit)):
        return []
    decision.record(ContextFollowed(**dict(command)))
    return _let_go(decision, ticket) if ticket.awaiting and place == ticket.left else decision.facts


def end_context_wait(command: EndContextWait, past: Past, context: Context) -> Facts:
    """Go on without: a context service that is away stops nobody."""
    decision = Decision(past, context)
    ticket = decision.of(Ticket, command.ticket_id)
    if not ticket.awaiting or ticket.left != (command.phase_id, command.visit):
        return []
    decision.record(ContextMissed(**dict(command)))
    return _let_go(decision, ticket)


def _let_go(decision: Decision, ticket: Ticket) -> Facts:
    """Settle the tasks of a ticket whose wait is over."""
    settle(decision, decision.of(Ticket, ticket.ticket_id))
    decision.record(CancelTimer(f"context-{ticket.ticket_id}"), settling(ticket.ticket_id, decision.context))
    return decision.facts
