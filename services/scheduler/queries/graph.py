"""A ticket's tasks as a graph."""

from sqlalchemy import select

from services.scheduler.dag import Dag, dag
from services.scheduler.queries.outline import OUTLINE
from services.scheduler.tables import columns
from services.scheduler.ticket import Ticket, TicketNotFound
from shared.contracts.task import DagStatus
from shared.kernel.reading import Reading

_STANDING = [columns[name] for name in ("status", "ended", "held", "priority", "agent_id", "depends_on")]


async def dag_status(query: DagStatus, reading: Reading) -> Dag:
    """A ticket's tasks as a graph."""
    if await reading.state(Ticket, query.ticket_id) is None:
        raise TicketNotFound(query.ticket_id)
    node = select(*OUTLINE, *_STANDING)
    rows = await reading.rows(node.where(columns.ticket_id == query.ticket_id).order_by(columns.task_id))
    elsewhere = {before for row in rows for before in row["depends_on"]} - {row["task_id"] for row in rows}
    others = await reading.rows(node.where(columns.task_id.in_(sorted(elsewhere)))) if elsewhere else ()
    return dag(query.ticket_id, rows, others)
