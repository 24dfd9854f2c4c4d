"""What a claim tells its agent of the task."""

from datetime import datetime

from services.scheduler.decision import Decision
from services.scheduler.task import Task
from services.scheduler.ticket import Ticket
from services.scheduler.workflow import workflow_of
from shared.contracts.lock import GrantedLock
from shared.contracts.task import ClaimedTask


def claimed_task(
    decision: Decision, task_id: str, expires_at: datetime, locks: tuple[GrantedLock, ...]
) -> ClaimedTask:
    """A task that has been claimed, for whoever is to do it."""
    task = decision.of(Task, task_id)
    ticket = decision.of(Ticket, task.ticket_id)
    return ClaimedTask(
        task_id=task.task_id,
        ticket_id=task.ticket_id,
        phase_id=task.phase_id,
        visit=task.visit,
        task_type=task.task_type,
        title=task.title,
        description=task.description,
        priority=task.priority,
        claim_epoch=task.claim_epoch,
        lease_expires_at=expires_at,
        lease_seconds=workflow_of(decision, task.workflow_version).lease_seconds,
        attempt=task.attempt,
        timeout_seconds=task.timeout_seconds,
        repository=ticket.repository,
        parent_task_id=task.parent_task_id,
        context=ticket.context,
        locks=locks,
    )
