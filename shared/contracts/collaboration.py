"""Collaboration: threads in which agents talk, and handoffs by which a claim passes from one to another.

Who acts is always the actor of the command's envelope. Only `request_handoff` may name somebody besides, and
only MONITOR or above somebody else: the holder whose task is to pass.

A handoff, from both sides: the holder asks `request_handoff` and may `await_handoff`; the addressee finds it
in its `inbox` or in `list_handoffs`, and asks `accept_handoff`. That answer says only that the addressee
agreed: the claim moves when the scheduler has decided, within moments. `await_handoff` answers as soon as it
has, with `status` `completed` and the new `claim_epoch` and `lease_expires_at`, or `failed` and why. The same
is told by `collaboration.handoff_completed`, by `task.claimed` (with `handed_over_from`), and by
`scheduler.get_task`.
"""

from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from shared.contracts.messages import Authority, Command, Contract, Event, Key, Moment, Query, Result

PARTICIPANTS_MAX = 64
READ_MAX = 500
METADATA_BYTES = 8_192
CONTEXT_BYTES = 65_536
TEXT_CHARACTERS = 20_000

ThreadKind = Literal["handoff", "review", "consultation"]
ThreadStatus = Literal["open", "closed"]
HandoffStatus = Literal["pending", "accepted", "completed", "declined", "expired", "withdrawn", "failed"]
"""`accepted` waits for the scheduler; `completed` means that the claim has moved."""
Absence = Literal["left", "lost", "quarantine", "unavailable"]
"""Why an agent can be handed no task."""


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _noted(value: object) -> object:
    return {"notes": value} if isinstance(value, str) else value


def _at_most(limit_bytes: int) -> AfterValidator:
    def small_enough(value: dict[str, Any]) -> dict[str, Any]:
        size = len(orjson.dumps(value))
        if size > limit_bytes:
            raise ValueError(f"has {size} bytes as JSON; at most {limit_bytes} are taken")
        return value

    return AfterValidator(small_enough)


Text = Annotated[
    str,
    Field(min_length=1, max_length=TEXT_CHARACTERS, description="What is said, at most 20,000 characters."),
]
Metadata = Annotated[
    dict[str, Any], _at_most(METADATA_BYTES), Field(description="For programs; at most 8 KiB as JSON.")
]
Handed = Annotated[
    dict[str, Any],
    BeforeValidator(_noted),
    _at_most(CONTEXT_BYTES),
    Field(
        description="What the next holder must know, at most 64 KiB as JSON; a text is taken as "
        '`{"notes": text}`.'
    ),
]
Place = Annotated[int, Field(ge=0, description="Places grow in the order in which things were committed.")]
Limit = Annotated[int, Field(ge=1, le=200, description="Most entries of an answer.")]


class _OfTicket:
    """An event about a thread, whose key is the ticket's id where the thread has a ticket."""

    def subject_key(self: Any) -> str:
        """The last token of the event's subject."""
        return str(self.ticket_id or self.thread_id)


class ThreadRef(Result):
    """A thread after the command."""

    thread_id: Key
    status: ThreadStatus
    participants: tuple[Key, ...]


class MessageRef(Result):
    """A message, and whose inboxes it lies in."""

    message_id: Key
    thread_id: Key
    recipients: tuple[Key, ...]


class MarkedRead(Result):
    """What was unread before and is read now."""

    message_ids: tuple[Key, ...]
    more: bool = Field(default=False, description="More is unread before `up_to`: send the command again.")


class HandoffRef(Result):
    """How a handoff stands."""

    handoff_id: Key
    task_id: Key
    thread_id: Key
    from_agent: Key
    to_agent: Key
    status: HandoffStatus
    expires_at: Moment = Field(description="Answer before this.")
    claim_epoch: int | None = Field(
        default=None, description="Of the new claim, once `completed`: the new holder quotes it."
    )
    lease_expires_at: Moment | None = Field(default=None, description="Of the new claim, once `completed`.")
    reason: str = Field(default="", description="Why it was declined, withdrawn, or came to nothing.")
    next_step: str = Field(default="", description="What to do now.")


class OpenThread(Command):
    """Begin to talk; who opens it takes part."""

    creates = "thread_id"

    thread_id: Key | None = None
    kind: ThreadKind
    topic: str = Field(min_length=1, max_length=200, description="What it is about, in one line.")
    participants: Annotated[tuple[Key, ...], BeforeValidator(_listed)] = Field(
        default=(), max_length=PARTICIPANTS_MAX, description="Who takes part beside the opener."
    )
    ticket_id: Key | None = None
    task_id: Key | None = None


