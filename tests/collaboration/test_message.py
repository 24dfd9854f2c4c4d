import pytest
from pydantic import ValidationError

from services.collaboration.delivery import NotInInbox, UnreadUpTo
from services.collaboration.message import MessageExists, MessageNotFound
from services.collaboration.thread import NotAParticipant, ThreadClosed
from shared.contracts import collaboration as talk
from shared.testing.scenario import NOON
from tests.collaboration.given import CLOSED, OPENED, TALK, sent

ROOM = TALK.given(OPENED)


def test_a_message_goes_to_all_others() -> None:
    command = talk.SendMessage(thread_id="t", text="hi", message_id="m")
    ref = talk.MessageRef(message_id="m", thread_id="t", recipients=("bob", "eve"))
    ROOM.when(command).then(*sent("m", "bob", "eve"), ref)


def test_the_same_message_sent_twice_lies_in_each_inbox_once() -> None:
    command = talk.SendMessage(thread_id="t", text="hi", message_id="m")
    there = ROOM.given(*sent("m", "bob", "eve"))
    there.when(command).then_events()
    there.given(CLOSED).when(command).then_events()
    there.when(command.model_copy(update={"text": "ho"})).then_refused(MessageExists)
    there.by("bob").when(command).then_refused(MessageExists)


def test_an_addressed_message_goes_to_participants_alone() -> None:
    command = talk.SendMessage(thread_id="t", text="hi", message_id="m", to=("eve", "eve"))
    message, delivered = ROOM.when(command).events()
    assert isinstance(message, talk.MessageSent)
    assert (message.recipients, message.broadcast) == (("eve",), False)
    assert isinstance(delivered, talk.MessageDelivered)
    strange = command.model_copy(update={"to": ("eve", "joe")})
    ROOM.when(strange).then_refused(NotAParticipant, strangers=["joe"])


def test_a_closed_thread_refuses_messages() -> None:
    ROOM.given(CLOSED).when(talk.SendMessage(thread_id="t", text="hi")).then_refused(ThreadClosed)


def test_a_reply_is_to_a_message_of_the_thread() -> None:
    reply = talk.SendMessage(thread_id="t", text="ho", reply_to="m")
    ROOM.when(reply).then_refused(MessageNotFound)
    events = ROOM.given(*sent("m", "bob", "eve")).by("bob").when(reply).events()
    assert isinstance(events[0], talk.MessageSent)
    assert (events[0].reply_to, events[0].recipients) == ("m", ("ann", "eve"))


def test_each_recipient_reads_alone_and_once() -> None:
    there = ROOM.given(*sent("m", "bob", "eve"))
    mark = talk.MarkRead(message_ids=("m", "m"))
    read = talk.MessageRead(delivery_id="m.bob", message_id="m", thread_id="t", recipient="bob", at=NOON)
    there.by("bob").when(mark).then(read, talk.MarkedRead(message_ids=("m",)))
    there.given(read).by("bob").when(mark).then(talk.MarkedRead(message_ids=()))
    assert len(there.given(read).by("eve").when(mark).events()) == 1


def test_nobody_reads_what_was_sent_to_others() -> None:
    there = ROOM.given(*sent("m", "bob"))
    for mark in (talk.MarkRead(message_ids=("m",)), talk.MarkRead(up_to="m")):
        there.by("eve").when(mark).then_refused(NotInInbox, message_ids=["m"])


def test_all_up_to_a_message_are_read() -> None:
    there = ROOM.given(*sent("m-1", "bob"), *sent("m-2", "bob"))
    asked: list[UnreadUpTo] = []

    def unread(lookup: UnreadUpTo) -> tuple[str, ...]:
        asked.append(lookup)
        return "m-1.bob", "m-2.bob"

    mark = talk.MarkRead(up_to="m-2", thread_id="t")
    events = there.finding(UnreadUpTo, unread).by("bob").when(mark).events()
    assert [event.message_id for event in events if isinstance(event, talk.MessageRead)] == ["m-1", "m-2"]
    assert asked[0] == UnreadUpTo("bob", "m-2.bob", "t", talk.READ_MAX)


@pytest.mark.parametrize("fields", [{}, {"message_ids": ("m",), "up_to": "m"}])
def test_what_to_mark_is_said_in_one_way(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="either message_ids or up_to"):
        talk.MarkRead(**fields)


def test_sizes_are_bounded_at_the_door() -> None:
    talk.SendMessage(thread_id="t", text="x" * talk.TEXT_CHARACTERS)
    with pytest.raises(ValidationError, match="at most 20000 characters"):
        talk.SendMessage(thread_id="t", text="x" * (talk.TEXT_CHARACTERS + 1))
    with pytest.raises(ValidationError, match="at most 8192"):
        talk.SendMessage(thread_id="t", text="x", metadata={"more": "ü" * 5000})
    with pytest.raises(ValidationError, match="at most 65536"):
        talk.RequestHandoff(to="bob", task_id="chair", context="x" * 70_000)
