"""Cards that follow their tickets, and slots that are given on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.board.board import Board
from services.board.card import Card
from services.board.following import LAPSED
from services.board.rank import stamp
from services.board.service import board
from shared.contracts.board import (
    CardAdded,
    CardMoved,
    CardReturned,
    CardWaiting,
    CardWithdrawn,
    FlowCounted,
    FollowEdit,
    FollowMigration,
    FollowMove,
    FollowPause,
    FollowTicket,
    PullCard,
    PullPostponed,
    PullResumed,
    RenewReservation,
    ReturnCard,
    SlotFreed,
    SlotReserved,
    SlotTaken,
    WipExceeded,
    WithdrawCard,
)
from shared.contracts.messages import Event, Priority
from shared.kernel.decider import CancelTimer, Unavailable
from shared.testing.scenario import NOON, History, Scenario
from tests.board.given import (
    BOARD,
    SMALL,
    card,
    known,
    later,
    line,
    making,
    moved,
    of_type,
    reserved,
    taken,
    waiting,
)

FOLLOW = FollowTicket(
    ticket_id="t1",
    title="A ticket",
    priority=Priority.HIGH,
    workflow="small",
    workflow_version=SMALL.version,
    phase_id="TODO",
    at=NOON,
)


def went(ticket_id: str, from_phase: str, to_phase: str, move: int = 1) -> FollowMove:
    return FollowMove(
        ticket_id=ticket_id,
        from_phase=from_phase,
        to_phase=to_phase,
        visit=1,
        terminal=to_phase == "DONE",
        move=move,
        actor="mona",
        at=later(60),
    )


def test_a_ticket_gets_a_card_in_the_column_of_its_phase() -> None:
    BOARD.given(*known()).when(FOLLOW).then(
        CardAdded(
            ticket_id="t1",
            title="A ticket",
            priority=Priority.HIGH,
            workflow="small",
            workflow_version=SMALL.version,
            phase_id="TODO",
            column="todo",
            rank=stamp(NOON),
            at=NOON,
        ),
        FlowCounted(
            ticket_id="t1",
            flow_id="small.2026-01-01",
            workflow="small",
            day=NOON.date(),
            from_column=None,
            to_column="todo",
        ),
    )
    BOARD.given(*known(), card("t1")).when(FOLLOW).then()


def test_news_that_overtook_others_is_heard_again_later() -> None:
    with pytest.raises(Unavailable):
        BOARD.when(FOLLOW).decide()
    with pytest.raises(Unavailable):
        BOARD.given(*known()).when(went("t1", "TODO", "PLAN")).decide()
    with pytest.raises(Unavailable):
        BOARD.given(*known(), card("t1")).when(went("t1", "PLAN", "BUILD", 2)).decide()


def test_news_that_is_old_changes_nothing() -> None:
    story = BOARD.given(*known(), card("t1"), moved("t1", "TODO", "PLAN"))
    story.when(went("t1", "TODO", "PLAN")).then()


def test_a_move_through_the_board_takes_the_slot_that_was_kept() -> None:
    story = BOARD.given(*known(), card("t1"), reserved("t1", "making", "TODO", "PLAN"))
    story.when(went("t1", "TODO", "PLAN")).then(
        moved("t1", "TODO", "PLAN", rank=stamp(later(60)), wish="wish-1", at=later(60)),
        FlowCounted(
            ticket_id="t1",
            flow_id="small.2026-01-01",
            workflow="small",
            day=NOON.date(),
            from_column="todo",
            to_column="making",
        ),
        taken("t1", "making", reserved=True),
        CancelTimer("reservation-t1"),
    )


def test_leaving_a_column_pulls_the_card_that_waited_longest_for_it() -> None:
    story = BOARD.given(*known(), *making("t2", "t3"), card("t1"), *line("t4"), waiting("t1", 2)).at(
        later(90)
    )
    facts = story.when(went("t2", "PLAN", "HOLD")).decide()
    assert of_type(facts, SlotFreed) == [
        SlotFreed(ticket_id="t2", workflow="small", column="making", reserved=False)
    ]
    [slot] = of_type(facts, SlotReserved)
    assert (slot.ticket_id, slot.wish, slot.actor, slot.waited_seconds) == ("t4", "wish-t4", "ann", 90)
    assert slot.expires_at == later(150)


def test_a_waiting_card_whose_ticket_moves_elsewhere_leaves_the_line() -> None:
    story = BOARD.given(*known(), *making("t2", "t3"), card("t1"), waiting("t1"))
    [left, *_] = story.when(went("t1", "TODO", "HOLD")).decide()
    assert isinstance(left, CardWithdrawn)
    assert (left.column, left.why) == ("making", "moved")


def test_a_ticket_that_moves_elsewhere_gives_its_kept_slot_back() -> None:
    story = BOARD.given(
        *known(),
        *making("t2"),
        card("t1"),
        reserved("t1", "making", "TODO", "PLAN"),
        card("t4"),
        waiting("t4"),
    )
    facts = story.when(went("t1", "TODO", "HOLD")).decide()
    assert SlotFreed(ticket_id="t1", workflow="small", column="making", reserved=True) in facts
    [place] = of_type(facts, CardMoved)
    assert place.wish is None
    assert [slot.ticket_id for slot in of_type(facts, SlotReserved)] == ["t4"]
    [returned] = of_type(facts, CardReturned)
    assert (returned.code, returned.wish, returned.column) == ("phase_changed", "wish-1", "making")
    assert "mona moved the ticket to HOLD" in returned.reason


def test_a_move_past_the_board_into_a_full_column_is_said() -> None:
    story = BOARD.given(*known(), *making("t2", "t3"), card("t1"))
    facts = story.by("phase").when(went("t1", "TODO", "PLAN")).decide()
    [told] = of_type(facts, WipExceeded)
    assert (told.column, told.limit, told.count, told.forced) == ("making", 2, 3, False)
    assert told.actor == "mona"


def test_nobody_is_pulled_while_the_column_holds_too_much() -> None:
    story = BOARD.given(*known(), *making("t2", "t3", "t5"), card("t1"), waiting("t1"))
    assert of_type(story.when(went("t2", "PLAN", "HOLD")).decide(), SlotReserved) == []


def test_a_move_within_a_column_keeps_slot_and_rank() -> None:
    story = BOARD.given(*known(), *making("t1", "t2"))
    facts = story.when(went("t1", "PLAN", "BUILD")).decide()
    [place] = facts
    assert isinstance(place, CardMoved)
    assert place.rank == "11i"
    assert place.from_column == place.to_column == "making"


def test_a_ticket_that_may_go_on_gets_a_slot_or_a_place_in_line() -> None:
    pull = PullCard(ticket_id="t1", to_phase="CHECK", move=0, reason="The gate passed.")
    free = BOARD.given(*known(), card("t1", "BUILD", "making"), taken("t1", "making")).by("board")
    [slot, _] = free.when(pull).decide()
    assert isinstance(slot, SlotReserved)
    assert (slot.to_phase, slot.reason) == ("CHECK", "The gate passed.")
    full = free.given(card("t2", "CHECK", "checking"), taken("t2", "checking"))
    [wait] = full.when(pull).decide()
    assert isinstance(wait, CardWaiting)
    assert (wait.column, wait.place, wait.limit) == ("checking", 1, 1)
    full.given(wait).when(pull).then()
    free.given(slot).when(pull).then()


def test_a_wish_to_go_on_counts_for_the_move_it_was_made_at() -> None:
    pull = PullCard(ticket_id="t1", to_phase="CHECK", move=1, reason="")
    story = BOARD.given(*known(), card("t1", "PLAN", "making"), taken("t1", "making"))
    with pytest.raises(Unavailable):
        story.when(pull).decide()
    after = story.given(moved("t1", "PLAN", "BUILD"), moved("t1", "BUILD", "HOLD", 2))
    after.when(pull).then()


PULL = PullCard(ticket_id="t1", to_phase="CHECK", move=0, reason="The gate passed.")


def postponed(scenario: Scenario) -> Scenario:
    """The gate of the ticket passed while somebody wanted it elsewhere."""
    told = scenario.by("board").when(PULL).events()
    [kept] = told
    assert isinstance(kept, PullPostponed)
    return scenario.given(*told).by("ann")


def test_a_passed_gate_is_not_forgotten_while_a_ticket_waits_for_another_column() -> None:
    made = (card("t1", "BUILD", "making"), taken("t1", "making"))
    waits = waiting("t1", column="todo", from_phase="BUILD", to_phase="TODO")
    story = postponed(BOARD.given(*known(), *made, waits))
    facts = story.when(WithdrawCard(ticket_id="t1")).decide()
    [slot] = of_type(facts, SlotReserved)
    assert (slot.to_phase, slot.actor, slot.by_itself) == ("CHECK", "board", True)
    assert slot.reason == "The gate passed."
    assert of_type(facts, PullResumed)
    full = story.given(card("t2", "CHECK", "checking"), taken("t2", "checking"))
    [wait] = of_type(full.when(WithdrawCard(ticket_id="t1")).decide(), CardWaiting)
    assert (wait.column, wait.by_itself) == ("checking", True)


def test_a_passed_gate_is_not_forgotten_while_phase_is_asked_to_move_a_ticket_elsewhere() -> None:
    made = (card("t1", "BUILD", "making"), taken("t1", "making"))
    asked = reserved("t1", "todo", "BUILD", "TODO")
    story = postponed(BOARD.given(*known(), *made, asked))
    no = ReturnCard(ticket_id="t1", reservation=1, code="not_allowed", reason="No.")
    facts = story.when(no).decide()
    assert [slot.to_phase for slot in of_type(facts, SlotReserved)] == ["CHECK"]
    went_on = story.given(*(fact for fact in facts if isinstance(fact, Event)))
    again = ReturnCard(ticket_id="t1", reservation=2, code="gate_not_passed", reason="No.")
    assert of_type(went_on.when(again).decide(), SlotReserved) == []
    moved_on = story.given(moved("t1", "BUILD", "HOLD"), waiting("t1", from_phase="HOLD", move=1))
    assert of_type(moved_on.when(WithdrawCard(ticket_id="t1")).decide(), SlotReserved) == []


def test_who_takes_a_ticket_out_of_the_line_of_its_passed_gate_is_obeyed() -> None:
    made = (card("t1", "BUILD", "making"), card("t2", "CHECK", "checking"), taken("t2", "checking"))
    story = BOARD.given(*known(), *made)
    waits = story.by("board").when(PULL).events()
    left = story.given(*waits).when(WithdrawCard(ticket_id="t1")).decide()
    assert of_type(left, CardWaiting) == []
    own = waiting("t1", column="checking", from_phase="BUILD", to_phase="CHECK")
    wished = postponed(story.given(own))
    assert of_type(wished.when(WithdrawCard(ticket_id="t1")).decide(), CardWaiting) == []


def test_a_refusal_returns_the_card_and_gives_its_slot_to_the_next() -> None:
    story = BOARD.given(
        *known(),
        *making("t2"),
        card("t1"),
        reserved("t1", "making", "TODO", "PLAN"),
        card("t4"),
        waiting("t4"),
    )
    no = ReturnCard(ticket_id="t1", reservation=1, code="gate_not_passed", reason="No.")
    facts = story.when(no).decide()
    [returned] = of_type(facts, CardReturned)
    assert (returned.column, returned.to_phase, returned.wish) == ("making", "PLAN", "wish-1")
    assert (returned.code, returned.reason) == ("gate_not_passed", "No.")
    assert CancelTimer("reservation-t1") in facts
    assert [slot.ticket_id for slot in of_type(facts, SlotReserved)] == ["t4"]
    story.when(no.model_copy(update={"reservation": 2})).then()


@pytest.mark.parametrize(
    "late",
    [
        ReturnCard(ticket_id="t1", reservation=1, code=LAPSED, reason="Too late."),
        RenewReservation(ticket_id="t1", reservation=1),
    ],
)
def test_a_reservation_without_an_answer_is_made_again_before_those_that_wait(
    late: ReturnCard | RenewReservation,
) -> None:
    alone = BOARD.given(*known(), *making("t2"), card("t1"), reserved("t1", "making", "TODO", "PLAN"))
    [slot] = of_type(alone.when(late).decide(), SlotReserved)
    assert (slot.ticket_id, slot.reservation, slot.wish) == ("t1", 2, "wish-1")
    facts = alone.given(*line("t4")).when(late).decide()
    assert [slot.ticket_id for slot in of_type(facts, SlotReserved)] == ["t1"]
    assert of_type(facts, CardWaiting) == []
    forced = BOARD.given(*known(), *making("t2", "t3"), card("t1"), *line("t4")).given(
        reserved("t1", "making", "TODO", "PLAN", forced=True)
    )
    [slot] = of_type(forced.when(late).decide(), SlotReserved)
    assert (slot.ticket_id, slot.forced) == ("t1", True)
    settled = alone.given(moved("t1", "TODO", "PLAN"), taken("t1", "making", reserved=True))
    settled.when(late).then()


@given(st.lists(st.integers(0, 4), max_size=6), st.integers(0, 4), st.integers(0, 200))
def test_a_card_whose_slot_lapsed_in_a_full_column_waits_where_it_would_have_waited(
    asked: list[int], own: int, answered: int
) -> None:
    """The column got too full meanwhile; the line is in the order in which its cards asked first."""
    others = {f"t{number}": seconds for number, seconds in enumerate(sorted(asked), 4)}
    story = BOARD.given(*known(), *making("t2", "t3"), card("t1")).given(
        *(card(ticket_id) for ticket_id in others),
        *(waiting(each, place, at=later(others[each])) for place, each in enumerate(others, 1)),
        reserved("t1", "making", "TODO", "PLAN", waited_seconds=answered, at=later(own + answered)),
    )
    facts = story.at(later(500)).when(RenewReservation(ticket_id="t1", reservation=1)).decide()
    [wait] = of_type(facts, CardWaiting)
    assert wait.since == later(own)
    assert wait.place == 1 + sum(seconds < own for seconds in others.values())
    history = History(board.aggregates, [*story.past, *of_type(facts, CardWaiting)], {})
    assert history.of(Board, "small").waiting("making").index("t1") == wait.place - 1
    assert len(history.of(Board, "small").line) == len(others) + 1


def test_a_move_to_another_phase_of_the_same_column_is_not_the_one_asked_for() -> None:
    story = BOARD.given(*known(), card("t1"), reserved("t1", "making", "TODO", "PLAN"))
    facts = story.when(went("t1", "TODO", "BUILD")).decide()
    [place] = of_type(facts, CardMoved)
    [returned] = of_type(facts, CardReturned)
    assert (place.wish, returned.code, returned.wish) == (None, "phase_changed", "wish-1")
    assert of_type(facts, SlotTaken) == [taken("t1", "making", reserved=True)]
    told = story.given(*(fact for fact in facts if isinstance(fact, Event)))
    assert told.when(went("t1", "TODO", "BUILD")).decide() == []


def test_a_card_shows_what_its_ticket_says_and_goes_the_ways_of_its_version() -> None:
    story = BOARD.given(*known(), card("t1"))
    [edited] = story.when(FollowEdit(ticket_id="t1", title="New", edit=2)).events()
    story.given(edited).when(FollowEdit(ticket_id="t1", title="Old", edit=1)).then()
    [migrated] = story.when(FollowMigration(ticket_id="t1", workflow_version="v2", migration=1)).events()
    story.given(migrated).when(FollowMigration(ticket_id="t1", workflow_version="v1", migration=1)).then()


def test_a_card_shows_whether_its_ticket_is_paused_by_the_newest_word() -> None:
    story = BOARD.given(*known(), card("t1"))
    paused = FollowPause(ticket_id="t1", paused="gus: It burns.", at=later(2))
    [changed] = story.when(paused).events()
    assert getattr(changed, "paused", None) == "gus: It burns."
    story.given(changed).when(FollowPause(ticket_id="t1", paused=None, at=later(1))).then()
    [resumed] = story.given(changed).when(FollowPause(ticket_id="t1", paused=None, at=later(3))).events()
    assert History(board.aggregates, (*story.past, changed, resumed), {}).of(Card, "t1").paused is None


def test_a_done_ticket_holds_no_slot() -> None:
    story = BOARD.given(*known(), card("t1", "CHECK", "checking"), taken("t1", "checking"))
    facts = story.when(went("t1", "CHECK", "DONE")).decide()
    assert [freed.column for freed in of_type(facts, SlotFreed)] == ["checking"]
    assert of_type(facts, SlotTaken) == []
