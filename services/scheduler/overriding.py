"""What guardians decide over the heads of those who work: that a task is stopped, or how urgent it is."""

from itertools import islice
from typing import Any

from services.scheduler.changing import Changed, WorldMovedOn
from services.scheduler.decision import Decision
from services.scheduler.dependency import cancelled, close
from services.scheduler.dispatch import left_behind
from services.scheduler.intervention import Intervention
from services.scheduler.rank import prioritise
from services.scheduler.retry import try_again
from services.scheduler.task import Task, TaskEnded, TaskNotFound
from services.scheduler.ticket import Ticket
from shared.contracts.guardian import Change
from shared.contracts.messages import Priority
from shared.contracts.task import ApplyIntervention, RevertIntervention, TaskCancelled, TaskFailed
from shared.kernel.decider import Refused

RESTORED_MAX = 1000
"""Of the tasks that ended because one was cancelled, so many are queued again with it."""


class PriorityUnchanged(Refused):
    """The task has that priority."""


def cancel(decision: Decision, command: ApplyIntervention) -> Changed | Refused:
    """Stop a task, and what cannot go on without it."""
    task = decision.of(Task, command.intended.task_id or "")
    if problem := _not_open(task, command):
        return problem
    before: dict[str, Any] = {"status": task.status, "attempt": task.attempt}
    if task.claimed:
        before["agent_id"] = task.agent_id
    close(decision, cancelled(decision, task, command.reason, command.intervention_id))
    after = {"status": "cancelled", "ended_with_it": _ended_with(decision, task.task_id)}
    return Changed(task.ticket_id, before, after)


def _ended_with(decision: Decision, task_id: str) -> dict[str, str]:
    ends = (fact for fact in decision.facts if isinstance(fact, TaskCancelled | TaskFailed))
    others = (end.task_id for end in ends if end.task_id != task_id)
    return {other: decision.of(Task, other).status for other in islice(others, RESTORED_MAX)}


def requeue(decision: Decision, command: RevertIntervention, applied: Intervention) -> Changed | WorldMovedOn:
    """Queue a cancelled task again, and those that ended with it; what its last attempt did is lost."""
    task = decision.task(command.intended.task_id or "")
    ticket = decision.ticket(task.ticket_id)
    if changed := _moved_on(task, ticket, command.intervention_id):
        return WorldMovedOn(changed)
    try_again(decision, task, ticket)
    others = _requeued(decision, applied.after["ended_with_it"])
    after = {"status": decision.of(Task, task.task_id).status, **others}
    return Changed(task.ticket_id, {"status": "cancelled"}, after)


def _moved_on(task: Task, ticket: Ticket, intervention_id: str) -> dict[str, Change]:
    changed: dict[str, Change] = {}
    if task.cancelled_through != intervention_id:
        by = task.agent_id if task.claimed else None
        changed["status"] = Change(left_as="cancelled", is_now=task.status, by=by)
    if left_behind(task, ticket):
        changed["visit"] = Change(
            left_as=f"{task.phase_id} {task.visit}", is_now=f"{ticket.phase_id} {ticket.visit}"
        )
    return changed


def _requeued(decision: Decision, ended: dict[str, str]) -> dict[str, Any]:
    """Begin those anew that ended with it, unless somebody has done something about them since."""
    left: dict[str, str] = {}
    for task_id, status in ended.items():
        task = decision.task(task_id)
        ticket = decision.ticket(task.ticket_id)
        if task.status != status or left_behind(task, ticket):
            left[task_id] = task.status
        else:
            try_again(decision, task, ticket)
    again = {task_id: decision.of(Task, task_id).status for task_id in ended if task_id not in left}
    return {"with_it": again, "not_restored": left} if ended else {}


def override_priority(decision: Decision, command: ApplyIntervention) -> Changed | Refused:
    """Give a task another priority, and its place in the order at once."""
    task, wanted = decision.of(Task, command.intended.task_id or ""), command.intended.priority
    if problem := _not_open(task, command):
        return problem
    assert wanted is not None, "an override names a priority"
    if task.priority == wanted:
        return PriorityUnchanged(f"Task {task.task_id} has priority {wanted} already.", priority=wanted.value)
    before = {"priority": task.priority.value, "given_by": task.priority_given_by}
    prioritise(decision, task, wanted, command.reason, given_by=command.intervention_id)
    return Changed(task.ticket_id, before, {"priority": wanted.value})


def restore_priority(
    decision: Decision, command: RevertIntervention, applied: Intervention
) -> Changed | WorldMovedOn:
    """Give a task the priority that it had, unless somebody has given it another since, or it has ended."""
    task = decision.task(command.intended.task_id or "")
    changed: dict[str, Change] = {}
    if task.priority_given_by != command.intervention_id:
        changed["priority"] = Change(
            left_as=applied.after["priority"], is_now=task.priority.value, by=task.priority_given_by or None
        )
    if task.ended:
        changed["status"] = Change(left_as="open", is_now=task.status)
    if changed:
        return WorldMovedOn(changed)
    was = Priority(applied.before["priority"])
    prioritise(decision, task, was, command.reason, given_by=applied.before["given_by"])
    return Changed(task.ticket_id, dict(applied.after), {"priority": was.value})


def _not_open(task: Task, command: ApplyIntervention) -> Refused | None:
    if not task.exists:
        return TaskNotFound(command.intended.task_id or "")
    if not task.ended:
        return None
    return TaskEnded(
        f"Task {task.task_id} is {task.status} already; nothing can be done about it any more.",
        status=task.status,
    )
