"""What the board tells of the flow, from its own tables."""

from datetime import UTC, date, datetime, timedelta
from time import perf_counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.board.queries.flow import DaysNotCounted, days_asked
from shared.contracts.board import STATS_DAYS_MAX, Stats
from shared.testing.world import World
from tests.board.conftest import Workshop

DAYS = 20
TODAY = date(2026, 3, 1)
some_day = st.one_of(st.none(), st.dates(), st.dates(date(2024, 1, 1), date(2026, 3, 4)))


async def test_stats_follow_tickets_through_the_columns(workshop: Workshop) -> None:
    await workshop.open("a", "b", "c")
    for column, phase in (("making", "PLAN"), ("making", "BUILD"), ("checking", "CHECK"), ("done", "DONE")):
        moved = await workshop.move("a", column, to_phase=phase)
        assert moved["state"] == "moved", moved
    await workshop.move("b", "making")
    stats = await workshop.query("board.stats", workflow="small", oldest=1)
    assert (stats["open"], stats["done"], sum(day["done"] for day in stats["throughput"])) == (2, 1, 1)
    columns = {each["id"]: each for each in stats["columns"]}
    assert {name: each["count"] for name, each in columns.items()} == {
        "todo": 1,
        "making": 1,
        "checking": 0,
        "done": 1,
        "held": 0,
    }
    assert (columns["making"]["utilisation"], columns["todo"]["utilisation"]) == (0.5, None)
    assert stats["cumulative_flow"][-1]["columns"] == {name: each["count"] for name, each in columns.items()}
    assert [each["ticket_id"] for each in stats["ageing"]] == ["b"]
    lead, cycle = stats["lead_time"]["p50_seconds"], stats["cycle_time"]["p50_seconds"]
    assert 0 < cycle < lead
    await workshop.ask("phase.override_transition", ticket_id="a", to_phase="BUILD", reason="Not done.")
    await workshop.comes_to("a", "making")
    again = await workshop.query("board.stats", workflow="small")
    assert (again["open"], again["done"], again["lead_time"]["p50_seconds"]) == (3, 0, None)


async def past_of(world: World, tickets: int, moves: int) -> None:
    """Fill the tables as that many moves would have: a ticket a day is done, the others are on their way."""
    await world.execute(
        f"""
        INSERT INTO board.cards (ticket_id, workflow, column_id, rank, title, priority, phase_id, since,
                                 opened_at, started_at, done_at)
        SELECT 'p-' || n, 'small', CASE WHEN n % 4 = 0 THEN 'done' ELSE 'todo' END,
               lpad(n::text, 16, '0') || 'i', 'Past ' || n, 'LOW',
               CASE WHEN n % 4 = 0 THEN 'DONE' ELSE 'TODO' END, now(),
               now() - interval '10 days', now() - interval '9 days',
               CASE WHEN n % 4 = 0 THEN now() - n % {DAYS} * interval '8 hours' END
        FROM generate_series(1, {tickets}) AS n;
        INSERT INTO board.days (flow_id, workflow, day, came, "left")
        SELECT 'small.' || day::date, 'small', day::date,
               jsonb_build_object('todo', {moves // 365}, 'done', 1),
               jsonb_build_object('todo', {moves // 365 - 1})
        FROM generate_series(now() - interval '365 days', now() - interval '1 day', interval '1 day') AS day;
        ANALYZE board.cards; ANALYZE board.days;
        """
    )


async def test_stats_of_very_many_moves_are_read_from_indexes(workshop: Workshop) -> None:
    await past_of(workshop.world, tickets=20_000, moves=100_000)
    began = perf_counter()
    stats = await workshop.query("board.stats", workflow="small")
    seconds = perf_counter() - began
    assert (stats["open"], len(stats["cumulative_flow"])) == (15_000, 30)
    days = stats["cumulative_flow"]
    assert days[-2]["columns"]["done"] - days[0]["columns"]["done"] == 28
    assert seconds < 10, "a runaway, not a measurement"


async def test_days_are_counted_from_the_first_to_the_last_asked_for(workshop: Workshop) -> None:
    await past_of(workshop.world, tickets=40, moves=3650)
    last = datetime.now(UTC).date() - timedelta(days=2)
    answer = await workshop.query(
        "board.stats", workflow="small", from_day=str(last - timedelta(days=3)), to_day=str(last)
    )
    assert [each["day"] for each in answer["throughput"]] == [
        str(last - timedelta(days=n)) for n in (3, 2, 1, 0)
    ]
    assert len(answer["cumulative_flow"]) == 4
    refused = await workshop.query("board.stats", workflow="small", from_day=str(last), to_day="2020-01-01")
    assert "from_day is after to_day" in refused["message"]
    nobody = await workshop.query("board.stats", workflow="nothing")
    assert nobody["code"] == "board_not_found"
    assert "small" in nobody["details"]["boards"]
    for days in ({"from_day": "2100-01-01"}, {"to_day": "0001-01-01"}, {"to_day": "9999-12-31"}):
        answer = await workshop.query("board.stats", workflow="small", **days)
        assert answer["code"] == "days_not_counted", answer


@given(some_day, some_day)
@example(date(2100, 1, 1), None)
@example(None, date(1, 1, 1))
@example(None, date(9999, 12, 31))
@example(date(1, 1, 1), date(2026, 3, 1))
@example(date(1, 1, 1), None)
def test_whatever_days_are_asked_for_they_are_counted_or_refused_in_words(
    from_day: date | None, to_day: date | None
) -> None:
    try:
        query = Stats(workflow="small", from_day=from_day, to_day=to_day)
        first, last = days_asked(query, TODAY)
    except ValidationError as refused:
        assert "from_day is after to_day" in str(refused)  # noqa: PT017
    except DaysNotCounted as refused:
        assert "at most 366 days" in refused.message  # noqa: PT017
    else:
        assert (first, last) == (from_day or last - timedelta(days=29), to_day or TODAY)
        assert 1 <= (last - first).days + 1 <= STATS_DAYS_MAX
        assert last + timedelta(days=1) > first


@pytest.mark.parametrize("days", [1, 30, STATS_DAYS_MAX])
def test_so_many_days_are_counted_and_no_more(days: int) -> None:
    first = TODAY - timedelta(days=days - 1)
    assert days_asked(Stats(workflow="small", from_day=first), TODAY) == (first, TODAY)
    with pytest.raises(DaysNotCounted, match="are 367 days"):
        days_asked(Stats(workflow="small", from_day=TODAY - timedelta(days=STATS_DAYS_MAX)), TODAY)
