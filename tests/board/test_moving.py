"""Moving cards on somebody's wish."""

from datetime import timedelta

import pytest

from services.board.card import CardNotFound
from services.board.moving import (
    AlreadyInColumn,
    BoardNotFound,
    CardMoving,
    ColumnNotFound,
    ColumnNotReachable,
    NotWaiting,
    PhaseNotInColumn,
)
from services.board.turn import RENEW_SECONDS
from shared.contracts.board import (
    CardMove,
    CardReturned,
    CardWithdrawal,
    CardWithdrawn,
    MoveCard,
    PullPostponed,
    RenewReservation,
    SlotReserved,
    WipExceeded,
    WithdrawCard,
)
from shared.contracts.messages import Authority
from shared.kernel.decider import Fact, NotAuthorised, Timer, Waiting
from shared.testing.scenario import NOON, Scenario
from tests.board.given import (
    BOARD,
    card,
    changed,
    known,
    later,
    line,
    making,
    moved,
    of_type,
    reserved,
    waiting,
)


def go(to_column: str | None = "making", **fields: object) -> MoveCard:
    """A wish of somebody who does not wait for phase."""
    return MoveCard(**{"ticket_id": "t1", "to_column": to_column, "wait_seconds": 0} | fields)


def noted(scenario: Scenario) -> list[Fact]:
    """What is remembered of a command that waits."""
    with pytest.raises(Waiting) as waited:
        scenario.decide()
    return list(waited.value.facts)


def test_a_free_slot_is_reserved_and_phase_has_a_minute_to_act_on_it() -> None:
    story = BOARD.given(*known(), *making("t2"), card("t1"))
    wish = f"command-{len(story.past)}"
    story.when(go(reason="now")).then(
        reserved("t1", "making", "TODO", "PLAN", wish=wish, reason="now"),
        Timer(
            "reservation-t1",
            later(RENEW_SECONDS),
            RenewReservation(ticket_id="t1", reservation=1),
        ),
        CardMove(ticket_id="t1", workflow="small", column="making", to_phase="PLAN", state="reserved"),
    )


def test_who_waits_for_phase_is_answered_when_it_has_spoken() -> None:
    story = BOARD.given(*known(), card("t1")).when(go(wait_seconds=5))
    [slot] = of_type(noted(story), SlotReserved)
    assert (slot.column, slot.to_phase) == ("making", "PLAN")
    own = slot.model_copy(update={"wish": "command-4"})
    assert noted(BOARD.given(*known(), card("t1"), own).when(go(wait_seconds=5))) == []


def test_a_wish_that_came_true_is_answered_once() -> None:
    story = BOARD.given(*known(), card("t1"), moved("t1", "TODO", "PLAN", wish="command-4"))
    [answer] = story.when(go(wait_seconds=5)).decide()
    assert isinstance(answer, CardMove)
    assert (answer.state, answer.column, answer.to_phase) == ("moved", "making", "PLAN")


def test_a_wish_that_phase_refused_is_answered_with_the_reason() -> None:
    returned = CardReturned(
        ticket_id="t1",
        workflow="small",
        column="checking",
        to_phase="CHECK",
        code="gate_not_passed",
        reason="No.",
        wish="command-4",
        at=NOON,
    )
    [answer] = BOARD.given(*known(), card("t1"), returned).when(go()).decide()
    assert isinstance(answer, CardMove)
    assert (answer.state, answer.code, answer.reason) == ("returned", "gate_not_passed", "No.")
    assert answer.column == "todo"


def test_in_a_full_column_a_card_waits_behind_those_that_came_before() -> None:
    story = BOARD.given(*known(), *making("t2", "t3"), card("t4"), waiting("t4"), card("t1"))
    wish = f"command-{len(story.past)}"
    story.when(go(wait_seconds=5)).then(
        waiting("t1", place=2, wish=wish),
        CardMove(
            ticket_id="t1",
            workflow="small",
            column="making",
            to_phase="PLAN",
            state="waiting",
            place=2,
            waiting=2,
        ),
    )


