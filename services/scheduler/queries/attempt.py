"""Which attempts there were, and what became of them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, tuple_

from services.scheduler.tables import attempt_index
from shared.contracts.task import AttemptList, AttemptView, ListAttempts
from shared.kernel.reading import Reading

_FILTERS = ("agent_id", "task_id", "ticket_id", "outcome")


async def list_attempts(query: ListAttempts, reading: Reading) -> AttemptList:
    """A page of attempts, the newest claim first."""
    attempts = attempt_index.c
    in_order = (attempts.claimed_at.desc(), attempts.attempt_id.desc())
    found = select(attempt_index).order_by(*in_order).limit(query.limit + 1)
    for name in _FILTERS:
        if (wanted := getattr(query, name)) is not None:
            found = found.where(attempts[name] == wanted)
    if query.after:
        last = select(attempts.claimed_at, attempts.attempt_id).where(attempts.attempt_id == query.after)
        found = found.where(tuple_(attempts.claimed_at, attempts.attempt_id) < last.scalar_subquery())
    rows = await reading.rows(found)
    page = rows[: query.limit]
    more = page[-1]["attempt_id"] if len(rows) > len(page) else None
    return AttemptList(attempts=tuple(_view(row) for row in page), next=more)


def _view(row: Mapping[str, Any]) -> AttemptView:
    outcome = None if row["outcome"] == "open" else row["outcome"]
    return AttemptView.model_validate({**row, "outcome": outcome})
