"""What the rules look up: the order of cards, and which cards a board has."""

from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, select, tuple_

from services.board.columns import CardsOf
from services.board.ordering import BeforeGap, BehindGap, CountBefore, Gap
from services.board.tables import cards
from shared.kernel.reading import Reading

PLACE = tuple_(cards.c.rank, cards.c.ticket_id)


async def cards_of(lookup: CardsOf, reading: Reading) -> tuple[str, ...]:
    """One page of the cards of a board, in the order of their ids."""
    named = select(cards.c.ticket_id).where(
        cards.c.workflow == lookup.workflow, cards.c.ticket_id > lookup.after
    )
    return _ids(await reading.rows(named.order_by(cards.c.ticket_id).limit(lookup.limit)))


async def before_gap(lookup: BeforeGap, reading: Reading) -> tuple[str, ...]:
    """The last card before a gap."""
    gap = lookup.gap
    if gap.anchor:
        last = _others(gap).where(_before(gap)).order_by(cards.c.rank.desc(), cards.c.ticket_id.desc())
        return _ids(await reading.rows(last.limit(1)))
    first = _others(gap).order_by(cards.c.rank, cards.c.ticket_id)
    return _ids(await reading.rows(first.limit(gap.position - 1)))[-1:]


async def behind_gap(lookup: BehindGap, reading: Reading) -> tuple[str, ...]:
    """The first cards behind a gap."""
    gap = lookup.gap
    rest = _others(gap).order_by(cards.c.rank, cards.c.ticket_id).limit(lookup.limit)
    if gap.anchor:
        return _ids(await reading.rows(rest.where(~_before(gap))))
    return _ids(await reading.rows(rest.offset(gap.position - 1)))


async def count_before(lookup: CountBefore, reading: Reading) -> int:
    """How many cards come before a gap."""
    gap = lookup.gap
    counted = _others(gap).where(_before(gap)) if gap.anchor else _others(gap).limit(gap.position - 1)
    [row] = await reading.rows(select(func.count().label("count")).select_from(counted.subquery()))
    count: int = row["count"]
    return count


def _others(gap: Gap) -> Select[Any]:
    """The other cards of the column."""
    return select(cards.c.ticket_id).where(
        cards.c.workflow == gap.workflow,
        cards.c.column_id == gap.column,
        cards.c.ticket_id != gap.moving,
    )


def _before(gap: Gap) -> ColumnElement[bool]:
    """Whether a card comes before the gap, which lies before or behind a certain card."""
    anchor = tuple_(*(literal(value) for value in gap.anchor or ()))
    return anchor > PLACE if gap.is_before else anchor >= PLACE


def _ids(rows: Any) -> tuple[str, ...]:
    return tuple(row["ticket_id"] for row in rows)