class CloseThread(Command):
    """End a thread: it can be read and takes no more messages. For participants."""

    thread_id: Key
    reason: str = Field(default="", max_length=2000, description="What came of it.")


class AddParticipants(Command):
    """Let others take part from now on. For participants, and for GUARDIAN or above."""

    thread_id: Key
    participants: Annotated[tuple[Key, ...], BeforeValidator(_listed)] = Field(
        min_length=1, max_length=PARTICIPANTS_MAX, description="Names of agents or people."
    )


class LeaveThread(Command):
    """Take part no longer; what lies in the inbox stays. The last one to leave closes the thread."""

    thread_id: Key


class SendMessage(Command):
    """Say something in a thread: to some participants, or to all others. For participants."""

    creates = "message_id"

    message_id: Key | None = None
    thread_id: Key
    text: Text
    to: Annotated[tuple[Key, ...], BeforeValidator(_listed)] = Field(
        default=(), max_length=PARTICIPANTS_MAX, description="Participants; all others when empty."
    )
    reply_to: Key | None = Field(default=None, description="A message of the same thread.")
    metadata: Metadata = Field(default_factory=dict)


class MarkRead(Command):
    """Note that the actor has read messages of its own inbox: those named, or all up to one of them."""

    message_ids: Annotated[tuple[Key, ...], BeforeValidator(_listed)] = Field(
        default=(), max_length=READ_MAX, description="Which ones."
    )
    up_to: Key | None = Field(
        default=None,
        description="A message of the inbox: it and what came before, at most 500 at a time (see `more`).",
    )
    thread_id: Key | None = Field(default=None, description="With `up_to`: only messages of this thread.")

    @model_validator(mode="after")
    def _one_way(self) -> "MarkRead":
        if bool(self.message_ids) == bool(self.up_to):
            raise ValueError("name either message_ids or up_to")
        return self


class RequestHandoff(Command):
    """Ask another agent to take over a task. For the agent who holds its claim, and for MONITOR or above, who
    name it in `from`; one at a time for a task.

    The other one must be registered, alive and offered work; in quarantine it may take over nothing.
    It opens a thread of kind `handoff` between the two under the same id, with the reason as first message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)
    creates = "handoff_id"

    handoff_id: Key | None = None
    from_agent: Key | None = Field(
        default=None,
        alias="from",
        description="The holder; the actor when absent. To name another one takes MONITOR authority.",
    )
    to: Key
    task_id: Key
    reason: str = Field(default="", max_length=2000, description="Why somebody else should go on.")
    context: Handed = Field(default_factory=dict)
    claim_epoch: int | None = Field(
        default=None,
        description="Of the claim to hand over. With it nothing is refused just because news of a claim made "
        "a moment ago is still on its way.",
    )


class AcceptHandoff(Command):
    """Agree to take over. For the addressee; then `await_handoff` says when the claim has moved."""

    handoff_id: Key


class DeclineHandoff(Command):
    """Say no; the task stays where it is. For the addressee."""

    handoff_id: Key
    reason: str = Field(default="", max_length=2000, description="Why; the requester is told.")


class WithdrawHandoff(Command):
    """Ask no longer, as long as nobody has answered; the task stays where it is. For the requester."""

    handoff_id: Key
    reason: str = Field(default="", max_length=2000, description="Why; the addressee is told.")


class AwaitHandoff(Command):
    """Answer once the handoff has ended, one way or the other, or after a while as it stands then.

    For the two it is between. It changes nothing. A command, because queries do not wait.
    """

    handoff_id: Key
    wait_seconds: float = Field(default=30, ge=0, le=60, description="How long to wait at most.")


class ExpireHandoff(Command):
    """Nobody answered in time. Sent by the handoff's timer."""

    authority = Authority.SYSTEM

    handoff_id: Key


class FollowClaim(Command):
    """An agent has claimed a task. Sent by collaboration when it hears of it."""

    authority = Authority.SYSTEM

    task_id: Key
    ticket_id: Key
    agent_id: Key
    claim_epoch: int
    attempt: int
    lease_expires_at: Moment
    handoff_id: Key | None = None


class EndClaim(Command):
    """A claim is over. Sent by collaboration when it hears of it."""

    authority = Authority.SYSTEM

    task_id: Key
    attempt: int | None = Field(default=None, description="Whose claim; the last one's when absent.")
    reason: str


class FailHandoff(Command):
    """The scheduler did not move the claim. Sent by collaboration when it hears of it."""

    authority = Authority.SYSTEM

    handoff_id: Key
    reason: str


