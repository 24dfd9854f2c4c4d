"""A ticket's tasks as a graph."""

from sqlalchemy import func, select

from services.scheduler.dag import Dag, dag, fitting_one_message
from services.scheduler.queries.outline import OUTLINE
from services.scheduler.tables import columns
from services.scheduler.ticket import Ticket, TicketNotFound
from shared.contracts.task import DagStatus
from shared.kernel.reading import Reading

_STANDING = [columns[name] for name in ("status", "ended", "held", "priority", "agent_id", "depends_on")]
_NODE = select(*OUTLINE, *_STANDING).order_by(columns.task_id)


async def dag_status(query: DagStatus, reading: Reading) -> Dag:
    """A ticket's tasks as a graph."""
    if await reading.state(Ticket, query.ticket_id) is None:
        raise TicketNotFound(query.ticket_id)
    of_ticket = columns.ticket_id == query.ticket_id
    standing = select(columns.status, func.count().label("count")).where(of_ticket).group_by(columns.status)
    counts = {row["status"]: row["count"] for row in await reading.rows(standing)}
    open_ = select(columns.task_id, columns.depends_on).where(of_ticket, columns.ended.is_(False))
    to_do = {row["task_id"]: row["depends_on"] for row in await reading.rows(open_)}
    after = columns.task_id > (query.after or "")
    rows = await reading.rows(_NODE.where(of_ticket, after).limit(query.limit + 1))
    page = fitting_one_message(rows[: query.limit], {**to_do, **{row["task_id"]: row for row in rows}})
    before = sorted({one for row in page for one in row["depends_on"]} - to_do.keys())
    others = columns.ticket_id != query.ticket_id
    elsewhere = await reading.rows(_NODE.where(columns.task_id.in_(before), others)) if before else ()
    return dag(query.ticket_id, counts, to_do, page, elsewhere, more=len(page) < len(rows))
