"""Asking another agent to take over: who may ask whom, asking no longer, and waiting in vain."""

from collections.abc import Sequence
from datetime import timedelta

from services.collaboration.agent import Agent, refuse_absent
from services.collaboration.claim import Claim
from services.collaboration.handoff import (
    SERVICE,
    Handoff,
    common,
    evolve,
    handoff_of,
    pending_one,
    ref,
    say,
    timer_key,
)
from services.collaboration.thread import Thread
from shared.contracts.collaboration import (
    ClaimOffered,
    ExpireHandoff,
    HandoffExpired,
    HandoffRequested,
    HandoffWithdrawn,
    RequestHandoff,
    ThreadOpened,
    WithdrawHandoff,
)
from shared.contracts.messages import Authority, Event
from shared.kernel.decider import (
    CancelTimer,
    Context,
    Facts,
    NotAuthorised,
    Past,
    Refused,
    Timer,
    Unavailable,
    Waiting,
)

EXPIRY_SECONDS = 300
HEARING_SECONDS = 2
"""How long a request waits for news of a claim that may have been made, or of an agent that may have come, a
moment ago."""


class HandoffExists(Refused):
    """Another handoff, or a thread, has that id."""


class HandoffOpen(Refused):
    """The task is being handed over already."""


class NotTheHolder(Refused):
    """Only who holds a task's claim can hand it over."""


class NotTheRequester(Refused):
    """Only who asked for a handoff may withdraw it."""


class HandoffToSelf(Refused):
    """A claim cannot be handed to who has it."""


def request_handoff(command: RequestHandoff, past: Past, context: Context) -> Facts:
    """Offer a claim to another agent; asking for the same handoff again changes nothing."""
    holder = _holder(command, context)
    handoff_id = command.handoff_id or context.new_id("handoff_id")
    known = past.of(Handoff, handoff_id)
    if (known.from_agent, known.to_agent, known.task_id) == (holder, command.to, command.task_id):
        return [ref(known)]
    if known.handoff_id or past.of(Thread, handoff_id).exists:
        raise HandoffExists(
            f"A handoff or a thread {handoff_id} exists. Take another id.", handoff_id=handoff_id
        )
    if command.to == holder:
        raise HandoffToSelf(f"{holder} has the task already. Name another agent.", to=command.to)
    claim = _claim_of(holder, command, past, context)
    _refuse_absent(command.to, past, context)
    _refuse_second(claim, past)
    requested = HandoffRequested(
        handoff_id=handoff_id,
        task_id=command.task_id,
        ticket_id=claim.ticket_id,
        thread_id=handoff_id,
        from_agent=holder,
        to_agent=command.to,
        claim_epoch=claim.claim_epoch,
        reason=command.reason,
        context=command.context,
        expires_at=context.at + timedelta(seconds=EXPIRY_SECONDS),
        at=context.at,
    )
    return [
        requested,
        ClaimOffered(task_id=claim.task_id, ticket_id=claim.ticket_id, handoff_id=handoff_id),
        _thread(requested, context.actor),
        Timer(timer_key(handoff_id), requested.expires_at, ExpireHandoff(handoff_id=handoff_id)),
        *_opening_words(requested, past, context),
        ref(evolve(known, requested)),
    ]


def _holder(command: RequestHandoff, context: Context) -> str:
    """Whose claim is to pass: the actor's, unless MONITOR or above names another's."""
    holder = command.from_agent or context.actor
    if holder != context.actor and context.authority < Authority.MONITOR:
        raise NotAuthorised(
            f"{context.actor} may not hand over a task of {holder}. That may {holder} itself, and anybody "
            "with MONITOR authority: leave `from` out to hand over a task of your own.",
            from_agent=holder,
            held=context.authority.name,
        )
    return holder


