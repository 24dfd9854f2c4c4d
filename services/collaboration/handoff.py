"""A handoff: the holder of a claim asks another agent to take over, who accepts or declines in time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from services.collaboration.claim import Claim
from services.collaboration.message import post
from services.collaboration.thread import Thread
from shared.contracts.collaboration import (
    AcceptHandoff,
    AwaitHandoff,
    ClaimOffered,
    DeclineHandoff,
    ExpireHandoff,
    HandoffAccepted,
    HandoffCompleted,
    HandoffDeclined,
    HandoffExpired,
    HandoffFailed,
    HandoffRef,
    HandoffRequested,
    HandoffStatus,
    MessageSent,
    RequestHandoff,
    ThreadOpened,
)
from shared.contracts.messages import Event
from shared.kernel.decider import (
    Aggregate,
    CancelTimer,
    Context,
    Facts,
    Past,
    Refused,
    Timer,
    Unavailable,
    Waiting,
)

EXPIRY_SECONDS = 300
HEARING_SECONDS = 2
"""How long a request waits for news of a claim that may have been made a moment ago."""
SERVICE = "collaboration"
"""The name under which the service itself says something in a thread."""


class HandoffNotFound(Refused):
    """No handoff of that id was asked for."""


class HandoffExists(Refused):
    """Another handoff, or a thread, has that id."""


class HandoffOpen(Refused):
    """The task is being handed over already."""


class NotTheHolder(Refused):
    """Only who holds a task's claim can hand it over."""


class NotTheAddressee(Refused):
    """Only the agent who was asked may answer."""


class NotConcerned(Refused):
    """The handoff is between two others."""


class HandoffAnswered(Refused):
    """A handoff is answered once."""


class HandoffToSelf(Refused):
    """A claim cannot be handed to who has it."""


@dataclass(frozen=True)
class Handoff:
    """What is known of a handoff; its thread has the same id."""

    handoff_id: str = ""
    task_id: str = ""
    ticket_id: str = ""
    from_agent: str = ""
    to_agent: str = ""
    claim_epoch: int = 0
    """Of the requester's claim."""
    reason: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    status: HandoffStatus = "pending"
    outcome: str = ""
    """Why it was declined, or came to nothing."""
    requested_at: datetime | None = None
    expires_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    new_claim_epoch: int | None = None
    lease_expires_at: datetime | None = None

    @property
    def goes_on(self) -> bool:
        """Whether it waits for an answer, or for the scheduler."""
        return bool(self.handoff_id) and self.status in ("pending", "accepted")

    @property
    def parties(self) -> tuple[str, str]:
        """The two it is between."""
        return self.from_agent, self.to_agent


def request_handoff(command: RequestHandoff, past: Past, context: Context) -> Facts:
    """Offer a claim to another agent; asking for the same handoff again changes nothing."""
    handoff_id = command.handoff_id or context.new_id("handoff_id")
    known = past.of(Handoff, handoff_id)
    if (known.from_agent, known.to_agent, known.task_id) == (context.actor, command.to, command.task_id):
        return [ref(known)]
    if known.handoff_id or past.of(Thread, handoff_id).exists:
        raise HandoffExists(
            f"A handoff or a thread {handoff_id} exists. Take another id.", handoff_id=handoff_id
        )
    if command.to == context.actor:
        raise HandoffToSelf(f"{context.actor} has the task already. Name another agent.", to=command.to)
    claim = _own_claim(command, past, context)
    _refuse_second(claim, past)
    requested = HandoffRequested(
        handoff_id=handoff_id,
        task_id=command.task_id,
        ticket_id=claim.ticket_id,
        thread_id=handoff_id,
        from_agent=context.actor,
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
        _thread(requested),
        Timer(timer_key(handoff_id), requested.expires_at, ExpireHandoff(handoff_id=handoff_id)),
        *_opening_words(requested, past, context),
        ref(evolve(known, requested)),
    ]


