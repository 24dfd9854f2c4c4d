"""What the rules of collaboration are tested with."""

from datetime import timedelta

from services.collaboration.delivery import Deliveries
from services.collaboration.offer import EXPIRY_SECONDS
from services.collaboration.service import collaboration
from shared.contracts.collaboration import (
    Absence,
    AgentFollowed,
    ClaimFollowed,
    ClaimOffered,
    HandoffAccepted,
    HandoffRequested,
    MessageDelivered,
    MessageSent,
    ThreadClosed,
    ThreadOpened,
)
from shared.contracts.messages import Event
from shared.testing.scenario import NOON, Scenario

EXPIRES_AT = NOON + timedelta(seconds=EXPIRY_SECONDS)
TALK = Scenario(collaboration.aggregates, collaboration.obeys).finding(
    Deliveries, lambda lookup: lookup.delivery_ids
)

OPENED = ThreadOpened(
    thread_id="t", kind="review", topic="The door", participants=("ann", "bob", "eve"), actor="ann", at=NOON
)
CLOSED = ThreadClosed(thread_id="t", actor="ann", at=NOON)
FOLLOWED = ClaimFollowed(task_id="chair", ticket_id="T-1", agent_id="ann", claim_epoch=4, attempt=4)
PARTIES = {"handoff_id": "h", "task_id": "chair", "ticket_id": "T-1", "from_agent": "ann", "to_agent": "bob"}


def followed(agent_id: str, absence: Absence = "left", absent: bool = False) -> AgentFollowed:
    """News of an agent; as it stands, that it is here."""
    return AgentFollowed(agent_id=agent_id, absence=absence, absent=absent, reason="It lies.", at=NOON)


HERE = (followed("bob"), followed("eve"))
REQUESTED = HandoffRequested(
    **PARTIES,
    thread_id="h",
    claim_epoch=4,
    reason="No saw.",
    context={"legs": 3},
    expires_at=EXPIRES_AT,
    at=NOON,
)
OFFERED: tuple[Event, ...] = (
    FOLLOWED,
    REQUESTED,
    ClaimOffered(task_id="chair", ticket_id="T-1", handoff_id="h"),
)
ACCEPTED = HandoffAccepted(**PARTIES, claim_epoch=4, reason="No saw.", context={"legs": 3}, at=NOON)


def sent(message_id: str, *recipients: str, sender: str = "ann", text: str = "hi") -> tuple[Event, ...]:
    """A message in thread t, and its deliveries."""
    message = MessageSent(
        message_id=message_id,
        thread_id="t",
        sender=sender,
        recipients=recipients,
        broadcast=True,
        text=text,
        sent_at=NOON,
    )
    return message, *(
        MessageDelivered(
            delivery_id=f"{message_id}.{name}",
            message_id=message_id,
            thread_id="t",
            sender=sender,
            recipient=name,
            at=NOON,
        )
        for name in recipients
    )
