"""A message: what somebody said in a thread, and to whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.collaboration.delivery import Deliveries, delivered
from services.collaboration.thread import (
    NotAParticipant,
    Thread,
    refuse_closed,
    refuse_outsider,
    thread_of,
)
from shared.contracts.collaboration import MessageRef, MessageSent, SendMessage
from shared.contracts.messages import Event
from shared.kernel.decider import Aggregate, Context, Facts, Past, Refused


class MessageExists(Refused):
    """Another message has that id."""


class MessageNotFound(Refused):
    """No such message is in the thread."""


@dataclass(frozen=True)
class Message:
    """What was said."""

    message_id: str = ""
    thread_id: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    broadcast: bool = False
    text: str = ""
    reply_to: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    sent_at: datetime | None = None


def send_message(command: SendMessage, past: Past, context: Context) -> Facts:
    """Put a message into the inbox of each recipient; sending the same one again changes nothing."""
    message_id = command.message_id or context.new_id("message_id")
    thread = thread_of(past, command.thread_id)
    refuse_outsider(thread, context.actor, "write in it")
    known = past.of(Message, message_id)
    if known.message_id:
        _refuse_another(known, command, context.actor)
        return [_ref(known)]
    refuse_closed(thread)
    _refuse_stray_reply(past, command)
    sent = MessageSent(
        message_id=message_id,
        thread_id=thread.thread_id,
        ticket_id=thread.ticket_id,
        sender=context.actor,
        recipients=_recipients(command, thread, context.actor),
        broadcast=not command.to,
        text=command.text,
        reply_to=command.reply_to,
        metadata=command.metadata,
        sent_at=context.at,
    )
    return [*post(past, sent), _ref(sent)]


def post(past: Past, sent: MessageSent) -> list[Event]:
    """A message with its deliveries."""
    deliveries = [delivered(sent, recipient) for recipient in sent.recipients]
    past.find(Deliveries(tuple(each.delivery_id for each in deliveries)))
    return [sent, *deliveries]


def _refuse_another(known: Message, command: SendMessage, actor: str) -> None:
    if (known.sender, known.thread_id, known.text) != (actor, command.thread_id, command.text):
        raise MessageExists(
            f"Another message has the id {known.message_id}. Send yours under one of its own.",
            message_id=known.message_id,
        )


def _refuse_stray_reply(past: Past, command: SendMessage) -> None:
    reply_to = command.reply_to
    if reply_to and past.of(Message, reply_to).thread_id != command.thread_id:
        raise MessageNotFound(
            f"There is no message {reply_to} in thread {command.thread_id} to reply to.", message_id=reply_to
        )


def _recipients(command: SendMessage, thread: Thread, actor: str) -> tuple[str, ...]:
    if not command.to:
        return tuple(name for name in thread.participants if name != actor)
    addressed = tuple(dict.fromkeys(command.to))
    if strangers := [name for name in addressed if name not in thread.participants]:
        raise NotAParticipant(
            f"{', '.join(strangers)} takes no part in thread {thread.thread_id}. Add them first, or write "
            f"to: {', '.join(thread.participants)}.",
            strangers=strangers,
            participants=list(thread.participants),
        )
    return addressed


def _ref(message: MessageSent | Message) -> MessageRef:
    return MessageRef(
        message_id=message.message_id, thread_id=message.thread_id, recipients=message.recipients
    )


def evolve(_: Message, event: MessageSent) -> Message:
    """A message never changes."""
    return Message(
        message_id=event.message_id,
        thread_id=event.thread_id,
        sender=event.sender,
        recipients=event.recipients,
        broadcast=event.broadcast,
        text=event.text,
        reply_to=event.reply_to,
        metadata=event.metadata,
        sent_at=event.sent_at,
    )


MESSAGE = Aggregate(Message, evolve, key="message_id")