def _own_claim(command: RequestHandoff, past: Past, context: Context) -> Claim:
    """The actor's claim on the task; news of it may still be on its way."""
    claim, epoch = past.of(Claim, command.task_id), command.claim_epoch
    if claim.agent_id == context.actor and epoch in (None, claim.claim_epoch):
        return claim
    unheard = epoch is not None and claim.claim_epoch < epoch
    patience = context.received_at + timedelta(seconds=HEARING_SECONDS)
    if (unheard or epoch is None) and context.at < patience:
        raise Waiting(patience)
    if unheard:
        raise Unavailable(f"Collaboration has not heard of claim {epoch} on task {command.task_id} yet.")
    holder = (
        f"{claim.agent_id} holds it, under epoch {claim.claim_epoch}" if claim.agent_id else "nobody does"
    )
    what = f"task {command.task_id}" if epoch is None else f"claim {epoch} of task {command.task_id}"
    raise NotTheHolder(
        f"{context.actor} does not hold {what}: {holder}. Only the holder can hand a task over.",
        task_id=command.task_id,
        holder=claim.agent_id,
        claim_epoch=claim.claim_epoch,
    )


def _refuse_second(claim: Claim, past: Past) -> None:
    open_one = past.of(Handoff, claim.handoff_id) if claim.handoff_id else Handoff()
    if open_one.goes_on:
        raise HandoffOpen(
            f"Task {claim.task_id} is being handed to {open_one.to_agent} already ({open_one.status}). "
            "Wait for its end.",
            handoff_id=open_one.handoff_id,
            status=open_one.status,
        )


def _thread(requested: HandoffRequested) -> ThreadOpened:
    return ThreadOpened(
        thread_id=requested.thread_id,
        kind="handoff",
        topic=f"Handoff of task {requested.task_id}",
        participants=(requested.from_agent, requested.to_agent),
        ticket_id=requested.ticket_id,
        task_id=requested.task_id,
        actor=requested.from_agent,
        at=requested.at,
    )


def _opening_words(requested: HandoffRequested, past: Past, context: Context) -> Sequence[Event]:
    why = requested.reason or "No reason was given."
    text = f"{requested.from_agent} asks you to take over task {requested.task_id}. {why}"
    handoff = evolve(Handoff(), requested)
    return say(handoff, requested.from_agent, (requested.to_agent,), text, past, context)


def accept_handoff(command: AcceptHandoff, past: Past, context: Context) -> Facts:
    """Agree to take over; the scheduler then moves the claim, if it still can."""
    handoff = _answerable(command.handoff_id, past, context)
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
    """The handoff, if the actor may answer it now; too late is too late, even before the timer says so."""
    handoff = handoff_of(past, handoff_id)
    if context.actor != handoff.to_agent:
        raise NotTheAddressee(
            f"Handoff {handoff_id} asks {handoff.to_agent}, and only {handoff.to_agent} may answer it.",
            to_agent=handoff.to_agent,
        )
    overdue = handoff.expires_at is not None and context.at >= handoff.expires_at
    status = "expired" if handoff.status == "pending" and overdue else handoff.status
    if status != "pending":
        why = f" {handoff.outcome}" if handoff.outcome else ""
        raise HandoffAnswered(
            f"Handoff {handoff_id} is {status} and cannot be answered any more.{why}",
            handoff_id=handoff_id,
            status=status,
        )
    return handoff


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


def handoff_of(past: Past, handoff_id: str) -> Handoff:
    """The handoff of that id."""
    handoff = past.of(Handoff, handoff_id)
    if not handoff.handoff_id:
        raise not_found(handoff_id)
    return handoff


def not_found(handoff_id: str) -> HandoffNotFound:
    """The refusal for a handoff nobody asked for."""
    return HandoffNotFound(f"There is no handoff {handoff_id}. Check the id.", handoff_id=handoff_id)


def timer_key(handoff_id: str) -> str:
    """Key of the timer that ends a handoff nobody answers."""
    return f"handoff-{handoff_id}"


