"""The order of cards inside a column, and the ranks that make it."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.board.card import CardNotFound
from services.board.ordering import BeforeGap, BehindGap, CountBefore, Gap, NotInColumn
from services.board.rank import LONGEST, behind, between, spread, stamp
from shared.contracts.board import CardAdded, CardPlace, CardReordered, ReorderCard
from shared.testing.scenario import NOON, Scenario
from tests.board.given import BOARD, card, known, of_type


def shelf(*cards: CardAdded) -> Scenario:
    """A column, and an index that knows its order."""
    ranked = sorted(cards, key=lambda each: (each.rank, each.ticket_id))

    def split(gap: Gap) -> tuple[list[str], list[str]]:
        others = [each for each in ranked if each.ticket_id != gap.moving and each.column == gap.column]
        ids = [each.ticket_id for each in others]
        named = ids.index(gap.anchor[1]) + (not gap.is_before) if gap.anchor else None
        place = gap.position - 1 if named is None else named
        return ids[:place], ids[place:]

    def behind_it(lookup: BehindGap) -> tuple[str, ...]:
        return tuple(split(lookup.gap)[1][: lookup.limit])

    return (
        BOARD.given(*known(), *cards)
        .finding(BeforeGap, lambda lookup: tuple(split(lookup.gap)[0][-1:]))
        .finding(BehindGap, behind_it)
        .finding(CountBefore, lambda lookup: len(split(lookup.gap)[0]))
    )


def order(scenario: Scenario, *cards: CardAdded) -> list[str]:
    """The cards in order, once the command is decided."""
    ranks = {each.ticket_id: each.rank for each in cards}
    ranks |= {each.ticket_id: each.rank for each in of_type(scenario.decide(), CardReordered)}
    return sorted(ranks, key=lambda ticket_id: (ranks[ticket_id], ticket_id))


FOUR = tuple(card(f"t{number}") for number in range(1, 5))


@pytest.mark.parametrize(
    ("wish", "after"),
    [
        ({"before": "t1"}, ["t4", "t1", "t2", "t3"]),
        ({"before": "t3"}, ["t1", "t2", "t4", "t3"]),
        ({"after": "t1"}, ["t1", "t4", "t2", "t3"]),
        ({"after": "t3"}, ["t1", "t2", "t3", "t4"]),
        ({"position": 1}, ["t4", "t1", "t2", "t3"]),
        ({"position": 3}, ["t1", "t2", "t4", "t3"]),
        ({"position": 99}, ["t1", "t2", "t3", "t4"]),
    ],
)
def test_a_card_goes_where_it_is_put_and_the_others_stay(wish: dict[str, str], after: list[str]) -> None:
    story = shelf(*FOUR).when(ReorderCard(ticket_id="t4", **wish))
    assert order(story, *FOUR) == after
    facts = story.decide()
    assert len(of_type(facts, CardReordered)) <= 1
    assert facts[-1] == CardPlace(ticket_id="t4", column="todo", position=after.index("t4") + 1)


def test_exactly_one_place_is_named() -> None:
    for wish in ({}, {"before": "t1", "position": 2}):
        with pytest.raises(ValidationError, match="name exactly one"):
            ReorderCard(ticket_id="t4", **wish)


def test_a_neighbour_must_be_in_the_same_column() -> None:
    story = shelf(*FOUR, card("t5", "PLAN", "making"), card("t6", "ODD", None))
    refused = story.when(ReorderCard(ticket_id="t1", before="t5")).then_refused(NotInColumn, neighbour="t5")
    assert "t5 is in making" in refused.message
    story.when(ReorderCard(ticket_id="t1", after="t1")).then_refused(NotInColumn)
    story.when(ReorderCard(ticket_id="t1", after="t9")).then_refused(CardNotFound, ticket_id="t9")
    story.when(ReorderCard(ticket_id="t9", position=1)).then_refused(CardNotFound, ticket_id="t9")
    story.when(ReorderCard(ticket_id="t6", position=1)).then_refused(NotInColumn, phase_id="ODD")


def test_equal_ranks_are_spread_so_that_a_card_fits_between() -> None:
    same = tuple(card(f"t{number}", rank="5i") for number in range(1, 5))
    story = shelf(*same).when(ReorderCard(ticket_id="t4", before="t2"))
    assert order(story, *same) == ["t1", "t4", "t2", "t3"]


def test_ranks_stay_short_however_often_cards_are_put_between_the_same_two() -> None:
    cards = {each.ticket_id: each for each in FOUR}
    spreads = 0
    for number in range(600):
        ticket_id = f"t{3 + number % 2}"
        story = shelf(*cards.values()).when(ReorderCard(ticket_id=ticket_id, after="t1"))
        events = of_type(story.decide(), CardReordered)
        spreads += len(events) > 1
        for event in events:
            cards[event.ticket_id] = cards[event.ticket_id].model_copy(update={"rank": event.rank})
        assert order(story, *cards.values())[:2] == ["t1", ticket_id]
        assert max(len(each.rank) for each in cards.values()) <= LONGEST
    assert 0 < spreads < 30


RANKS = st.text("0123456789abcdefghijklmnopqrstuvwxyz", max_size=12).map(lambda text: text + "i")


@given(st.sets(RANKS, min_size=2, max_size=2), st.integers(0, 40))
@settings(deadline=None)
def test_between_two_ranks_there_is_always_room(two: set[str], count: int) -> None:
    low, high = sorted(two)
    ranks = spread(low, high, count)
    assert [low, *ranks, high] == sorted({low, *ranks, high})
    assert all(not rank.endswith("0") for rank in ranks)
    assert "" < between("", low) < low


def test_ranks_that_are_not_in_order_have_no_middle() -> None:
    with pytest.raises(ValueError, match="does not come before"):
        between("2i", "2i")


def test_who_comes_later_stands_behind() -> None:
    moment = NOON + timedelta(microseconds=1)
    assert stamp(NOON) < stamp(moment)
    assert behind(stamp(NOON), moment) == stamp(moment)
    ahead = between(stamp(moment), stamp(NOON + timedelta(seconds=5)))
    assert ahead < behind(ahead, NOON) < stamp(NOON + timedelta(seconds=60))