def _claim_of(holder: str, command: RequestHandoff, past: Past, context: Context) -> Claim:
    """The holder's claim on the task; news of it may still be on its way."""
    claim, epoch = past.of(Claim, command.task_id), command.claim_epoch
    if claim.agent_id == holder and epoch in (None, claim.claim_epoch):
        return claim
    unheard = epoch is not None and claim.claim_epoch < epoch
    patience = context.received_at + timedelta(seconds=HEARING_SECONDS)
    if (unheard or epoch is None) and context.at < patience:
        raise Waiting(patience)
    if unheard:
        raise Unavailable(f"Collaboration has not heard of claim {epoch} on task {command.task_id} yet.")
    actual = (
        f"{claim.agent_id} holds it, under epoch {claim.claim_epoch}" if claim.agent_id else "nobody does"
    )
    what = f"task {command.task_id}" if epoch is None else f"claim {epoch} of task {command.task_id}"
    raise NotTheHolder(
        f"{holder} does not hold {what}: {actual}. Only the holder can hand a task over.",
        task_id=command.task_id,
        holder=claim.agent_id,
        claim_epoch=claim.claim_epoch,
    )


def _refuse_absent(agent_id: str, past: Past, context: Context) -> None:
    """Refuse an addressee that could not do the work; news of one that has just come may be on its way."""
    agent = past.of(Agent, agent_id)
    patience = context.received_at + timedelta(seconds=HEARING_SECONDS)
    if not agent.here and context.at < patience:
        raise Waiting(patience)
    refuse_absent(agent, agent_id)


def _refuse_second(claim: Claim, past: Past) -> None:
    open_one = past.of(Handoff, claim.handoff_id) if claim.handoff_id else Handoff()
    if open_one.goes_on:
        raise HandoffOpen(
            f"Task {claim.task_id} is being handed to {open_one.to_agent} already ({open_one.status}). "
            "Wait for its end.",
            handoff_id=open_one.handoff_id,
            status=open_one.status,
        )


def _thread(requested: HandoffRequested, actor: str) -> ThreadOpened:
    return ThreadOpened(
        thread_id=requested.thread_id,
        kind="handoff",
        topic=f"Handoff of task {requested.task_id}",
        participants=(requested.from_agent, requested.to_agent),
        ticket_id=requested.ticket_id,
        task_id=requested.task_id,
        actor=actor,
        at=requested.at,
    )


def _opening_words(requested: HandoffRequested, past: Past, context: Context) -> Sequence[Event]:
    why = requested.reason or "No reason was given."
    if context.actor != requested.from_agent:
        why += f" {context.actor} asks for it on behalf of {requested.from_agent}."
    text = f"{requested.from_agent} asks you to take over task {requested.task_id}. {why}"
    handoff = evolve(Handoff(), requested)
    return say(handoff, requested.from_agent, (requested.to_agent,), text, past, context)


def withdraw_handoff(command: WithdrawHandoff, past: Past, context: Context) -> Facts:
    """Ask no longer; once the addressee has agreed, it is too late."""
    handoff = handoff_of(past, command.handoff_id)
    if context.actor != handoff.from_agent:
        raise NotTheRequester(
            f"{handoff.from_agent} asked for handoff {handoff.handoff_id}, and only {handoff.from_agent} may "
            f"withdraw it. {handoff.to_agent} may decline it.",
            from_agent=handoff.from_agent,
        )
    withdrawn = HandoffWithdrawn(
        **common(pending_one(handoff, context)), reason=command.reason, at=context.at
    )
    why = f" {command.reason}" if command.reason else ""
    text = f"{handoff.from_agent} no longer asks you to take over task {handoff.task_id}.{why}"
    return [
        withdrawn,
        CancelTimer(timer_key(handoff.handoff_id)),
        *say(handoff, handoff.from_agent, (handoff.to_agent,), text, past, context),
        ref(evolve(handoff, withdrawn)),
    ]


def expire_handoff(command: ExpireHandoff, past: Past, context: Context) -> Facts:
    """End a handoff that nobody answered; its timer was dropped if somebody did."""
    handoff = past.of(Handoff, command.handoff_id)
    if handoff.status != "pending" or not handoff.goes_on:
        return []
    text = f"{handoff.to_agent} did not answer in time; {handoff.from_agent} keeps task {handoff.task_id}."
    return [
        HandoffExpired(**common(handoff), at=context.at),
        CancelTimer(timer_key(handoff.handoff_id)),
        *say(handoff, SERVICE, handoff.parties, text, past, context),
    ]
