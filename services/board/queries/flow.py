"""What the board answers about how work flows: counts, durations, ages, and the cumulative flow."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Date, Float, Select, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from services.board.board import Board
from services.board.queries.shown import board_of, counts
from services.board.tables import cards, days
from shared.contracts.board import (
    STATS_DAYS_MAX,
    AgeingCard,
    BoardStats,
    ColumnStats,
    DayCount,
    FlowDay,
    Percentiles,
    Stats,
)
from shared.contracts.workflow import Column
from shared.kernel.decider import Refused
from shared.kernel.reading import Reading

DAYS = 30
AHEAD = timedelta(days=1)
"""As far as the day of who asks may be ahead of UTC."""
EARLIEST = date(1970, 1, 1)
QUANTILES = (0.5, 0.85, 0.95)


class DaysNotCounted(Refused):
    """Nothing is counted for such days, or not for so many of them at once."""


def days_asked(query: Stats, today: date) -> tuple[date, date]:
    """The first and the last day to count; refused are days without an answer, and too many of them."""
    last = query.to_day or today
    if last > today + AHEAD:
        raise _not_counted(f"to_day {last} is still to come; it is {today} in UTC", query)
    if last < EARLIEST:
        raise _not_counted(f"to_day {last} is before {EARLIEST}, when nothing was counted yet", query)
    first = query.from_day or last - timedelta(days=DAYS - 1)
    if first > last:
        raise _not_counted(f"from_day {first} is after the last day, {last}", query)
    if (count := (last - first).days + 1) > STATS_DAYS_MAX:
        raise _not_counted(f"{first} to {last} are {count} days", query)
    return first, last


def _not_counted(problem: str, query: Stats) -> DaysNotCounted:
    return DaysNotCounted(
        f"{problem}. Ask for at most {STATS_DAYS_MAX} days up to today.",
        from_day=query.from_day and str(query.from_day),
        to_day=query.to_day and str(query.to_day),
        days_max=STATS_DAYS_MAX,
    )


async def stats(query: Stats, reading: Reading) -> BoardStats:
    """How work flowed over a board in some days, and how it stands now."""
    board = await board_of(query.workflow, reading)
    now = datetime.now(UTC)
    first, last = days_asked(query, now.date())
    done = _done(query.workflow, first, last)
    throughput = await _throughput(done, first, last, reading)
    total = sum(day.done for day in throughput)
    open_cards = await reading.rows(
        select(func.count().label("count")).where(
            cards.c.workflow == query.workflow, cards.c.done_at.is_(None)
        )
    )
    return BoardStats(
        workflow=query.workflow,
        from_day=first,
        to_day=last,
        columns=await _columns(board, now, reading),
        open=open_cards[0]["count"],
        done=total,
        throughput_per_day=round(total / len(throughput), 3),
        throughput=throughput,
        cycle_time=await _percentiles(done, cards.c.started_at, reading),
        lead_time=await _percentiles(done, cards.c.opened_at, reading),
        ageing=await _ageing(query, now, reading),
        cumulative_flow=await _cumulative(board, first, last, reading),
    )


def _done(workflow: str, first: date, last: date) -> ColumnElement[bool]:
    """Which cards are of tickets that were done in those days."""
    begin, end = _midnight(first), _midnight(last + timedelta(days=1))
    return (cards.c.workflow == workflow) & (cards.c.done_at >= begin) & (cards.c.done_at < end)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _span(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


async def _throughput(
    done: ColumnElement[bool], first: date, last: date, reading: Reading
) -> tuple[DayCount, ...]:
    day = cast(func.timezone("UTC", cards.c.done_at), Date).label("day")
    rows = await reading.rows(select(day, func.count().label("count")).where(done).group_by(day))
    by_day = {row["day"]: row["count"] for row in rows}
    return tuple(DayCount(day=each, done=by_day.get(each, 0)) for each in _span(first, last))


async def _percentiles(done: ColumnElement[bool], since: ColumnElement[Any], reading: Reading) -> Percentiles:
    seconds = func.extract("epoch", cards.c.done_at - since)
    quantiles = cast(list(QUANTILES), ARRAY(Float))
    found = select(
        func.percentile_cont(quantiles).within_group(seconds).label("quantiles"),
        func.avg(seconds).label("mean"),
    ).where(done)
    [row] = await reading.rows(found)
    p50, p85, p95 = row["quantiles"] or (None, None, None)
    return Percentiles(p50_seconds=p50, p85_seconds=p85, p95_seconds=p95, mean_seconds=row["mean"])


async def _columns(board: Board, now: datetime, reading: Reading) -> tuple[ColumnStats, ...]:
    held = await counts(board.workflow, reading)
    age = func.extract("epoch", now - cards.c.since)
    open_cards: Select[Any] = select(
        cards.c.column_id, func.max(age).label("oldest"), func.avg(age).label("mean")
    ).where(cards.c.workflow == board.workflow, cards.c.done_at.is_(None))
    rows = await reading.rows(open_cards.group_by(cards.c.column_id))
    ages = {row["column_id"]: row for row in rows}
    return tuple(
        _column(column, board, held.get(column.id, 0), ages.get(column.id, {})) for column in board.columns
    )


def _column(column: Column, board: Board, held: int, ages: Mapping[str, Any]) -> ColumnStats:
    limit = column.wip_limit
    return ColumnStats(
        id=column.id,
        name=column.name or column.id,
        limit=limit,
        count=held,
        reserved=len(board.kept(column.id)),
        waiting=len(board.waiting(column.id)),
        utilisation=None if limit is None else round(board.used(column.id) / limit, 3),
        oldest_seconds=ages.get("oldest"),
        mean_age_seconds=ages.get("mean"),
    )


async def _ageing(query: Stats, now: datetime, reading: Reading) -> tuple[AgeingCard, ...]:
    """The open cards that were opened first."""
    listed = select(cards.c.ticket_id, cards.c.title, cards.c.column_id, cards.c.opened_at, cards.c.since)
    open_cards = listed.where(cards.c.workflow == query.workflow, cards.c.done_at.is_(None))
    rows = await reading.rows(open_cards.order_by(cards.c.opened_at).limit(query.oldest))
    return tuple(
        AgeingCard(
            ticket_id=row["ticket_id"],
            title=row["title"],
            column=row["column_id"],
            age_seconds=(now - row["opened_at"]).total_seconds(),
            in_column_seconds=(now - row["since"]).total_seconds(),
        )
        for row in rows
    )


async def _cumulative(board: Board, first: date, last: date, reading: Reading) -> tuple[FlowDay, ...]:
    """What each column held at the end of each day: all that came until then less all that left."""
    rows = await reading.rows(
        select(days.c.day, days.c.came, days.c.left)
        .where(days.c.workflow == board.workflow, days.c.day <= last)
        .order_by(days.c.day)
    )
    held = {column.id: 0 for column in board.columns}
    flow: list[FlowDay] = []
    unread = list(rows)
    for day in _span(first, last):
        while unread and unread[0]["day"] <= day:
            held = _after(held, unread.pop(0))
        flow.append(FlowDay(day=day, columns={column.id: held[column.id] for column in board.columns}))
    return tuple(flow)


def _after(held: Mapping[str, int], row: Mapping[str, Any]) -> dict[str, int]:
    columns: Sequence[str] = (*held, *(column for column in row["came"] if column not in held))
    came, left = row["came"], row["left"]
    return {column: held.get(column, 0) + came.get(column, 0) - left.get(column, 0) for column in columns}
