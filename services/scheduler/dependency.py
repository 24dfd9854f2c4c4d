"""Who waits for whom: links without cycles, and what the end of a task means for those that wait for it."""

from collections import deque
from collections.abc import Iterable

from services.scheduler import timer
from services.scheduler.decision import Decision
from services.scheduler.locking import release_all
from services.scheduler.rank import make_ready, rerank
from services.scheduler.sharing import return_shares
from services.scheduler.task import Task
from shared.contracts.task import (
    AddDependency,
    TaskCancelled,
    TaskCompleted,
    TaskDependencyAdded,
    TaskDependencyEnded,
    TaskDependencyReopened,
    TaskDependentAdded,
    TaskFailed,
)
from shared.kernel.decider import Context, Facts, Past, Refused

Ending = TaskCompleted | TaskFailed | TaskCancelled


class DependencyCycle(Refused):
    """The tasks would wait for each other for ever."""


class TaskNotWaiting(Refused):
    """The task is past the point at which it could wait for another one."""


def add_dependency(command: AddDependency, past: Past, context: Context) -> Facts:
    """Let a task that nobody has begun wait for one more."""
    decision = Decision(past, context)
    task = decision.task(command.task_id)
    if command.depends_on in task.depends_on:
        return decision.about(task.task_id)
    if task.status not in ("waiting", "ready") or task.not_before:
        raise TaskNotWaiting(
            f"Task {task.task_id} is {task.status}, in attempt {task.attempt}; only one that nobody has "
            "begun can be made to wait. Cancel it and create a new one.",
            status=task.status,
        )
    refuse_cycle(decision, task.task_id, command.depends_on)
    decision.record(
        TaskDependencyAdded(task_id=task.task_id, ticket_id=task.ticket_id, depends_on=command.depends_on)
    )
    link(decision, task.task_id, [command.depends_on])
    advance(decision, task.task_id)
    return decision.about(task.task_id)


def refuse_cycle(decision: Decision, task_id: str, depends_on: str) -> None:
    """Refuse a dependency on a task that itself waits, directly or not, for `task_id`."""
    reached_from: dict[str, str] = {depends_on: ""}
    unseen = [depends_on]
    while unseen:
        seen = unseen.pop()
        if seen == task_id:
            _refuse(task_id, reached_from)
        for further in decision.of(Task, seen).depends_on:
            if further not in reached_from:
                reached_from[further] = seen
                unseen.append(further)


def _refuse(task_id: str, reached_from: dict[str, str]) -> None:
    backwards = [task_id]
    while reached_from[backwards[-1]]:
        backwards.append(reached_from[backwards[-1]])
    cycle = [task_id, *reversed(backwards)]
    raise DependencyCycle(f"The tasks would wait for each other: {' -> '.join(cycle)}.", cycle=cycle)


def link(decision: Decision, task_id: str, dependencies: Iterable[str]) -> None:
    """Tell the dependencies who waits for them, and the task how they stand."""
    ticket_id = decision.of(Task, task_id).ticket_id
    for dependency_id in dependencies:
        dependency = decision.task(dependency_id)
        if dependency.status != "completed":
            decision.record(
                TaskDependentAdded(
                    task_id=dependency_id, ticket_id=dependency.ticket_id, dependent_id=task_id
                )
            )
            rerank(decision, dependency_id, f"Task {task_id} waits for it.")
        if dependency.ended:
            decision.record(_told(task_id, ticket_id, dependency))


def _told(task_id: str, ticket_id: str, dependency: Task) -> TaskDependencyEnded:
    return TaskDependencyEnded(
        task_id=task_id,
        ticket_id=ticket_id,
        dependency_id=dependency.task_id,
        completed=dependency.status == "completed",
    )


def advance(decision: Decision, task_id: str) -> None:
    """Let a task that waits for others go where these let it: on, to its end, or nowhere yet."""
    task = decision.of(Task, task_id)
    if task.status != "waiting":
        return
    if task.satisfied:
        make_ready(decision, task)
    elif ending := _consequence(decision, task):
        close(decision, ending)


