"""Discoveries in numbers: what is found where, which of it is dealt with, and how far work branches off."""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Text,
    column,
    func,
    literal_column,
    select,
    true,
)

from services.projection.queries.point import point, present
from services.projection.tables import DISCOVERIES, discoveries
from shared.contracts.projection import Discoveries, DiscoveryFigures
from shared.kernel.reading import Reading
from shared.kernel.versions import rows_at

NOTHING: ColumnElement[Any] = literal_column("'{}'::jsonb")


async def discovery_figures(query: Discoveries, reading: Reading) -> DiscoveryFigures:
    """One statement counts all of it."""
    if query.as_of is None:
        [row] = await reading.rows(_figures(query, discoveries).add_columns(present()))
        return DiscoveryFigures.model_validate({**row, "as_of": row["as_of"] or {"sequence": 0, "at": None}})
    at = await point(query.as_of, reading)
    then = rows_at(DISCOVERIES, at.sequence, lambda row: _wanted(query, row)).subquery("discoveries")
    [row] = await reading.rows(_figures(query, then))
    return DiscoveryFigures.model_validate({**row, "as_of": at})


def _wanted(query: Discoveries, row: FromClause) -> ColumnElement[bool]:
    return row.c.ticket_id == query.ticket_id if query.ticket_id else true()


def _figures(query: Discoveries, rows: FromClause) -> Select[Any]:
    found = select(rows).where(_wanted(query, rows), rows.c.shown).cte("found")
    branch = (
        func.jsonb_to_recordset(found.c.branches)
        .table_valued(column("spawn_phase_id", Text), column("depth", Integer))
        .render_derived(with_types=True)
    )
    branches = select(branch.c.spawn_phase_id, branch.c.depth).select_from(found.join(branch, true())).cte()
    counted = found.c.status != "invalid"
    resolved = found.c.status == "resolved"
    seconds = func.extract("epoch", found.c.closed_at - found.c.recorded_at)
    median = func.percentile_cont(0.5).within_group(seconds)
    share = 1.0 * func.count().filter(resolved) / func.nullif(func.count().filter(counted), 0)
    return select(
        func.count().label("total"),
        _counts(found, found.c.discovery_type).label("by_type"),
        _counts(found, found.c.phase_id).label("by_phase"),
        _counts(found, found.c.status).label("by_status"),
        share.label("resolution_rate"),
        func.avg(seconds).filter(resolved).label("resolution_seconds_mean"),
        median.filter(resolved).label("resolution_seconds_median"),
        select(func.count()).select_from(branches).scalar_subquery().label("branches"),
        _counts(branches, branches.c.spawn_phase_id).label("branches_by_phase"),
        select(func.avg(branches.c.depth)).scalar_subquery().label("branch_depth_mean"),
        select(func.coalesce(func.max(branches.c.depth), 0)).scalar_subquery().label("branch_depth_max"),
    ).select_from(found)


def _counts(rows: FromClause, by: ColumnElement[Any]) -> Any:
    """How many rows there are of each value."""
    counted = select(by.label("value"), func.count().label("count")).select_from(rows).group_by(by).subquery()
    told = func.jsonb_object_agg(counted.c.value, counted.c.count)
    return select(func.coalesce(told, NOTHING)).scalar_subquery()
