"""What the registry does about the news of others: attempts begin and end once, and guardians intervene."""

from collections.abc import Sequence
from datetime import datetime

from shared.contracts.agent import (
    ApplyIntervention,
    BeginAttempt,
    EndAttempt,
    Outcome,
    RevertIntervention,
)
from shared.contracts.guardian import GuardianInterventionRequested, GuardianRevertRequested
from shared.contracts.messages import Command
from shared.contracts.task import (
    TaskCancelled,
    TaskClaimed,
    TaskCompleted,
    TaskFailed,
    TaskLeaseExpired,
    TaskRetryScheduled,
    TaskTimedOut,
)

OF_AGENTS = ("reallocate_capacity", "quarantine_agent")
"""Interventions that are about agents; tasks and tickets are the scheduler's."""

Ending = TaskCompleted | TaskCancelled | TaskFailed | TaskLeaseExpired | TaskRetryScheduled | TaskTimedOut


def begin(event: TaskClaimed) -> Sequence[Command]:
    """The agent has the task; whoever handed it over has it no more."""
    begun = BeginAttempt(agent_id=event.agent_id, task_id=event.task_id, at=event.claimed_at)
    if event.handed_over_from is None:
        return [begun]
    returned = EndAttempt(
        agent_id=event.handed_over_from, task_id=event.task_id, outcome="returned", at=event.claimed_at
    )
    return [returned, begun]


def complete(event: TaskCompleted) -> Sequence[Command]:
    """The attempt came to something."""
    return _end(event, event.agent_id, "completed", event.completed_at)


def time_out(event: TaskTimedOut) -> Sequence[Command]:
    """The attempt took too long."""
    return _end(event, event.agent_id, "failed", event.at)


def lose(event: TaskLeaseExpired) -> Sequence[Command]:
    """The agent was silent or gone."""
    return _end(event, event.agent_id, "lost", event.at)


def fail(event: TaskRetryScheduled | TaskFailed) -> Sequence[Command]:
    """The agent said that the attempt failed; when it had ended before, that was heard of."""
    if event.agent_id is None or event.claim_epoch is None:
        return []
    return _end(event, event.agent_id, "failed", event.failed_at)


def cancel(event: TaskCancelled) -> Sequence[Command]:
    """The task is no longer wanted, which is nobody's failure."""
    return [] if event.agent_id is None else _end(event, event.agent_id, "cancelled", event.cancelled_at)


def _end(event: Ending, agent_id: str, outcome: Outcome, at: datetime) -> Sequence[Command]:
    return [
        EndAttempt(
            agent_id=agent_id, task_id=event.task_id, task_type=event.task_type, outcome=outcome, at=at
        )
    ]


def apply_intervention(event: GuardianInterventionRequested) -> Sequence[Command]:
    """Carry it out if it is about agents."""
    if event.intended.kind not in OF_AGENTS:
        return []
    return [
        ApplyIntervention(
            intervention_id=event.intervention_id,
            intended=event.intended,
            reason=event.reason,
            actor=event.actor,
        )
    ]


def revert_intervention(event: GuardianRevertRequested) -> Sequence[Command]:
    """Restore what was if it is about agents."""
    if event.intended.kind not in OF_AGENTS:
        return []
    return [
        RevertIntervention(
            intervention_id=event.intervention_id,
            revert_id=event.revert_id,
            intended=event.intended,
            reason=event.reason,
            actor=event.actor,
        )
    ]
