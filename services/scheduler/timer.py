"""The timers of a task."""

from datetime import datetime

from services.scheduler.task import Task
from shared.contracts.task import EndBackoff, ExpireClaim, TimeOutTask
from shared.kernel.decider import CancelTimer, Timer


def lease(task_id: str, claim_epoch: int, due_at: datetime) -> Timer:
    """Ends a claim that is not extended."""
    return Timer(f"lease-{task_id}", due_at, ExpireClaim(task_id=task_id, claim_epoch=claim_epoch))


def timeout(task_id: str, claim_epoch: int, due_at: datetime) -> Timer:
    """Ends an attempt that runs too long."""
    return Timer(f"timeout-{task_id}", due_at, TimeOutTask(task_id=task_id, claim_epoch=claim_epoch))


def backoff(task_id: str, attempt: int, due_at: datetime) -> Timer:
    """Ends the delay before a retry."""
    return Timer(f"backoff-{task_id}", due_at, EndBackoff(task_id=task_id, attempt=attempt))


def of_attempt(task: Task) -> list[CancelTimer]:
    """Stops what runs for the attempt in work."""
    running = [f"lease-{task.task_id}"] if task.claimed else []
    if task.status == "running" and task.timeout_seconds:
        running.append(f"timeout-{task.task_id}")
    return [CancelTimer(key) for key in running]


def of_task(task: Task) -> list[CancelTimer]:
    """Stops everything that runs for the task."""
    running = [f"backoff-{task.task_id}"] if task.not_before else []
    if task.deadline:
        running.append(f"deadline-{task.task_id}")
    return [*of_attempt(task), *(CancelTimer(key) for key in running)]
