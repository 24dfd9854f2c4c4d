"""What the board tells of the flow, from its own tables."""

from datetime import UTC, datetime, timedelta
from time import perf_counter

from shared.testing.world import World
from tests.board.conftest import Workshop

DAYS = 20


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
