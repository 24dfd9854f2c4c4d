"""Points of the journal: what a sequence or a time stands for, and the read models as they were there."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Label, Select, func, select

from services.projection import tables
from services.projection.tables import COMMENTS, DISCOVERIES, GATES, PAUSES, TASKS, TICKETS
from shared.contracts.messages import moment_text
from shared.contracts.projection import Point
from shared.kernel.decider import Refused
from shared.kernel.journal import journal
from shared.kernel.reading import Reading
from shared.kernel.versions import rows_at

CLOCKS_APART = timedelta(seconds=5)
"""As much as the clock of who asks may be ahead of ours."""


class InTheFuture(Refused):
    """Nothing has happened there yet."""


@dataclass(frozen=True)
class Source:
    """What a query about a ticket reads: the tables of today, or the rows that they held at a point."""

    tickets: FromClause
    pauses: FromClause
    comments: FromClause
    tasks: FromClause
    gates: FromClause
    discoveries: FromClause


TODAY = Source(tables.tickets, tables.pauses, tables.comments, tables.tasks, tables.gates, tables.discoveries)


def ticket_at(ticket_id: str, sequence: int) -> Source:
    """All rows of one ticket as they were at a sequence."""

    def of_ticket(row: FromClause) -> ColumnElement[bool]:
        found: ColumnElement[bool] = row.c.ticket_id == ticket_id
        return found

    models = {
        "tickets": TICKETS,
        "pauses": PAUSES,
        "comments": COMMENTS,
        "tasks": TASKS,
        "gates": GATES,
        "discoveries": DISCOVERIES,
    }
    then = {name: rows_at(model, sequence, of_ticket).subquery(name) for name, model in models.items()}
    return Source(**then)


async def point(as_of: int | datetime | None, reading: Reading) -> Point:
    """Where the journal was then; its end when nothing else is asked for. Raises InTheFuture."""
    places = select(journal.c.sequence, journal.c.clock.label("at"))
    newest = places.order_by(journal.c.sequence.desc()).limit(1)
    end = await _first(newest, reading)
    if as_of is None:
        return end
    if isinstance(as_of, int):
        if as_of > end.sequence:
            raise InTheFuture(
                f"The journal has come to {end.sequence}; nothing is known as of {as_of} yet. "
                "Leave as_of out to see how things stand now.",
                as_of=as_of,
                head=end.sequence,
            )
        return await _first(newest.where(journal.c.sequence <= as_of), reading)
    now = datetime.now(UTC)
    if as_of > now + CLOCKS_APART:
        raise InTheFuture(
            f"It is {moment_text(now)} here; {moment_text(as_of)} is still to come. "
            "Leave as_of out to see how things stand now.",
            as_of=moment_text(as_of),
            now=moment_text(now),
        )
    latest = places.order_by(journal.c.clock.desc(), journal.c.sequence.desc()).limit(1)
    return await _first(latest.where(journal.c.clock <= as_of), reading)


async def _first(statement: Select[Any], reading: Reading) -> Point:
    rows = await reading.rows(statement)
    return Point.model_validate(rows[0]) if rows else Point(sequence=0, at=None)


def present() -> Label[Any]:
    """The end of the journal, as seen by the same statement as the rest of its answer."""
    newest = select(func.jsonb_build_object("sequence", journal.c.sequence, "at", journal.c.clock)).order_by(
        journal.c.sequence.desc()
    )
    return newest.limit(1).scalar_subquery().label("as_of")


def when(at: Point) -> str:
    """A point in words."""
    return f"as of {at.sequence} ({moment_text(at.at)})" if at.at else "before the first event"
