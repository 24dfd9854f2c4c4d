"""The order of dispatch: a number for each ready task, the smallest first."""

from dataclasses import replace
from datetime import datetime, timedelta

from services.scheduler.decision import Decision
from services.scheduler.task import Task, TaskEnded
from services.scheduler.workflow import workflow_of
from shared.contracts.messages import Priority
from shared.contracts.task import ApproachDeadline, ReprioritiseTask, TaskReady, TaskReprioritised
from shared.contracts.workflow import Ranking
from shared.kernel.decider import Context, Facts, Past, Timer


def rank(task: Task, ranking: Ranking, ready_at: datetime, now: datetime) -> float:
    """Seconds since 1970 at which it became ready, less its boosts.

    A later task overtakes an earlier one by the difference of their boosts at most: waiting wins at last.
    """
    waited_for = min(len(task.dependents) * ranking.dependent_seconds, ranking.dependent_cap_seconds)
    urgent = ranking.deadline_seconds if _is_near(task.deadline, ranking, now) else 0.0
    return ready_at.timestamp() - _boost(task.priority, ranking) - waited_for - urgent


def _is_near(deadline: datetime | None, ranking: Ranking, now: datetime) -> bool:
    return deadline is not None and (deadline - now).total_seconds() <= ranking.deadline_within_seconds


def _boost(priority: Priority, ranking: Ranking) -> float:
    return {
        Priority.CRITICAL: ranking.critical_seconds,
        Priority.HIGH: ranking.high_seconds,
        Priority.MEDIUM: ranking.medium_seconds,
        Priority.LOW: ranking.low_seconds,
    }[priority]


def make_ready(decision: Decision, task: Task, dependency_id: str | None = None) -> None:
    """Let a task be claimed from now on: `dependency_id`, if given, was the last one that it needed."""
    ranking = workflow_of(decision, task.workflow_version).ranking
    decision.record(
        TaskReady(
            task_id=task.task_id,
            ticket_id=task.ticket_id,
            phase_id=task.phase_id,
            ready_at=decision.at,
            rank=rank(task, ranking, decision.at, decision.at),
            dependency_id=dependency_id,
        )
    )
    if task.deadline and not _is_near(task.deadline, ranking, decision.at):
        near_at = task.deadline - timedelta(seconds=ranking.deadline_within_seconds)
        decision.record(Timer(f"deadline-{task.task_id}", near_at, ApproachDeadline(task_id=task.task_id)))


def rerank(decision: Decision, task_id: str, reason: str) -> None:
    """Give a ready task the place in the order that it now deserves."""
    task = decision.of(Task, task_id)
    if task.status == "ready" and _rank_now(decision, task) != task.rank:
        decision.record(_reprioritised(decision, task, reason))


def reprioritise_task(command: ReprioritiseTask, past: Past, context: Context) -> Facts:
    """Change how urgent a task is; the one in work goes on, and a retry of it is ranked so."""
    decision = Decision(past, context)
    task = decision.task(command.task_id)
    if task.ended:
        raise TaskEnded(
            f"Task {task.task_id} is {task.status}; nobody waits for it any more.", status=task.status
        )
    if task.priority != command.priority:
        prioritise(decision, task, command.priority, command.reason, given_by=context.actor)
    return decision.about(task.task_id)


def prioritise(decision: Decision, task: Task, priority: Priority, reason: str, *, given_by: str) -> None:
    """Give a task a priority, and the place that is its due."""
    changed = replace(task, priority=priority)
    decision.record(_reprioritised(decision, changed, reason, given_by=given_by))


def _reprioritised(
    decision: Decision, task: Task, reason: str, *, given_by: str | None = None
) -> TaskReprioritised:
    return TaskReprioritised(
        task_id=task.task_id,
        ticket_id=task.ticket_id,
        priority=task.priority,
        rank=_rank_now(decision, task),
        reason=reason,
        actor=decision.context.actor,
        given_by=given_by,
        at=decision.at,
    )


def _rank_now(decision: Decision, task: Task) -> float | None:
    if task.status != "ready":
        return None
    assert task.ready_at is not None, "what is ready became so at some time"
    ranking = workflow_of(decision, task.workflow_version).ranking
    return rank(task, ranking, task.ready_at, decision.at)


def approach_deadline(command: ApproachDeadline, past: Past, context: Context) -> Facts:
    """Move a task up whose deadline is near; one that is not ready will be ranked so when it is."""
    decision = Decision(past, context)
    rerank(decision, command.task_id, "Its deadline is near.")
    return decision.facts
