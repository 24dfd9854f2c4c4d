"""What the worker who has a claim reports: begun, how far, done, failed."""

from datetime import timedelta

from services.scheduler import timer
from services.scheduler.claim import refuse_report, refuse_stale
from services.scheduler.decision import Decision
from services.scheduler.dependency import cancelled, close
from services.scheduler.entitlement import refuse_other_reporters
from services.scheduler.retry import lose_attempt
from services.scheduler.task import Status, Task, TaskEnded
from shared.contracts.task import (
    CancelTask,
    CompleteTask,
    FailTask,
    ReportProgress,
    StartTask,
    TaskCompleted,
    TaskLateReport,
    TaskProgressed,
    TaskStarted,
)
from shared.kernel.decider import Context, Facts, Past

Report = StartTask | ReportProgress | CompleteTask | FailTask


def start_task(command: StartTask, past: Past, context: Context) -> Facts:
    """Begin the attempt; its timeout runs from here."""
    decision = Decision(past, context)
    task = decision.task(command.task_id)
    if task.ended:
        return _late(decision, task, command)
    refuse_report(task, command.claim_epoch, context)
    if task.status == "running":
        return decision.about(task.task_id)
    decision.record(
        TaskStarted(
            task_id=task.task_id,
            ticket_id=task.ticket_id,
            phase_id=task.phase_id,
            agent_id=task.holder,
            claim_epoch=task.claim_epoch,
            attempt=task.attempt,
            started_at=context.at,
        )
    )
    if task.timeout_seconds:
        due_at = context.at + timedelta(seconds=task.timeout_seconds)
        decision.record(timer.timeout(task.task_id, task.claim_epoch, due_at))
    return decision.about(task.task_id)


def report_progress(command: ReportProgress, past: Past, context: Context) -> Facts:
    """Note how far the work is."""
    decision = Decision(past, context)
    task = decision.task(command.task_id)
    if task.ended:
        return _late(decision, task, command)
    refuse_report(task, command.claim_epoch, context)
    decision.record(
        TaskProgressed(
            task_id=task.task_id,
            ticket_id=task.ticket_id,
            agent_id=task.holder,
            claim_epoch=task.claim_epoch,
            message=command.message,
            percent=command.percent,
        )
    )
    return decision.about(task.task_id)


def complete_task(command: CompleteTask, past: Past, context: Context) -> Facts:
    """The work is done: those that wait for it may go on."""
    decision = Decision(past, context)
    task = decision.task(command.task_id)
    if task.ended:
        return _late(decision, task, command, repeats="completed")
    refuse_report(task, command.claim_epoch, context)
    close(
        decision,
        TaskCompleted(
            task_id=task.task_id,
            ticket_id=task.ticket_id,
            phase_id=task.phase_id,
            visit=task.visit,
            task_type=task.task_type,
            agent_id=task.holder,
            claim_epoch=task.claim_epoch,
            attempt=task.attempt,
            result=command.result,
            completed_at=context.at,
            reported_by=context.actor,
        ),
    )
    return decision.about(task.task_id)


def fail_task(command: FailTask, past: Past, context: Context) -> Facts:
    """The attempt failed: another follows, unless it was the last one or trying again is no use."""
    decision = Decision(past, context)
    task = decision.task(command.task_id)
    if task.ended:
        return _late(decision, task, command, repeats="failed")
    refuse_report(task, command.claim_epoch, context)
    lose_attempt(decision, task, command.error, retryable=command.retryable)
    return decision.about(task.task_id)


def _late(decision: Decision, task: Task, report: Report, repeats: Status | None = None) -> Facts:
    """A report after the end changes nothing.

    That of the last claim is noted, unless it only says again what is known.
    """
    if not 0 < task.claim_epoch == report.claim_epoch:
        refuse_stale(task, report.claim_epoch)
    refuse_other_reporters(task, decision.context)
    if task.status != repeats:
        decision.record(
            TaskLateReport(
                task_id=task.task_id,
                ticket_id=task.ticket_id,
                report=report.wire_name(),
                claim_epoch=report.claim_epoch,
                actor=decision.context.actor,
                at=decision.at,
            )
        )
    return decision.about(task.task_id)


def cancel_task(command: CancelTask, past: Past, context: Context) -> Facts:
    """Stop a task for good; whoever has it learns so when the claim is extended."""
    decision = Decision(past, context)
    task = decision.task(command.task_id)
    if task.status == "cancelled":
        return decision.about(task.task_id)
    if task.ended:
        raise TaskEnded(
            f"Task {task.task_id} is {task.status} already; there is nothing to stop.", status=task.status
        )
    close(decision, cancelled(decision, task, command.reason))
    return decision.about(task.task_id)
