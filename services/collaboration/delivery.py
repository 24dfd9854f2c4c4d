"""A delivery: one message in one inbox, read or unread."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.contracts.collaboration import (
    READ_MAX,
    MarkedRead,
    MarkRead,
    MessageDelivered,
    MessageRead,
    MessageSent,
)
from shared.kernel.decider import Aggregate, Context, Facts, Lookup, Past, Refused


class NotInInbox(Refused):
    """The messages were not sent to who wants to have read them."""


@dataclass(frozen=True)
class Delivery:
    """A message in an inbox."""

    delivery_id: str = ""
    message_id: str = ""
    thread_id: str = ""
    recipient: str = ""
    delivered_at: datetime | None = None
    read_at: datetime | None = None


@dataclass(frozen=True)
class Deliveries(Lookup[tuple[str, ...]]):
    """The deliveries of these ids, which are then loaded at once and not one by one."""

    holds = Delivery

    delivery_ids: tuple[str, ...]


@dataclass(frozen=True)
class UnreadUpTo(Lookup[tuple[str, ...]]):
    """Ids of an inbox's unread deliveries up to one of them, oldest first."""

    holds = Delivery

    recipient: str
    delivery_id: str
    thread_id: str | None
    limit: int


def delivery_id(message_id: str, recipient: str) -> str:
    """Names a message in an inbox. Messages of one sender come in the order of their ids, as UUIDv7 do."""
    return f"{message_id}.{recipient}"


def delivered(sent: MessageSent, recipient: str) -> MessageDelivered:
    """The message lies in an inbox."""
    return MessageDelivered(
        delivery_id=delivery_id(sent.message_id, recipient),
        message_id=sent.message_id,
        thread_id=sent.thread_id,
        sender=sent.sender,
        recipient=recipient,
        at=sent.sent_at,
    )


def mark_read(command: MarkRead, past: Past, context: Context) -> Facts:
    """Note what the actor has read of its own inbox; what was read before stays as it was."""
    found = _up_to(command.up_to, command, past, context) if command.up_to else _named(command, past, context)
    unread = [delivery for delivery in found if delivery.read_at is None]
    read = [
        MessageRead(
            delivery_id=delivery.delivery_id,
            message_id=delivery.message_id,
            thread_id=delivery.thread_id,
            recipient=context.actor,
            at=context.at,
        )
        for delivery in unread
    ]
    more = command.up_to is not None and len(found) == READ_MAX
    return [*read, MarkedRead(message_ids=tuple(each.message_id for each in read), more=more)]


def _named(command: MarkRead, past: Past, context: Context) -> Sequence[Delivery]:
    ids = tuple(delivery_id(message_id, context.actor) for message_id in dict.fromkeys(command.message_ids))
    found = [past.of(Delivery, each) for each in past.find(Deliveries(ids))]
    _refuse_missing(command.message_ids, found, context.actor)
    return found


def _up_to(up_to: str, command: MarkRead, past: Past, context: Context) -> Sequence[Delivery]:
    last = delivery_id(up_to, context.actor)
    _refuse_missing([up_to], [past.of(Delivery, last)], context.actor)
    unread = past.find(UnreadUpTo(context.actor, last, command.thread_id, READ_MAX))
    return [past.of(Delivery, each) for each in unread]


def _refuse_missing(message_ids: Sequence[str], found: Sequence[Delivery], actor: str) -> None:
    known = {delivery.message_id for delivery in found if delivery.delivery_id}
    if missing := [message_id for message_id in message_ids if message_id not in known]:
        raise NotInInbox(
            f"Not in the inbox of {actor}: {', '.join(missing[:5])}. A message is marked by its recipient.",
            message_ids=missing,
        )


def evolve(delivery: Delivery, event: MessageDelivered | MessageRead) -> Delivery:
    """The delivery after `event`."""
    match event:
        case MessageDelivered():
            return Delivery(
                delivery_id=event.delivery_id,
                message_id=event.message_id,
                thread_id=event.thread_id,
                recipient=event.recipient,
                delivered_at=event.at,
            )
        case MessageRead():
            return replace(delivery, read_at=event.at)


DELIVERY = Aggregate(Delivery, evolve, key="delivery_id")