def test_a_kept_slot_counts_like_a_taken_one() -> None:
    story = BOARD.given(
        *known(), *making("t2"), card("t3"), reserved("t3", "making", "TODO", "PLAN"), card("t1")
    )
    *_, answer = story.when(go()).decide()
    assert isinstance(answer, CardMove)
    assert answer.state == "waiting"


def test_who_wants_a_ticket_elsewhere_postpones_what_its_passed_gate_asked_for() -> None:
    waits = waiting("t1", column="checking", from_phase="BUILD", to_phase="CHECK", by_itself=True)
    story = BOARD.given(*known(), card("t1", "BUILD", "making"), waits)
    facts = story.when(go("held")).decide()
    [kept] = of_type(facts, PullPostponed)
    assert (kept.to_phase, kept.wish, kept.actor) == ("CHECK", "wish-t1", "ann")
    assert [slot.to_phase for slot in of_type(facts, SlotReserved)] == ["HOLD"]


def test_a_wish_that_was_refused_is_answered_though_the_ticket_goes_on_by_itself() -> None:
    returned = CardReturned(
        ticket_id="t1",
        workflow="small",
        column="todo",
        to_phase="TODO",
        code="not_allowed",
        reason="No.",
        wish="command-5",
        at=NOON,
    )
    onward = reserved("t1", "checking", "BUILD", "CHECK", reservation=2, by_itself=True)
    story = BOARD.given(*known(), card("t1", "BUILD", "making"), returned, onward)
    [answer] = story.when(go("todo", wait_seconds=5)).decide()
    assert isinstance(answer, CardMove)
    assert (answer.state, answer.code) == ("returned", "not_allowed")


def test_asking_again_keeps_the_place_and_asking_otherwise_gives_it_up() -> None:
    story = BOARD.given(*known(), *making("t2", "t3"), *line("t1", "t4"))
    [answer] = story.when(go()).decide()
    assert isinstance(answer, CardMove)
    assert (answer.state, answer.place) == ("waiting", 1)
    left, slot, *_ = story.when(go("held")).decide()
    assert isinstance(left, CardWithdrawn)
    assert left.why == "asked_otherwise"
    assert isinstance(slot, SlotReserved)
    assert slot.to_phase == "HOLD"


def test_force_goes_past_limit_and_line_and_is_said() -> None:
    story = BOARD.given(*known(), *making("t2", "t3"), card("t1"), waiting("t1"))
    refused = story.when(go(force=True)).then_refused(NotAuthorised, required="MONITOR", held="WORKER")
    assert "Leave `force` out to wait in line." in refused.message
    facts = story.by("mona", Authority.MONITOR).when(go(force=True)).decide()
    [slot] = of_type(facts, SlotReserved)
    assert slot.forced
    [told] = of_type(facts, WipExceeded)
    assert (told.limit, told.count, told.forced, told.actor) == (2, 3, True, "mona")


def test_force_that_is_not_needed_exceeds_nothing() -> None:
    facts = BOARD.given(*known(), card("t1")).by("mona", Authority.MONITOR).when(go(force=True)).decide()
    assert of_type(facts, WipExceeded) == []


def test_the_first_phase_of_the_column_that_the_workflow_allows_is_entered() -> None:
    checking = BOARD.given(*known(), card("t1", "CHECK", "checking"))
    [slot] = of_type(checking.when(go()).decide(), SlotReserved)
    assert slot.to_phase == "BUILD"


def test_a_ticket_on_hold_goes_back_to_where_it_was() -> None:
    story = BOARD.given(
        *known(),
        card("t1"),
        moved("t1", "TODO", "PLAN"),
        moved("t1", "PLAN", "BUILD", 2),
        moved("t1", "BUILD", "HOLD", 3),
    )
    [slot] = of_type(story.when(go()).decide(), SlotReserved)
    assert (slot.to_phase, slot.move) == ("BUILD", 3)
    [named] = of_type(story.when(go(to_phase="PLAN")).decide(), SlotReserved)
    assert named.to_phase == "PLAN"