class FollowAgent(Command):
    """An agent can be handed tasks, or no longer. Sent by collaboration when it hears of it."""

    authority = Authority.SYSTEM

    agent_id: Key
    absence: Absence
    absent: bool = Field(description="Whether it is absent for this reason now.")
    reason: str = Field(default="", description="Why, as it was said.")
    at: Moment


class ThreadOpened(_OfTicket, Event):
    """Agents talk."""

    key = "thread_id"

    thread_id: Key
    kind: ThreadKind
    topic: str
    participants: tuple[Key, ...]
    ticket_id: Key | None = None
    task_id: Key | None = None
    actor: Key
    at: Moment


class ThreadClosed(_OfTicket, Event):
    """The thread takes no more messages."""

    key = "thread_id"

    thread_id: Key
    ticket_id: Key | None = None
    reason: str = ""
    actor: Key
    at: Moment


class ParticipantsAdded(_OfTicket, Event):
    """Others take part from now on."""

    key = "thread_id"

    thread_id: Key
    ticket_id: Key | None = None
    participants: tuple[Key, ...]
    actor: Key
    at: Moment


class ParticipantLeft(_OfTicket, Event):
    """Somebody takes part no longer."""

    key = "thread_id"

    thread_id: Key
    ticket_id: Key | None = None
    participant: Key
    at: Moment


class MessageSent(_OfTicket, Event):
    """Somebody said something."""

    key = "thread_id"

    message_id: Key
    thread_id: Key
    ticket_id: Key | None = None
    sender: Key
    recipients: tuple[Key, ...]
    broadcast: bool = Field(description="Whether it went to all others.")
    text: str
    reply_to: Key | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    sent_at: Moment


class MessageDelivered(Event):
    """A message lies in an inbox. Its key is the recipient, so that an agent can listen for its own mail."""

    key = "recipient"

    delivery_id: str
    message_id: Key
    thread_id: Key
    sender: Key
    recipient: Key
    at: Moment


class MessageRead(Event):
    """A recipient has read a message."""

    key = "thread_id"

    delivery_id: str
    message_id: Key
    thread_id: Key
    recipient: Key
    at: Moment


class HandoffRequested(Event):
    """The holder of a claim asks another agent to take over."""

    handoff_id: Key
    task_id: Key
    ticket_id: Key
    thread_id: Key
    from_agent: Key
    to_agent: Key
    claim_epoch: int
    reason: str
    context: dict[str, Any] = Field(default_factory=dict)
    expires_at: Moment
    at: Moment


class HandoffAccepted(Event):
    """The addressee agreed; the scheduler now moves the claim, if the requester still has it."""

    handoff_id: Key
    task_id: Key
    ticket_id: Key
    from_agent: Key
    to_agent: Key
    claim_epoch: int = Field(description="Of the requester's claim.")
    reason: str
    context: dict[str, Any] = Field(default_factory=dict)
    at: Moment


class HandoffCompleted(Event):
    """The claim has moved: the addressee holds it under a new epoch."""

    handoff_id: Key
    task_id: Key
    ticket_id: Key
    from_agent: Key
    to_agent: Key
    claim_epoch: int = Field(description="Of the new claim.")
    lease_expires_at: Moment
    at: Moment


class HandoffDeclined(Event):
    """The addressee said no."""

    handoff_id: Key
    task_id: Key
    ticket_id: Key
    from_agent: Key
    to_agent: Key
    reason: str
    at: Moment


class HandoffWithdrawn(Event):
    """The requester no longer asks."""

    handoff_id: Key
    task_id: Key
    ticket_id: Key
    from_agent: Key
    to_agent: Key
    reason: str
    at: Moment


class HandoffExpired(Event):
    """The addressee did not answer in time."""

    handoff_id: Key
    task_id: Key
    ticket_id: Key
    from_agent: Key
    to_agent: Key
    at: Moment


class HandoffFailed(Event):
    """The claim could not move: it was no longer the requester's."""

    handoff_id: Key
    task_id: Key
    ticket_id: Key
    from_agent: Key
    to_agent: Key
    reason: str
    at: Moment


class ClaimFollowed(Event):
    """Collaboration knows who has a task."""

    task_id: Key
    ticket_id: Key
    agent_id: Key
    claim_epoch: int
    attempt: int


class ClaimEnded(Event):
    """Collaboration knows that nobody has the task."""

    task_id: Key
    ticket_id: Key
    attempt: int


class ClaimOffered(Event):
    """The holder of a claim has a handoff under way."""

    task_id: Key
    ticket_id: Key
    handoff_id: Key


class AgentFollowed(Event):
    """Collaboration knows whether an agent can be handed tasks."""

    agent_id: Key
    absence: Absence
    absent: bool
    reason: str = ""
    at: Moment


