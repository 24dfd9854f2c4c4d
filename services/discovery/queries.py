"""What discovery answers about discoveries; never of one without the task that was spawned with it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select

from services.discovery.discovery import Discovery, Spawned, not_found
from services.discovery.tables import discoveries, under_way
from shared.contracts.discovery import (
    Analytics,
    BranchView,
    Discoveries,
    DiscoveryAnalytics,
    DiscoverySummary,
    DiscoveryView,
    GetDiscovery,
    ListDiscoveries,
)
from shared.kernel.decider import Unavailable
from shared.kernel.reading import Reading

PATIENCE_SECONDS = 3.0
POLL_SECONDS = 0.05


async def get_discovery(query: GetDiscovery, reading: Reading) -> DiscoveryView:
    """One discovery; it can be seen exactly when the task can that was spawned with it."""

    async def is_settled() -> bool:
        known = await reading.state(Discovery, query.discovery_id)
        return known is None or not known.under_way

    await _patiently(is_settled)
    discovery = await reading.state(Discovery, query.discovery_id)
    if discovery is None or not (discovery.recorded or discovery.under_way):
        raise not_found(query.discovery_id)
    if not discovery.recorded:
        raise Unavailable(
            f"Discovery {query.discovery_id} is being recorded together with a task. Ask again."
        )
    return _view(discovery)


async def _patiently(settled: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what is under way, for a while."""
    for _ in range(int(PATIENCE_SECONDS / POLL_SECONDS)):
        if await settled():
            return
        await asyncio.sleep(POLL_SECONDS)


def _view(discovery: Discovery) -> DiscoveryView:
    same = set(DiscoveryView.model_fields) - {"branches", "under_way"}
    return DiscoveryView(
        **{name: getattr(discovery, name) for name in same},
        branches=tuple(map(_branch, discovery.spawned)),
        under_way=len(discovery.under_way),
    )


def _branch(branch: Spawned) -> BranchView:
    return BranchView.model_validate({name: getattr(branch, name) for name in BranchView.model_fields})


async def list_discoveries(query: ListDiscoveries, reading: Reading) -> Discoveries:
    """Newest first."""
    waiting = select(under_way.c.discovery_id)
    if query.ticket_id is not None:
        waiting = waiting.where(under_way.c.ticket_id == query.ticket_id)
    before = {row["discovery_id"] for row in await reading.rows(waiting)}

    async def is_settled() -> bool:
        still = await reading.rows(waiting.where(under_way.c.discovery_id.in_(before)))
        return not still

    if before:
        await _patiently(is_settled)
    rows, next_before = await _page(query, reading)
    count = select(func.coalesce(func.sum(under_way.c.branches), 0).label("branches"))
    if query.ticket_id is not None:
        count = count.where(under_way.c.ticket_id == query.ticket_id)
    return Discoveries(
        discoveries=tuple(map(DiscoverySummary.model_validate, rows)),
        next_before=next_before,
        under_way=(await reading.rows(count))[0]["branches"],
    )


async def _page(query: ListDiscoveries, reading: Reading) -> tuple[Sequence[Mapping[str, Any]], int | None]:
    wanted = query.model_dump(include={"ticket_id", "status", "source_task_id"}, exclude_none=True)
    listed = select(discoveries).where(*(discoveries.c[name] == value for name, value in wanted.items()))
    if (named := query.discovery_type) is not None:
        listed = listed.where(discoveries.c.discovery_type.in_({named, named.casefold()}))
    if query.before is not None:
        listed = listed.where(discoveries.c.place < query.before)
    rows = await reading.rows(listed.order_by(discoveries.c.place.desc()).limit(query.limit + 1))
    page = rows[: query.limit]
    return page, page[-1]["place"] if len(rows) > query.limit else None


async def analytics(query: Analytics, reading: Reading) -> DiscoveryAnalytics:
    """Counts, rates and times."""
    of = [discoveries.c.ticket_id == query.ticket_id] if query.ticket_id is not None else []
    by_status = await _counted(discoveries.c.status, of, reading)
    total = sum(by_status.values())
    judged = total - by_status.get("invalid", 0)
    return DiscoveryAnalytics(
        total=total,
        by_type=await _counted(discoveries.c.discovery_type, of, reading),
        by_phase=await _counted(discoveries.c.phase_id, of, reading),
        by_status=by_status,
        resolution_rate=by_status.get("resolved", 0) / judged if judged else None,
        **await _times(of, reading),
        **await _depths(of, reading),
        branches_by_phase=await _spawned(of, reading),
    )


Conditions = Sequence[ColumnElement[bool]]


async def _counted(column: Any, of: Conditions, reading: Reading) -> dict[str, int]:
    counts = select(column.label("name"), func.count().label("count")).where(*of).group_by(column)
    return {row["name"]: row["count"] for row in await reading.rows(counts.order_by(column))}


async def _times(of: Conditions, reading: Reading) -> Mapping[str, Any]:
    seconds = func.extract("epoch", discoveries.c.closed_at - discoveries.c.recorded_at)
    statement = select(
        func.avg(seconds).label("resolution_seconds_mean"),
        func.percentile_cont(0.5).within_group(seconds).label("resolution_seconds_median"),
    ).where(discoveries.c.status == "resolved", *of)
    return (await reading.rows(statement))[0]


async def _depths(of: Conditions, reading: Reading) -> Mapping[str, Any]:
    each = select(func.unnest(discoveries.c.depths).label("depth")).where(*of).subquery()
    statement = select(
        func.count().label("branches"),
        func.avg(each.c.depth).label("branch_depth_mean"),
        func.coalesce(func.max(each.c.depth), 0).label("branch_depth_max"),
    )
    return (await reading.rows(statement))[0]


async def _spawned(of: Conditions, reading: Reading) -> dict[str, int]:
    each = select(func.unnest(discoveries.c.spawn_phases).label("name")).where(*of).subquery()
    counts = select(each.c.name, func.count().label("count")).group_by(each.c.name).order_by(each.c.name)
    return {row["name"]: row["count"] for row in await reading.rows(counts)}