def common(handoff: Handoff) -> dict[str, Any]:
    """What every event of a handoff tells."""
    return {
        "handoff_id": handoff.handoff_id,
        "task_id": handoff.task_id,
        "ticket_id": handoff.ticket_id,
        "from_agent": handoff.from_agent,
        "to_agent": handoff.to_agent,
    }


def say(
    handoff: Handoff, sender: str, to: Sequence[str], text: str, past: Past, context: Context
) -> Sequence[Event]:
    """Words in the handoff's thread; one that was closed meanwhile takes none."""
    if past.of(Thread, handoff.handoff_id).status == "closed":
        return []
    sent = MessageSent(
        message_id=context.new_id(f"message/{handoff.handoff_id}"),
        thread_id=handoff.handoff_id,
        ticket_id=handoff.ticket_id,
        sender=sender,
        recipients=tuple(to),
        broadcast=False,
        text=text,
        metadata={"handoff_id": handoff.handoff_id, "task_id": handoff.task_id},
        sent_at=context.at,
    )
    return post(past, sent)


NEXT_STEPS: Mapping[HandoffStatus, str] = {
    "pending": "{to_agent} answers before {expires_at:%H:%M:%S} UTC. await_handoff tells the answer.",
    "accepted": "The claim moves within moments. await_handoff tells its epoch and lease.",
    "completed": "{to_agent} holds the task: start_task with claim_epoch {new_claim_epoch}, and extend_claim "
    "before the lease ends. {from_agent} drops the work.",
    "declined": "{from_agent} keeps the task.",
    "expired": "{from_agent} keeps the task, and may ask somebody else.",
    "failed": "Nothing moved. get_task of the scheduler tells who has the task now.",
}


def ref(handoff: Handoff) -> HandoffRef:
    """How it stands, and what to do now."""
    assert handoff.expires_at is not None, "a handoff that was asked for expires some time"
    return HandoffRef(
        handoff_id=handoff.handoff_id,
        task_id=handoff.task_id,
        thread_id=handoff.handoff_id,
        from_agent=handoff.from_agent,
        to_agent=handoff.to_agent,
        status=handoff.status,
        expires_at=handoff.expires_at,
        claim_epoch=handoff.new_claim_epoch,
        lease_expires_at=handoff.lease_expires_at,
        reason=handoff.outcome,
        next_step=NEXT_STEPS[handoff.status].format_map(vars(handoff)),
    )


HandoffEvent = (
    HandoffRequested | HandoffAccepted | HandoffCompleted | HandoffDeclined | HandoffExpired | HandoffFailed
)


def evolve(handoff: Handoff, event: HandoffEvent) -> Handoff:
    """The handoff after `event`."""
    match event:
        case HandoffRequested():
            return Handoff(
                handoff_id=event.handoff_id,
                task_id=event.task_id,
                ticket_id=event.ticket_id,
                from_agent=event.from_agent,
                to_agent=event.to_agent,
                claim_epoch=event.claim_epoch,
                reason=event.reason,
                context=event.context,
                requested_at=event.at,
                expires_at=event.expires_at,
            )
        case HandoffAccepted():
            return replace(handoff, status="accepted", answered_at=event.at)
        case HandoffCompleted():
            moved = replace(handoff, status="completed", ended_at=event.at)
            return replace(moved, new_claim_epoch=event.claim_epoch, lease_expires_at=event.lease_expires_at)
        case HandoffDeclined():
            declined = replace(handoff, status="declined", outcome=event.reason)
            return replace(declined, answered_at=event.at, ended_at=event.at)
        case HandoffExpired():
            return replace(handoff, status="expired", outcome="Nobody answered in time.", ended_at=event.at)
        case HandoffFailed():
            return replace(handoff, status="failed", outcome=event.reason, ended_at=event.at)


HANDOFF = Aggregate(Handoff, evolve, key="handoff_id")
