import pytest

from services.collaboration.thread import (
    NotAParticipant,
    ThreadClosed,
    ThreadExists,
    ThreadNotFound,
    TooManyParticipants,
)
from shared.contracts import collaboration as talk
from shared.contracts.messages import Authority, Command
from shared.testing.scenario import NOON
from tests.collaboration.given import CLOSED, OPENED, TALK


def test_who_opens_a_thread_takes_part_and_nobody_twice() -> None:
    command = talk.OpenThread(
        thread_id="t", kind="review", topic="The door", participants=("bob", "eve", "ann")
    )
    ref = talk.ThreadRef(thread_id="t", status="open", participants=("ann", "bob", "eve"))
    TALK.when(command).then(OPENED, ref)
    TALK.given(OPENED).when(command).then(ref)


def test_another_thread_of_that_id_is_refused() -> None:
    command = talk.OpenThread(thread_id="t", kind="review", topic="A window")
    TALK.given(OPENED).when(command).then_refused(ThreadExists)


def test_the_events_of_a_thread_with_a_ticket_have_the_ticket_as_key() -> None:
    assert OPENED.subject_key() == "t"
    assert OPENED.model_copy(update={"ticket_id": "T-1"}).subject_key() == "T-1"


def test_a_thread_is_closed_once_by_a_participant() -> None:
    close = talk.CloseThread(thread_id="t")
    ref = talk.ThreadRef(thread_id="t", status="closed", participants=("ann", "bob", "eve"))
    TALK.given(OPENED).when(close).then(CLOSED, ref)
    TALK.given(OPENED, CLOSED).when(close).then(ref)


@pytest.mark.parametrize(
    "command",
    [
        talk.CloseThread(thread_id="t"),
        talk.LeaveThread(thread_id="t"),
        talk.AddParticipants(thread_id="t", participants=("joe",)),
        talk.SendMessage(thread_id="t", text="hi"),
    ],
)
def test_an_outsider_can_do_nothing_in_a_thread(command: Command) -> None:
    TALK.given(OPENED).by("joe").when(command).then_refused(NotAParticipant, thread_id="t")
    TALK.by("joe").when(command).then_refused(ThreadNotFound)


def test_a_guardian_may_add_itself() -> None:
    add = talk.AddParticipants(thread_id="t", participants=("joe", "bob"))
    added = talk.ParticipantsAdded(thread_id="t", participants=("joe",), actor="joe", at=NOON)
    TALK.given(OPENED).by("joe", Authority.GUARDIAN).when(add).then_events(added)
    TALK.given(OPENED, added).when(add).then_events()


def test_a_closed_thread_takes_nobody_new() -> None:
    add = talk.AddParticipants(thread_id="t", participants=("joe",))
    TALK.given(OPENED, CLOSED).when(add).then_refused(ThreadClosed)


def test_a_thread_holds_only_so_many() -> None:
    names = tuple(f"agent-{number}" for number in range(talk.PARTICIPANTS_MAX))
    many = talk.OpenThread(thread_id="t", kind="review", topic="x", participants=names)
    TALK.when(many).then_refused(TooManyParticipants, limit=talk.PARTICIPANTS_MAX)
    add = talk.AddParticipants(thread_id="t", participants=names)
    TALK.given(OPENED).when(add).then_refused(TooManyParticipants)


def test_the_last_to_leave_closes_the_thread() -> None:
    left = [talk.ParticipantLeft(thread_id="t", participant=name, at=NOON) for name in ("ann", "bob", "eve")]
    leave = talk.LeaveThread(thread_id="t")
    TALK.given(OPENED).when(leave).then_events(left[0])
    closed = talk.ThreadClosed(thread_id="t", reason="Everybody has left.", actor="eve", at=NOON)
    TALK.given(OPENED, *left[:2]).by("eve").when(leave).then_events(left[2], closed)
