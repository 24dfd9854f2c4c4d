"""One day of a board: how many cards came to each column, and how many left it."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime

from shared.contracts.board import FlowCounted
from shared.kernel.decider import Aggregate


@dataclass(frozen=True)
class Day:
    """A day; what a column holds at its end is all that ever came less all that ever left."""

    workflow: str = ""
    day: date | None = None
    came: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)


def counted(
    ticket_id: str, workflow: str, from_column: str | None, to_column: str | None, at: datetime
) -> FlowCounted:
    """The card's step as its day counts it."""
    day = at.date()
    return FlowCounted(
        ticket_id=ticket_id,
        flow_id=f"{workflow}.{day}",
        workflow=workflow,
        day=day,
        from_column=from_column,
        to_column=to_column,
    )


def evolve(day: Day, event: FlowCounted) -> Day:
    """The day after `event`."""
    return replace(
        day,
        workflow=event.workflow,
        day=event.day,
        came=_more(day.came, event.to_column),
        left=_more(day.left, event.from_column),
    )


def _more(counts: dict[str, int], column: str | None) -> dict[str, int]:
    return counts if column is None else {**counts, column: counts.get(column, 0) + 1}


DAY = Aggregate(Day, evolve, key="flow_id")
