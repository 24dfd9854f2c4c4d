"""A handoff: an agreement of two agents that a claim shall pass, how facts change it, and how it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.collaboration.message import post
from services.collaboration.thread import Thread
from shared.contracts.collaboration import (
    HandoffAccepted,
    HandoffCompleted,
    HandoffDeclined,
    HandoffExpired,
    HandoffFailed,
    HandoffRef,
    HandoffRequested,
    HandoffStatus,
    HandoffWithdrawn,
    MessageSent,
)
from shared.contracts.messages import Event
from shared.kernel.decider import Aggregate, Context, Past, Refused

SERVICE = "collaboration"
"""The name under which the service itself says something in a thread."""


class HandoffNotFound(Refused):
    """No handoff of that id was asked for."""


class HandoffAnswered(Refused):
    """A handoff is answered once."""


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
    """Why it was declined, withdrawn, or came to nothing."""
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


def handoff_of(past: Past, handoff_id: str) -> Handoff:
    """The handoff of that id."""
    handoff = past.of(Handoff, handoff_id)
    if not handoff.handoff_id:
        raise not_found(handoff_id)
    return handoff


def not_found(handoff_id: str) -> HandoffNotFound:
    """The refusal for a handoff nobody asked for."""
    return HandoffNotFound(
        f"There is no handoff {handoff_id}. `omoi messages handoff list` names yours.", handoff_id=handoff_id
    )


def pending_one(handoff: Handoff, context: Context) -> Handoff:
    """The handoff, if it still waits for an answer; too late is too late, even before the timer says so."""
    overdue = handoff.expires_at is not None and context.at >= handoff.expires_at
    status = "expired" if handoff.status == "pending" and overdue else handoff.status
    if status != "pending":
        why = f" {handoff.outcome}" if handoff.outcome else ""
        raise HandoffAnswered(
            f"Handoff {handoff.handoff_id} is {status} and cannot be answered or withdrawn any more.{why}",
            handoff_id=handoff.handoff_id,
            status=status,
        )
    return handoff


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
    "withdrawn": "{from_agent} keeps the task.",
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
    HandoffRequested
    | HandoffAccepted
    | HandoffCompleted
    | HandoffDeclined
    | HandoffWithdrawn
    | HandoffExpired
    | HandoffFailed
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
        case HandoffWithdrawn():
            return replace(handoff, status="withdrawn", outcome=event.reason, ended_at=event.at)
        case HandoffExpired():
            return replace(handoff, status="expired", outcome="Nobody answered in time.", ended_at=event.at)
        case HandoffFailed():
            return replace(handoff, status="failed", outcome=event.reason, ended_at=event.at)


HANDOFF = Aggregate(Handoff, evolve, key="handoff_id")