def test_a_move_within_a_full_column_needs_no_slot() -> None:
    story = BOARD.given(*known(), *making("t1", "t2"))
    [slot] = of_type(story.when(go(to_phase="BUILD")).decide(), SlotReserved)
    assert (slot.column, slot.to_phase) == ("making", "BUILD")
    third = story.given(slot, card("t3")).when(go(ticket_id="t3"))
    assert of_type(third.decide(), CardMove)[0].state == "waiting"


def test_without_a_column_the_card_goes_where_finished_ones_go() -> None:
    story = BOARD.given(*known(), card("t1", "CHECK", "checking"))
    [slot] = of_type(story.when(go(None)).decide(), SlotReserved)
    assert slot.column == "done"
    refused = BOARD.given(*known(), card("t1")).when(go(None)).then_refused(ColumnNotFound)
    assert "names none to go on to" in refused.message


def test_a_phase_alone_names_the_column_that_shows_it() -> None:
    story = BOARD.given(*known(), card("t1", "CHECK", "checking"))
    [slot] = of_type(story.when(go(None, to_phase="BUILD")).decide(), SlotReserved)
    assert (slot.column, slot.to_phase) == ("making", "BUILD")
    refused = story.when(go(None, to_phase="NOWHERE")).then_refused(PhaseNotInColumn)
    assert "No column of the board of small shows NOWHERE." in refused.message


def test_what_cannot_be_is_refused_with_the_way_out() -> None:
    story = BOARD.given(*known(), *making("t1"))
    refused = story.when(go("nowhere")).then_refused(ColumnNotFound, column="nowhere")
    assert "There are: todo, making, checking, done, held." in refused.message
    story.when(go("making")).then_refused(AlreadyInColumn, phase_id="PLAN")
    story.when(go("checking")).then_refused(ColumnNotReachable, reachable=["held"])
    story.when(go("checking", to_phase="PLAN")).then_refused(PhaseNotInColumn, phases=["CHECK"])
    bare = changed().model_copy(update={"columns": ()})
    lost = card("t1", column=None, workflow_version=bare.version)
    BOARD.given(*known(bare), lost).when(go()).then_refused(BoardNotFound, workflow="small")


def test_news_of_a_ticket_is_waited_for_a_moment() -> None:
    with pytest.raises(Waiting) as waited:
        BOARD.given(*known()).when(go()).decide()
    assert waited.value.until == NOON + timedelta(seconds=2)
    BOARD.given(*known()).waiting(2).when(go()).then_refused(CardNotFound, ticket_id="t1")


def test_a_card_that_is_being_moved_for_another_waits_for_that_or_is_refused() -> None:
    story = BOARD.given(*known(), card("t1"), reserved("t1", "making", "TODO", "PLAN", actor="bob"))
    assert noted(story.when(go("held", wait_seconds=5))) == []
    refused = story.when(go("held")).then_refused(CardMoving, to_phase="PLAN")
    assert "for bob" in refused.message


def test_who_leaves_the_line_lets_the_others_move_up() -> None:
    story = BOARD.given(*known(), *making("t2", "t3"), *line("t1", "t4"))
    story.when(WithdrawCard(ticket_id="t1")).then(
        CardWithdrawn(ticket_id="t1", workflow="small", column="making", why="withdrawn", at=NOON),
        CardWithdrawal(ticket_id="t1", column="making"),
    )
    left = story.given(
        CardWithdrawn(ticket_id="t1", workflow="small", column="making", why="withdrawn", at=NOON)
    )
    [answer] = left.when(go(ticket_id="t4")).decide()
    assert isinstance(answer, CardMove)
    assert answer.place == 1
    left.when(WithdrawCard(ticket_id="t1")).then_refused(NotWaiting, ticket_id="t1")
