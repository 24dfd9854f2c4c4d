"""What becomes of handoffs as claims are made, moved and ended."""

from services.collaboration.claim import Claim
from services.collaboration.handoff import SERVICE, Handoff, common, say, timer_key
from shared.contracts.collaboration import (
    ClaimEnded,
    ClaimFollowed,
    EndClaim,
    FailHandoff,
    FollowClaim,
    HandoffCompleted,
    HandoffFailed,
)
from shared.kernel.decider import CancelTimer, Context, Fact, Facts, Past, Unavailable


def follow_claim(command: FollowClaim, past: Past, context: Context) -> Facts:
    """Remember who has the task; a claim that a handoff has moved completes the handoff."""
    claim = past.of(Claim, command.task_id)
    if command.attempt <= claim.attempt:
        return []
    followed = ClaimFollowed(
        task_id=command.task_id,
        ticket_id=command.ticket_id,
        agent_id=command.agent_id,
        claim_epoch=command.claim_epoch,
        attempt=command.attempt,
    )
    handoff = past.of(Handoff, command.handoff_id) if command.handoff_id else Handoff()
    if handoff.status == "accepted":
        return [followed, *_completed(handoff, command, past, context)]
    reason = f"The claim of task {command.task_id} is {command.agent_id}'s now."
    return [followed, *_overtaken(claim, reason, past, context)]


def end_claim(command: EndClaim, past: Past, context: Context) -> Facts:
    """Remember that nobody has the task; a handoff that waits for an answer has come to nothing."""
    claim = past.of(Claim, command.task_id)
    if command.attempt is not None and command.attempt > claim.attempt:
        raise Unavailable(
            f"Attempt {command.attempt} of task {command.task_id} has ended, and collaboration has not heard "
            "of its claim yet."
        )
    if claim.agent_id is None or command.attempt not in (None, claim.attempt):
        return []
    ended = ClaimEnded(task_id=claim.task_id, ticket_id=claim.ticket_id, attempt=claim.attempt)
    return [ended, *_overtaken(claim, command.reason, past, context)]


def fail_handoff(command: FailHandoff, past: Past, context: Context) -> Facts:
    """Tell both that the scheduler did not move the claim; after the end nothing changes."""
    handoff = past.of(Handoff, command.handoff_id)
    return _failed(handoff, command.reason, past, context) if handoff.goes_on else []


def _completed(handoff: Handoff, command: FollowClaim, past: Past, context: Context) -> list[Fact]:
    completed = HandoffCompleted(
        **common(handoff),
        claim_epoch=command.claim_epoch,
        lease_expires_at=command.lease_expires_at,
        at=context.at,
    )
    text = (
        f"Task {handoff.task_id} has moved from {handoff.from_agent} to {handoff.to_agent}, who holds it "
        f"under claim_epoch {command.claim_epoch} until {command.lease_expires_at:%H:%M:%S} UTC, or longer "
        "if the claim is extended."
    )
    return [completed, *say(handoff, SERVICE, handoff.parties, text, past, context)]


def _overtaken(claim: Claim, reason: str, past: Past, context: Context) -> list[Fact]:
    """Once a handoff is accepted, the scheduler says how it ends."""
    handoff = past.of(Handoff, claim.handoff_id) if claim.handoff_id else Handoff()
    pending = handoff.goes_on and handoff.status == "pending"
    return _failed(handoff, reason, past, context) if pending else []


def _failed(handoff: Handoff, reason: str, past: Past, context: Context) -> list[Fact]:
    text = f"The handoff of task {handoff.task_id} to {handoff.to_agent} came to nothing. {reason}"
    return [
        HandoffFailed(**common(handoff), reason=reason, at=context.at),
        CancelTimer(timer_key(handoff.handoff_id)),
        *say(handoff, SERVICE, handoff.parties, text, past, context),
    ]
