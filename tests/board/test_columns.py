"""Columns that change under the cards."""

import pytest

from services.board.columns import PAGE, CardsOf
from shared.contracts.board import (
    AdoptColumns,
    BoardAdopted,
    CardMoved,
    CardWithdrawn,
    PlaceCards,
    SlotFreed,
    SlotReserved,
    SlotTaken,
    WipExceeded,
)
from shared.contracts.workflow import Column
from shared.kernel.decider import Timer, Unavailable
from tests.board.given import (
    BOARD,
    SMALL,
    adopted,
    card,
    changed,
    followed,
    known,
    later,
    making,
    of_type,
    reserved,
    waiting,
)

MERGED = SMALL.model_copy(
    update={
        "columns": (
            Column(id="open", phases=("TODO", "HOLD")),
            Column(id="work", wip_limit=2, phases=("PLAN", "BUILD", "CHECK")),
            Column(id="done", phases=("DONE",)),
        )
    }
)


def adopt(version: str, seconds: float = 1) -> AdoptColumns:
    return AdoptColumns(workflow="small", version=version, at=later(seconds))


def place(after: str = "") -> PlaceCards:
    return PlaceCards(workflow="small", version=MERGED.version, after=after)


def test_the_first_version_makes_the_board() -> None:
    BOARD.given(followed()).when(adopt(SMALL.version, 0)).then(adopted())
    with pytest.raises(Unavailable):
        BOARD.when(adopt(SMALL.version)).decide()


def test_an_older_word_is_not_heard() -> None:
    story = BOARD.given(*known(), followed(MERGED))
    story.when(adopt(MERGED.version, -1)).then()
    story.when(adopt(SMALL.version, 1)).then()


def test_a_higher_limit_pulls_at_once_and_a_lower_one_is_said() -> None:
    story = BOARD.given(*known(), *making("t1", "t2"), card("t3"), waiting("t3"))
    wide, narrow = changed(making=3), changed(making=1)
    facts = story.given(followed(wide)).when(adopt(wide.version)).decide()
    assert [slot.ticket_id for slot in of_type(facts, SlotReserved)] == ["t3"]
    facts = story.given(followed(narrow)).when(adopt(narrow.version)).decide()
    [told] = of_type(facts, WipExceeded)
    assert (told.column, told.limit, told.count) == ("making", 1, 2)


def test_those_in_line_ask_again_where_their_phase_is_shown_now() -> None:
    story = BOARD.given(*known(), *making("t1", "t2"), card("t3"), waiting("t3"), followed(MERGED))
    facts = story.when(adopt(MERGED.version)).decide()
    [left] = of_type(facts, CardWithdrawn)
    assert left.why == "columns_changed"
    [slot] = of_type(facts, SlotReserved)
    assert (slot.ticket_id, slot.column, slot.wish) == ("t3", "work", "wish-t3")
    [timer] = [fact for fact in facts if isinstance(fact, Timer) and fact.key == "place-small"]
    assert timer.command == place()


def test_cards_are_put_under_the_columns_that_show_them_and_count_there() -> None:
    story = BOARD.given(
        *known(), *making("t1", "t2"), card("t3"), card("t4", "CHECK", "checking"), followed(MERGED)
    ).given(adopted(MERGED, later(1)))
    facts = story.finding(CardsOf, lambda _: ("t1", "t2", "t3", "t4")).when(place()).decide()
    placed = {each.ticket_id: each.to_column for each in of_type(facts, CardMoved)}
    assert placed == {"t1": "work", "t2": "work", "t3": "open", "t4": "work"}
    assert [each.ticket_id for each in of_type(facts, SlotTaken)] == ["t1", "t2", "t4"]
    [told] = of_type(facts, WipExceeded)
    assert (told.ticket_id, told.column, told.count) == ("t4", "work", 3)


def test_a_kept_slot_is_not_taken_by_cards_being_placed() -> None:
    story = BOARD.given(*known(), card("t1", "BUILD", "making"), reserved("t1", "making", "BUILD", "PLAN"))
    again = story.given(followed(MERGED), adopted(MERGED, later(1))).finding(CardsOf, lambda _: ("t1",))
    facts = again.when(place()).decide()
    assert [each.reserved for each in of_type(facts, SlotTaken)] == [False]
    assert of_type(facts, SlotFreed) == []


def test_cards_are_placed_page_by_page_until_columns_change_again() -> None:
    names = [f"t{number:03}" for number in range(PAGE)]
    story = BOARD.given(*known(), *(card(name) for name in names), followed(MERGED))
    story = story.given(adopted(MERGED, later(1))).finding(CardsOf, lambda _: tuple(names))
    facts = story.when(place()).decide()
    [timer] = [fact for fact in facts if isinstance(fact, Timer)]
    assert timer.command == place(after=names[-1])
    story.given(adopted(SMALL, later(2))).when(place()).then()


def test_a_workflow_without_columns_has_no_board_and_keeps_nobody_waiting() -> None:
    bare = SMALL.model_copy(update={"columns": ()})
    story = BOARD.given(*known(), *making("t1", "t2"), card("t3"), waiting("t3"), followed(bare))
    facts = story.when(adopt(bare.version)).decide()
    assert isinstance(facts[0], BoardAdopted)
    [slot] = of_type(facts, SlotReserved)
    assert (slot.ticket_id, slot.column) == ("t3", None)
