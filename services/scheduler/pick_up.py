"""Picking up: an agent hears, with its next claim, of the tasks that were claimed for it."""

from collections.abc import Iterator
from datetime import timedelta

from services.scheduler import timer
from services.scheduler.agent import Agent
from services.scheduler.claimed_task import claimed_task
from services.scheduler.decision import Decision
from services.scheduler.lock import Lock
from services.scheduler.locking import shown
from services.scheduler.task import Task
from services.scheduler.workflow import workflow_of
from shared.contracts.lock import GrantedLock
from shared.contracts.task import AssignmentLapsed, ClaimedTask, TaskClaimantNamed, TaskPickedUp


def assigned_to(decision: Decision, agent: Agent) -> Iterator[Task]:
    """The tasks that wait for the agent; claims that are over meanwhile, or in work, are forgotten."""
    for task_id, claim_epoch in agent.assigned.items():
        task = decision.of(Task, task_id)
        if task.status == "claimed" and (task.agent_id, task.claim_epoch) == (agent.agent_id, claim_epoch):
            yield task
        else:
            decision.record(
                AssignmentLapsed(
                    agent_id=agent.agent_id,
                    task_id=task_id,
                    ticket_id=task.ticket_id,
                    claim_epoch=claim_epoch,
                    at=decision.at,
                )
            )


def pick_up(decision: Decision, task: Task) -> ClaimedTask:
    """Tell the agent of its claim, under the epoch it has, and let it hold it for another lease."""
    lease_seconds = workflow_of(decision, task.workflow_version).lease_seconds
    expires_at = decision.at + timedelta(seconds=lease_seconds)
    decision.record(
        TaskPickedUp(
            agent_id=task.holder,
            task_id=task.task_id,
            ticket_id=task.ticket_id,
            claim_epoch=task.claim_epoch,
            lease_expires_at=expires_at,
            at=decision.at,
        ),
        timer.lease(task.task_id, task.claim_epoch, expires_at),
    )
    claimed_by = decision.context.actor
    if claimed_by not in (task.agent_id, task.claimed_by):
        decision.record(
            TaskClaimantNamed(
                task_id=task.task_id,
                ticket_id=task.ticket_id,
                claim_epoch=task.claim_epoch,
                claimed_by=claimed_by,
                agent_id=task.agent_id,
                attempt=task.attempt,
            )
        )
    return claimed_task(decision, task.task_id, expires_at, _held(decision, task))


def _held(decision: Decision, task: Task) -> tuple[GrantedLock, ...]:
    holds = ((key, decision.of(Lock, key).held_by(task.task_id)) for key in sorted(task.resources))
    return tuple(shown(key, hold) for key, hold in holds if hold)
