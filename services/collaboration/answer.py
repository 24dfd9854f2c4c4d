"""Answering a handoff, and waiting for its end."""

from datetime import timedelta

from services.collaboration.agent import Agent, refuse_quarantined
from services.collaboration.handoff import (
    Handoff,
    common,
    evolve,
    handoff_of,
    pending_one,
    ref,
    say,
    timer_key,
)
from shared.contracts.collaboration import (
    AcceptHandoff,
    AwaitHandoff,
    DeclineHandoff,
    HandoffAccepted,
    HandoffDeclined,
)
from shared.kernel.decider import CancelTimer, Context, Facts, Past, Refused, Waiting


class NotTheAddressee(Refused):
    """Only the agent who was asked may answer."""


class NotConcerned(Refused):
    """The handoff is between two others."""


def accept_handoff(command: AcceptHandoff, past: Past, context: Context) -> Facts:
    """Agree to take over; the scheduler then moves the claim, if it still can."""
    handoff = _answerable(command.handoff_id, past, context)
    refuse_quarantined(past.of(Agent, context.actor))
    accepted = HandoffAccepted(
        handoff_id=handoff.handoff_id,
        task_id=handoff.task_id,
        ticket_id=handoff.ticket_id,
        from_agent=handoff.from_agent,
        to_agent=handoff.to_agent,
        claim_epoch=handoff.claim_epoch,
        reason=handoff.reason,
        context=dict(handoff.context),
        at=context.at,
    )
    return [accepted, CancelTimer(timer_key(handoff.handoff_id)), ref(evolve(handoff, accepted))]


def decline_handoff(command: DeclineHandoff, past: Past, context: Context) -> Facts:
    """Say no; the requester keeps the claim."""
    handoff = _answerable(command.handoff_id, past, context)
    declined = HandoffDeclined(**common(handoff), reason=command.reason, at=context.at)
    text = f"{handoff.to_agent} declines. {command.reason or 'No reason was given.'}"
    return [
        declined,
        CancelTimer(timer_key(handoff.handoff_id)),
        *say(handoff, handoff.to_agent, (handoff.from_agent,), text, past, context),
        ref(evolve(handoff, declined)),
    ]


def _answerable(handoff_id: str, past: Past, context: Context) -> Handoff:
    """The handoff, if the actor may answer it now."""
    handoff = handoff_of(past, handoff_id)
    if context.actor != handoff.to_agent:
        raise NotTheAddressee(
            f"Handoff {handoff_id} asks {handoff.to_agent}, and only {handoff.to_agent} may answer it.",
            to_agent=handoff.to_agent,
        )
    return pending_one(handoff, context)


def await_handoff(command: AwaitHandoff, past: Past, context: Context) -> Facts:
    """Wait until there is something to tell; each of the two may ask."""
    handoff = handoff_of(past, command.handoff_id)
    if context.actor not in handoff.parties:
        raise NotConcerned(
            f"Handoff {handoff.handoff_id} is between {' and '.join(handoff.parties)}. "
            "get_handoff shows it to anybody.",
            handoff_id=handoff.handoff_id,
        )
    until = context.received_at + timedelta(seconds=command.wait_seconds)
    if handoff.goes_on and context.at < until:
        raise Waiting(until)
    return [ref(handoff)]