def close(decision: Decision, ending: Ending) -> None:
    """Record how a task ended and what follows for the tasks that wait for it, directly or not."""
    _end(decision, ending)
    spreading = deque([ending.task_id])
    while spreading:
        ended = decision.of(Task, spreading.popleft())
        spreading.extend(waiting for waiting in ended.dependents if _ends_too(decision, waiting, ended))


def _end(decision: Decision, ending: Ending) -> None:
    timers = timer.of_task(decision.of(Task, ending.task_id))
    decision.record(ending, *timers)
    release_all(decision, ending.task_id, "The task has ended.")
    return_shares(decision, ending.task_id)


def _ends_too(decision: Decision, task_id: str, dependency: Task) -> bool:
    """Tell a task that one it waits for has ended; whether that ends the task as well."""
    task = decision.of(Task, task_id)
    if task.status != "waiting" or task.satisfied:
        return False
    if dependency.status == "completed" and task.missing == 1:
        make_ready(decision, task, dependency.task_id)
        return False
    decision.record(_told(task_id, task.ticket_id, dependency))
    ending = None if dependency.status == "completed" else _consequence(decision, decision.of(Task, task_id))
    if ending:
        _end(decision, ending)
    return ending is not None


def _consequence(decision: Decision, task: Task) -> TaskFailed | TaskCancelled | None:
    """How a task ends whose dependencies can no longer be met; None when it goes on waiting."""
    if not task.broken or task.on_dependency_failure == "block":
        return None
    missing = ", ".join(task.dependencies("failed"))
    if task.on_dependency_failure == "fail":
        return failed(decision, task, f"It waits for tasks that did not complete: {missing}.")
    return cancelled(decision, task, f"Skipped: it waits for tasks that did not complete: {missing}.")


def failed(decision: Decision, task: Task, error: str) -> TaskFailed:
    """The task has failed for good."""
    return TaskFailed(
        task_id=task.task_id,
        ticket_id=task.ticket_id,
        phase_id=task.phase_id,
        visit=task.visit,
        task_type=task.task_type,
        agent_id=task.agent_id,
        attempt=task.attempt,
        error=error,
        failed_at=decision.at,
        claim_epoch=decision.of(Task, task.task_id).open_claim,
    )


def cancelled(
    decision: Decision, task: Task, reason: str, intervention_id: str | None = None
) -> TaskCancelled:
    """The task is stopped for good."""
    return TaskCancelled(
        task_id=task.task_id,
        ticket_id=task.ticket_id,
        phase_id=task.phase_id,
        visit=task.visit,
        task_type=task.task_type,
        agent_id=task.agent_id,
        reason=reason,
        actor=decision.context.actor,
        intervention_id=intervention_id,
        cancelled_at=decision.at,
    )


def reopen(decision: Decision, task_id: str) -> None:
    """Tell those that wait for a retried task that it is open again.

    The task itself is told what those it waits for did meanwhile: an ended one hears no news.
    """
    for dependent_id in decision.of(Task, task_id).dependents:
        dependent = decision.of(Task, dependent_id)
        if not dependent.ended and dependent.depends_on.get(task_id) == "failed":
            decision.record(_reopened(dependent, task_id))
    task = decision.of(Task, task_id)
    for dependency_id in (*task.dependencies("open"), *task.dependencies("failed")):
        dependency = decision.of(Task, dependency_id)
        known = task.depends_on[dependency_id]
        if known != "open" and not dependency.ended:
            decision.record(_reopened(task, dependency_id))
        elif dependency.status == "completed" or (known == "open" and dependency.ended):
            decision.record(_told(task_id, task.ticket_id, dependency))


def _reopened(task: Task, dependency_id: str) -> TaskDependencyReopened:
    return TaskDependencyReopened(task_id=task.task_id, ticket_id=task.ticket_id, dependency_id=dependency_id)
