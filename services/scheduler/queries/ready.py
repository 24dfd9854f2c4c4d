"""Which tasks may be claimed, and how many there are."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from services.scheduler.claim import ReadyCandidates
from services.scheduler.queries.candidate import ready_candidates
from services.scheduler.queries.outline import OUTLINE
from services.scheduler.tables import columns, ready_count
from shared.contracts.task import ReadyTasks, ReadyTasksMeasure
from shared.kernel.reading import Reading


async def ready_tasks(query: ReadyTasks, reading: Reading) -> Mapping[str, Any]:
    """Tasks that may be claimed, in the order in which they will be."""
    listed = select(*OUTLINE, columns.priority, columns.rank, columns.ready_at).limit(query.limit)
    in_order = listed.order_by(columns.rank, columns.task_id)
    tickets = None if query.ticket_id is None else (query.ticket_id,)
    first = await ready_candidates(ReadyCandidates(None, None, query.limit, tickets), reading)
    return {"tasks": await reading.rows(in_order.where(columns.task_id.in_(first)))}


async def measure_ready_tasks(reading: Reading, at: datetime) -> ReadyTasksMeasure:
    """How many tasks may be claimed, by the counts that are kept, and since when the first of them."""
    counts = await reading.rows(select(ready_count).where(ready_count.c.count > 0))
    oldest = select(func.min(columns.ready_at).label("ready_at")).where(columns.lane.is_not(None))
    [first] = await reading.rows(oldest)
    by_phase, by_priority = Counter[str](), Counter[str]()
    for row in counts:
        by_phase[row["phase_id"]] += row["count"]
        by_priority[row["priority"]] += row["count"]
    waited = (at - first["ready_at"]).total_seconds() if first["ready_at"] else 0.0
    return ReadyTasksMeasure(
        count=by_phase.total(),
        by_phase=by_phase,
        by_priority=by_priority,
        oldest_wait_seconds=round(max(0.0, waited), 3),
    )
