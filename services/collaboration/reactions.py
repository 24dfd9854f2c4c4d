"""What collaboration does about the news of claims and of agents."""

from collections.abc import Sequence

from shared.contracts.agent import (
    AgentAvailabilityChanged,
    AgentDeregistered,
    AgentLost,
    AgentQuarantined,
    AgentRecovered,
    AgentRegistered,
    AgentReleased,
)
from shared.contracts.collaboration import EndClaim, FailHandoff, FollowAgent, FollowClaim
from shared.contracts.messages import Command
from shared.contracts.task import (
    TaskCancelled,
    TaskClaimed,
    TaskCompleted,
    TaskFailed,
    TaskHandoverFailed,
    TaskLeaseExpired,
    TaskRetryScheduled,
)


def follow_claim(event: TaskClaimed) -> Sequence[Command]:
    """Know the holder."""
    return [
        FollowClaim(
            task_id=event.task_id,
            ticket_id=event.ticket_id,
            agent_id=event.agent_id,
            claim_epoch=event.claim_epoch,
            attempt=event.attempt,
            lease_expires_at=event.lease_expires_at,
            handoff_id=event.handoff_id,
        )
    ]


def end_completed(event: TaskCompleted) -> Sequence[Command]:
    """There is nothing left to hand over."""
    return [EndClaim(task_id=event.task_id, attempt=event.attempt, reason="The task is completed.")]


def end_failed(event: TaskFailed) -> Sequence[Command]:
    """The task has failed for good."""
    return [EndClaim(task_id=event.task_id, attempt=event.attempt, reason="The task has failed.")]


def end_retried(event: TaskRetryScheduled) -> Sequence[Command]:
    """The task waits for its next attempt."""
    return [EndClaim(task_id=event.task_id, attempt=event.attempt, reason="The attempt has failed.")]


def end_expired(event: TaskLeaseExpired) -> Sequence[Command]:
    """The holder was silent too long, or is gone."""
    return [EndClaim(task_id=event.task_id, attempt=event.attempt, reason=event.reason)]


def end_cancelled(event: TaskCancelled) -> Sequence[Command]:
    """Nobody has the task any more; if nobody had it, there is nothing to end."""
    if event.agent_id is None:
        return []
    return [EndClaim(task_id=event.task_id, reason="The task was cancelled.")]


def fail_handoff(event: TaskHandoverFailed) -> Sequence[Command]:
    """The claim stays where it is."""
    return [FailHandoff(handoff_id=event.handoff_id, reason=event.reason)]


def greet(event: AgentRegistered) -> Sequence[Command]:
    """It is here, and lives."""
    here = FollowAgent(agent_id=event.agent_id, absence="left", absent=False, at=event.at)
    return [here, FollowAgent(agent_id=event.agent_id, absence="lost", absent=False, at=event.at)]


def find(event: AgentRecovered) -> Sequence[Command]:
    """It lives after all."""
    return [FollowAgent(agent_id=event.agent_id, absence="lost", absent=False, at=event.at)]


def lose(event: AgentLost) -> Sequence[Command]:
    """Nobody has heard of it for long."""
    return [FollowAgent(agent_id=event.agent_id, absence="lost", absent=True, at=event.at)]


def part(event: AgentDeregistered) -> Sequence[Command]:
    """It has left."""
    left = FollowAgent(agent_id=event.agent_id, absence="left", absent=True, reason=event.reason, at=event.at)
    return [left]


def quarantine(event: AgentQuarantined) -> Sequence[Command]:
    """It may have no tasks."""
    suspect = FollowAgent(
        agent_id=event.agent_id, absence="quarantine", absent=True, reason=event.reason, at=event.at
    )
    return [suspect]


def release(event: AgentReleased) -> Sequence[Command]:
    """It may have tasks again."""
    return [FollowAgent(agent_id=event.agent_id, absence="quarantine", absent=False, at=event.at)]


def follow_availability(event: AgentAvailabilityChanged) -> Sequence[Command]:
    """It was taken out, or let in again."""
    absent = not event.available
    return [FollowAgent(agent_id=event.agent_id, absence="unavailable", absent=absent, at=event.at)]
