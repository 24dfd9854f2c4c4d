"""A claim that passes from one agent to another, because the two have agreed on a handoff."""

from datetime import timedelta

from services.scheduler import timer
from services.scheduler.agent import Agent
from services.scheduler.decision import Decision
from services.scheduler.locking import hand_over_all
from services.scheduler.task import Task
from services.scheduler.workflow import workflow_of
from shared.contracts.task import HandOverClaim, TaskClaimed, TaskHandoverFailed
from shared.kernel.decider import Context, Facts, Past


def hand_over_claim(command: HandOverClaim, past: Past, context: Context) -> Facts:
    """Move a claim: the same task, a new epoch and lease, and an attempt that costs no retry.

    A claim that is not the requester's any more, or would go to an agent in quarantine, stays where it is.
    That is announced and not refused, so that the two who agreed hear of it.
    """
    decision = Decision(past, context)
    task = decision.task(command.task_id)
    reason = _in_the_way(task, command, past)
    if reason:
        decision.record(_failed(task, command, reason, decision))
    else:
        decision.record(*_moved(decision, task, command))
        passed = f"{command.from_agent} has handed the task over to {command.to_agent}."
        hand_over_all(decision, task.task_id, command.to_agent, passed)
    return decision.about(task.task_id)


def _in_the_way(task: Task, command: HandOverClaim, past: Past) -> str:
    """Why the claim cannot move; empty when it can."""
    if not task.claimed or (task.claim_epoch, task.agent_id) != (command.claim_epoch, command.from_agent):
        holder = f"{task.agent_id} has it, under epoch {task.claim_epoch}"
        now = holder if task.claimed else f"it is {task.status}"
        return f"{command.from_agent} does not hold task {task.task_id} any more: {now}."
    quarantine = past.of(Agent, command.to_agent).causes.get("quarantine")
    if quarantine is not None and quarantine.withheld:
        return f"Agent {command.to_agent} is quarantined: {quarantine.sentence}"
    return ""


def _moved(decision: Decision, task: Task, command: HandOverClaim) -> Facts:
    lease_seconds = workflow_of(decision, task.workflow_version).lease_seconds
    claimed = TaskClaimed(
        task_id=task.task_id,
        ticket_id=task.ticket_id,
        phase_id=task.phase_id,
        agent_id=command.to_agent,
        claim_epoch=task.claim_epoch + 1,
        attempt=task.attempt + 1,
        claimed_at=decision.at,
        lease_expires_at=decision.at + timedelta(seconds=lease_seconds),
        handed_over_from=command.from_agent,
        handoff_id=command.handoff_id,
        handoff_reason=command.reason,
        handoff_context=command.context,
    )
    lease = timer.lease(task.task_id, claimed.claim_epoch, claimed.lease_expires_at)
    return [*timer.of_attempt(task), claimed, lease]


def _failed(task: Task, command: HandOverClaim, reason: str, decision: Decision) -> TaskHandoverFailed:
    return TaskHandoverFailed(
        task_id=task.task_id,
        ticket_id=task.ticket_id,
        handoff_id=command.handoff_id,
        from_agent=command.from_agent,
        to_agent=command.to_agent,
        claim_epoch=command.claim_epoch,
        reason=reason,
        at=decision.at,
    )
