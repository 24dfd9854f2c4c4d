"""A thread: who takes part in it, and whether it still takes messages."""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.contracts.collaboration import (
    PARTICIPANTS_MAX,
    AddParticipants,
    CloseThread,
    LeaveThread,
    OpenThread,
    ParticipantLeft,
    ParticipantsAdded,
    ThreadKind,
    ThreadOpened,
    ThreadRef,
    ThreadStatus,
)
from shared.contracts.collaboration import ThreadClosed as Closed
from shared.contracts.messages import Authority, Event
from shared.kernel.decider import Aggregate, Context, Facts, Past, Refused


class ThreadNotFound(Refused):
    """No thread of that id was opened."""


class ThreadExists(Refused):
    """Another thread has that id."""


class ThreadClosed(Refused):
    """The thread takes no more messages and nobody new."""


class NotAParticipant(Refused):
    """Only who takes part in a thread may do that, or be written to."""


class TooManyParticipants(Refused):
    """More would take part than a thread can hold."""


@dataclass(frozen=True)
class Thread:
    """What the rules must know of a thread; its messages are streams of their own."""

    thread_id: str = ""
    kind: ThreadKind = "consultation"
    topic: str = ""
    participants: tuple[str, ...] = ()
    ticket_id: str | None = None
    task_id: str | None = None
    status: ThreadStatus = "open"
    opened_by: str = ""
    opened_at: datetime | None = None
    closed_at: datetime | None = None

    @property
    def exists(self) -> bool:
        """Whether it was opened."""
        return bool(self.thread_id)


def open_thread(command: OpenThread, past: Past, context: Context) -> Facts:
    """Open a thread; opening the same one again changes nothing."""
    thread_id = command.thread_id or context.new_id("thread_id")
    opened = ThreadOpened(
        thread_id=thread_id,
        kind=command.kind,
        topic=command.topic,
        participants=tuple(dict.fromkeys((context.actor, *command.participants))),
        ticket_id=command.ticket_id,
        task_id=command.task_id,
        actor=context.actor,
        at=context.at,
    )
    known = past.of(Thread, thread_id)
    if known.exists:
        _refuse_another(known, opened)
        return [_ref(known)]
    _refuse_too_many(thread_id, opened.participants)
    return _answered(known, opened)


def _refuse_another(known: Thread, opened: ThreadOpened) -> None:
    if (known.opened_by, known.kind, known.topic) != (opened.actor, opened.kind, opened.topic):
        raise ThreadExists(
            f"Thread {known.thread_id} exists: {known.topic!r}. Open yours under another id.",
            thread_id=known.thread_id,
        )


def _refuse_too_many(thread_id: str, participants: tuple[str, ...]) -> None:
    if len(participants) > PARTICIPANTS_MAX:
        raise TooManyParticipants(
            f"Thread {thread_id} would have {len(participants)} participants; {PARTICIPANTS_MAX} fit. "
            "Open another thread.",
            limit=PARTICIPANTS_MAX,
        )


def close_thread(command: CloseThread, past: Past, context: Context) -> Facts:
    """End a thread; closing it twice is closing it once."""
    thread = thread_of(past, command.thread_id)
    refuse_outsider(thread, context.actor, "close it")
    if thread.status == "closed":
        return [_ref(thread)]
    return _answered(thread, _closed(thread, command.reason, context))


def add_participants(command: AddParticipants, past: Past, context: Context) -> Facts:
    """Let others take part; those who do already are passed over."""
    thread = thread_of(past, command.thread_id)
    if context.authority < Authority.GUARDIAN:
        refuse_outsider(thread, context.actor, "add others")
    refuse_closed(thread)
    fresh = tuple(name for name in dict.fromkeys(command.participants) if name not in thread.participants)
    if not fresh:
        return [_ref(thread)]
    _refuse_too_many(thread.thread_id, (*thread.participants, *fresh))
    added = ParticipantsAdded(
        thread_id=thread.thread_id,
        ticket_id=thread.ticket_id,
        participants=fresh,
        actor=context.actor,
        at=context.at,
    )
    return _answered(thread, added)


def leave_thread(command: LeaveThread, past: Past, context: Context) -> Facts:
    """Take part no longer; a thread without participants is closed."""
    thread = thread_of(past, command.thread_id)
    refuse_outsider(thread, context.actor, "leave it")
    left = ParticipantLeft(
        thread_id=thread.thread_id, ticket_id=thread.ticket_id, participant=context.actor, at=context.at
    )
    deserted = thread.participants == (context.actor,) and thread.status == "open"
    return _answered(thread, left, *([_closed(thread, "Everybody has left.", context)] if deserted else []))


def thread_of(past: Past, thread_id: str) -> Thread:
    """The thread of that id."""
    thread = past.of(Thread, thread_id)
    if not thread.exists:
        raise not_found(thread_id)
    return thread


def not_found(thread_id: str) -> ThreadNotFound:
    """The refusal for a thread nobody opened."""
    return ThreadNotFound(
        f"There is no thread {thread_id}. `omoi messages threads` lists yours.", thread_id=thread_id
    )


def refuse_outsider(thread: Thread, actor: str, wish: str) -> None:
    """Refuse what only participants may do."""
    if actor not in thread.participants:
        raise NotAParticipant(
            f"{actor} takes no part in thread {thread.thread_id} and cannot {wish}. "
            "Ask one of the participants to add you.",
            thread_id=thread.thread_id,
            participants=list(thread.participants),
        )


def refuse_closed(thread: Thread) -> None:
    """Refuse what only an open thread takes."""
    if thread.status == "closed":
        raise ThreadClosed(
            f"Thread {thread.thread_id} is closed. Open a new one to go on.", thread_id=thread.thread_id
        )


def _closed(thread: Thread, reason: str, context: Context) -> Closed:
    return Closed(
        thread_id=thread.thread_id,
        ticket_id=thread.ticket_id,
        reason=reason,
        actor=context.actor,
        at=context.at,
    )


ThreadEvent = ThreadOpened | Closed | ParticipantsAdded | ParticipantLeft


def _answered(thread: Thread, *events: ThreadEvent) -> list[Event | ThreadRef]:
    after = thread
    for event in events:
        after = evolve(after, event)
    return [*events, _ref(after)]


def _ref(thread: Thread) -> ThreadRef:
    return ThreadRef(thread_id=thread.thread_id, status=thread.status, participants=thread.participants)


def evolve(thread: Thread, event: ThreadOpened | Closed | ParticipantsAdded | ParticipantLeft) -> Thread:
    """The thread after `event`."""
    match event:
        case ThreadOpened():
            return Thread(
                thread_id=event.thread_id,
                kind=event.kind,
                topic=event.topic,
                participants=event.participants,
                ticket_id=event.ticket_id,
                task_id=event.task_id,
                opened_by=event.actor,
                opened_at=event.at,
            )
        case Closed():
            return replace(thread, status="closed", closed_at=event.at)
        case ParticipantsAdded():
            return replace(thread, participants=(*thread.participants, *event.participants))
        case ParticipantLeft():
            remaining = tuple(name for name in thread.participants if name != event.participant)
            return replace(thread, participants=remaining)


THREAD = Aggregate(Thread, evolve, key="thread_id")
