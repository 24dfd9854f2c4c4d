"""Agents and the tasks they have."""

from typing import Any

from sqlalchemy import ColumnClause, case, func, literal_column, select, true
from sqlalchemy.dialects.postgresql import aggregate_order_by

from services.projection.queries.page import page
from services.projection.tables import agents, in_work, tasks
from shared.contracts.projection import Agents, AgentView, ListAgents
from shared.kernel.reading import Reading

NONE: ColumnClause[Any] = literal_column("'[]'::jsonb")


async def list_agents(query: ListAgents, reading: Reading) -> Agents:
    """A page, by id."""
    held = (
        select(func.jsonb_agg(aggregate_order_by(tasks.c.task_id, tasks.c.task_id)).label("tasks"))
        .where(tasks.c.agent_id == agents.c.agent_id, in_work, tasks.c.shown)
        .lateral("held")
    )
    busy = (agents.c.status == "IDLE") & held.c.tasks.is_not(None)
    quarantined = agents.c.quarantine_reason.is_not(None) & (agents.c.status != "TERMINATED")
    found = (
        select(
            *(column for column in agents.c if column.name != "status"),
            case((quarantined, "QUARANTINED"), (busy, "RUNNING"), else_=agents.c.status).label("status"),
            func.coalesce(held.c.tasks, NONE).label("tasks"),
        )
        .join(held, true())
        .where(agents.c.agent_id > (query.after or ""))
        .order_by(agents.c.agent_id)
        .limit(query.limit + 1)
    )
    kept, following = page(await reading.rows(found), query.limit, "agent_id")
    return Agents(agents=tuple(AgentView.model_validate(row) for row in kept), next=following)