class GetThread(Query):
    """A thread with a page of its messages, oldest first: the newest page, or the one after `after`.

    Queries carry no actor. With `agent_id` it is answered for that agent: who takes no part is refused, and
    each message says whether the agent has read it.
    """

    thread_id: Key
    agent_id: Key | None = None
    after: Place | None = Field(default=None, description="The page behind this place.")
    before: Place | None = Field(default=None, description="The page in front of this place.")
    limit: Limit = 50


class ListThreads(Query):
    """Threads, newest first."""

    agent_id: Key | None = Field(default=None, description="Only those it takes part in.")
    kind: ThreadKind | None = None
    status: ThreadStatus | None = None
    ticket_id: Key | None = None
    task_id: Key | None = None
    before: Place | None = Field(default=None, description="The page in front of this place.")
    limit: Limit = 50


class Inbox(Query):
    """What was sent to an agent, oldest first. Queries carry no actor, so the agent is named."""

    agent_id: Key
    unread_only: bool = True
    thread_id: Key | None = None
    after: Place = Field(default=0, description="The page behind this place.")
    limit: Limit = 50


class GetHandoff(Query):
    """One handoff with its reason and context."""

    handoff_id: Key


class ListHandoffs(Query):
    """Handoffs, newest first."""

    agent_id: Key | None = Field(default=None, description="Only those from or to it.")
    task_id: Key | None = None
    ticket_id: Key | None = None
    pending_only: bool = Field(default=False, description="Only those that wait for an answer.")
    before: Place | None = Field(default=None, description="The page in front of this place.")
    limit: Limit = 50


class MessageView(Contract):
    """A message as it is read."""

    place: int = Field(description="Grows from message to message of a thread.")
    message_id: Key
    thread_id: Key
    sender: Key
    recipients: tuple[Key, ...]
    broadcast: bool
    text: str
    reply_to: Key | None = None
    metadata: dict[str, Any]
    sent_at: Moment
    read_at: Moment | None = Field(default=None, description="When the asking agent read it.")
    read_by: tuple[Key, ...] = Field(default=(), description="Recipients who have read it.")


class ThreadSummary(Contract):
    """A thread as lists show it."""

    place: int
    thread_id: Key
    kind: ThreadKind
    topic: str
    status: ThreadStatus
    participants: tuple[Key, ...]
    ticket_id: Key | None = None
    task_id: Key | None = None
    opened_by: Key
    opened_at: Moment
    closed_at: Moment | None = None
    last_message_at: Moment | None = None
    unread: int | None = Field(default=None, description="Of the asking agent.")


class Threads(Result):
    """Threads, newest first."""

    threads: tuple[ThreadSummary, ...]
    next_before: int | None = Field(default=None, description="`before` of the next page, if there is one.")


class ThreadView(Result):
    """A thread with a page of its messages."""

    thread: ThreadSummary
    messages: tuple[MessageView, ...]
    message_count: int
    more: bool = Field(description="Whether there is more in the direction of the page.")


class InboxEntry(Contract):
    """A message in an inbox."""

    place: int = Field(description="Grows from message to message of the inbox.")
    message_id: Key
    thread_id: Key
    kind: ThreadKind
    topic: str
    ticket_id: Key | None = None
    task_id: Key | None = None
    sender: Key
    broadcast: bool
    text: str
    reply_to: Key | None = None
    metadata: dict[str, Any]
    sent_at: Moment
    read_at: Moment | None = None


class InboxPage(Result):
    """A page of an inbox, oldest first."""

    messages: tuple[InboxEntry, ...]
    unread: int = Field(description="How many messages of the whole inbox are unread.")
    next_after: int | None = Field(default=None, description="`after` of the next page, if there is one.")


class HandoffSummary(Contract):
    """A handoff as lists show it."""

    place: int
    handoff_id: Key
    task_id: Key
    ticket_id: Key
    from_agent: Key
    to_agent: Key
    status: HandoffStatus
    reason: str = Field(description="Why it was asked for.")
    outcome: str = Field(description="Why it was declined, withdrawn, or came to nothing.")
    requested_at: Moment
    expires_at: Moment
    ended_at: Moment | None = None


class Handoffs(Result):
    """Handoffs, newest first."""

    handoffs: tuple[HandoffSummary, ...]
    next_before: int | None = Field(default=None, description="`before` of the next page, if there is one.")


class HandoffView(HandoffRef):
    """One handoff with all that was said."""

    ticket_id: Key
    requested_claim_epoch: int = Field(description="Of the requester's claim.")
    request_reason: str
    context: dict[str, Any]
    requested_at: Moment
    answered_at: Moment | None = None
    ended_at: Moment | None = None
