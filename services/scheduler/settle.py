"""What news of a ticket means for its open tasks: which go on, which are held, which are cancelled."""

from dataclasses import dataclass

from services.scheduler.decision import Decision
from services.scheduler.dependency import cancelled, close
from services.scheduler.dispatch import left_behind, reasons_to_hold
from services.scheduler.task import Task
from services.scheduler.ticket import Ticket
from shared.contracts.task import SettleTasks, TaskHeld, TaskReleased
from shared.kernel.decider import Context, Facts, Lookup, Past, Timer

PAGE = 200
"""Tasks settled in one decision, so that a ticket with very many of them stops nobody else."""


@dataclass(frozen=True)
class OpenTasksOf(Lookup[tuple[str, ...]]):
    """Ids of a ticket's tasks that have not ended, in their order behind `after`."""

    holds = Task

    ticket_id: str
    after: str
    limit: int


def settle_tasks(command: SettleTasks, past: Past, context: Context) -> Facts:
    """Settle one page of a ticket's open tasks; the rest follows."""
    decision = Decision(past, context)
    page = settle(decision, decision.of(Ticket, command.ticket_id), command.after)
    if len(page) == PAGE:
        decision.record(settling(command.ticket_id, context, after=page[-1]))
    return decision.facts


def settling(ticket_id: str, context: Context, after: str = "") -> Timer:
    """Settles the tasks once what is decided now is committed."""
    return Timer(f"settle-{ticket_id}", context.at, SettleTasks(ticket_id=ticket_id, after=after))


def settle(decision: Decision, ticket: Ticket, after: str = "") -> tuple[str, ...]:
    """Settle the open tasks behind `after`; answers which were looked at."""
    page = decision.find(OpenTasksOf(ticket.ticket_id, after, PAGE))
    for task_id in page:
        task = decision.of(Task, task_id)
        if task.ended:
            continue
        if left_behind(task, ticket):
            close(decision, cancelled(decision, task, _moved_on(task, ticket)))
        else:
            hold(decision, task, ticket)
    return page


def hold(decision: Decision, task: Task, ticket: Ticket) -> None:
    """Hold a task while there is a reason in its ticket, and let it go when there is none any more."""
    reasons = reasons_to_hold(task, ticket)
    told = {"task_id": task.task_id, "ticket_id": task.ticket_id, "at": decision.at}
    if reasons and not task.held:
        decision.record(TaskHeld.model_validate(told))
    elif task.held and not reasons:
        decision.record(TaskReleased.model_validate(told))


def _moved_on(task: Task, ticket: Ticket) -> str:
    if task.branched:
        return f"Ticket {ticket.ticket_id} is over: it is in {ticket.phase_id}."
    return f"Ticket {ticket.ticket_id} left visit {task.visit} of {task.phase_id} for {ticket.phase_id}."
