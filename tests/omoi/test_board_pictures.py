"""A board as columns of cards, and its flow as small charts."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omoi.drawing.board import age, bars, draw, flow
from omoi.drawing.strokes import ASCII, UNICODE, Strokes
from shared.contracts.board import BoardView, FlowDay

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


def card(title: str, phase: str = "PHASE_IMPLEMENTATION", **more: Any) -> dict[str, Any]:
    told = {"ticket_id": f"0197-{title[:8].replace(' ', '-')}", "priority": "HIGH", "column": "building"}
    since = NOW - timedelta(hours=3)
    return {**told, "title": title, "phase_id": phase, "since": since, "opened_at": since, **more}


def column(name: str, *cards: dict[str, Any], limit: int | None = None, **more: Any) -> dict[str, Any]:
    told = {
        "id": name.lower().replace(" ", "-"),
        "name": name,
        "phases": ("PHASE_IMPLEMENTATION",),
        "limit": limit,
        "count": len(cards),
    }
    return {**told, "reserved": 0, "waiting": (), "cards": cards, **more}


def board(*columns: dict[str, Any], elsewhere: int = 0) -> BoardView:
    told = {"workflow": "w", "version": "v", "columns": columns, "elsewhere": elsewhere}
    return BoardView.model_validate(told)


SMALL = board(
    column("Building", card("First of all"), card("Goes on", waiting_for="testing", place=1), limit=2),
    column("Testing", card("Checked"), limit=1, waiting=("t",), reserved=0),
    column("Done", card("Now", "PHASE_DONE"), count=8, phases=("PHASE_DONE", "PHASE_X")),
)
DRAWN = """\
Building 2/2              Testing 1/1               Done 8
────────────────────────  ────────────────────────  ────────────────────────
▪ First of all            1 waiting                 ▪ Now
  First-of 3h             ▪ Checked                   0197-Now 3h DONE
▪ Goes on                   -Checked 3h             and 7 more
  -Goes-on 3h
  place 1 for testing
"""


def test_columns_stand_beside_each_other_with_limits_and_what_waits() -> None:
    assert draw(SMALL, NOW, width=78).plain == DRAWN


def test_a_paused_ticket_is_marked_with_who_paused_it() -> None:
    lines = draw(board(column("Building", card("Halts", paused="gus: It burns."))), NOW, width=60).plain
    assert "paused by gus: It burns." in lines


def test_a_narrow_terminal_has_columns_below_each_other() -> None:
    lines = draw(SMALL, NOW, width=60, strokes=ASCII).plain.splitlines()
    assert lines[0].split() == ["Building", "2/2", "Testing", "1/1"]
    assert lines[8:] == ["Done 8", "-" * 29, "* Now", "  0197-Now 3h DONE", "and 7 more"]


@pytest.mark.parametrize("strokes", [UNICODE, ASCII])
@given(width=st.integers(50, 200), words=st.lists(st.text(max_size=60), max_size=9))
def test_no_line_of_a_board_is_wider_than_the_terminal(
    strokes: Strokes, width: int, words: list[str]
) -> None:
    cards = [card(f"{word}x", ticket_id=f"t{n}", returned=word) for n, word in enumerate(words)]
    full = board(*(column(f"Column {n}", *cards[n:], limit=n) for n in range(7)), elsewhere=1)
    drawn = draw(full, NOW, width=width, strokes=strokes)
    assert all(line.cell_len <= width for line in drawn.split("\n"))
    assert drawn.plain.isascii() or not strokes.ascii_only


@pytest.mark.parametrize(
    ("count", "reserved", "style"), [(1, 0, "dim"), (1, 1, "yellow"), (2, 0, "yellow"), (3, 0, "red")]
)
def test_a_full_column_stands_out_and_one_that_is_too_full_more(
    count: int, reserved: int, style: str
) -> None:
    drawn = draw(board(column("Building", limit=2, count=count, reserved=reserved)), NOW)
    [span] = [span for span in drawn.spans if drawn.plain[span.start : span.end] == f"{count}/2"]
    assert span.style == style


def test_a_board_without_columns_says_so() -> None:
    assert draw(board(), NOW).plain == "The workflow w has no columns."


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.9, "59s"), (60, "1m"), (7_300, "2h"), (90_000, "1d"), (-5, "0s")]
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_bars_grow_with_counts_and_nothing_has_no_bar() -> None:
    assert bars([0, 1, 4, 8], UNICODE) == " ▁▄█"
    assert bars([0, 0], ASCII) == "  "


def test_what_is_done_grows_from_below_and_each_column_has_a_letter_of_its_own() -> None:
    days = [
        FlowDay(day=date(2026, 1, 1), columns={"backlog": 8, "building": 0, "done": 0}),
        FlowDay(day=date(2026, 1, 2), columns={"backlog": 2, "building": 2, "done": 4}),
    ]
    rows = flow(days, ["backlog", "building", "done"], width=80).plain.splitlines()
    assert [row[7:].rstrip() for row in rows[:8]] == ["bbbbbbbb"] * 2 + ["bbbbuuuu"] * 2 + ["bbbbdddd"] * 4
    assert rows[-1].split() == ["b", "backlog", "u", "building", "d", "done"]


def test_a_flow_without_cards_says_so() -> None:
    assert flow([], ["backlog"]).plain == "No cards yet."
