"""The indexes: long lists stay cheap."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.discovery.queries import analytics, list_discoveries
from services.discovery.service import discovery
from shared.contracts.discovery import Analytics, ListDiscoveries
from shared.kernel.database import open_pool
from shared.kernel.schema import migrate
from shared.kernel.store import Store
from shared.testing.planned import Planned
from shared.testing.world import World

MANY = 20_000
FILL = f"""
INSERT INTO discovery.discoveries
  (discovery_id, ticket_id, source_task_id, discovery_type, description, phase_id, status, recorded_by,
   recorded_at, closed_at, branches, open_branches, spawn_phases, depths)
SELECT 'd-' || n, 'T-' || n % 1000, 'task-' || n % 5000, 'type-' || n % 200, 'It creaks.', 'BUILD',
  CASE WHEN n % 2000 = 0 THEN 'open' ELSE 'resolved' END, 'ann', now(), now(), 1, 0, '{{BUILD}}', '{{1}}'
FROM generate_series(1, {MANY}) n;
INSERT INTO discovery.under_way SELECT 'u-' || n, 'T-' || n, 1 FROM generate_series(1001, 3000) n;
ANALYZE discovery.discoveries, discovery.under_way;
"""


@pytest.fixture
async def planned(a_world: World) -> AsyncIterator[Planned]:
    """Many discoveries of many tickets, and some branches of others under way."""
    await migrate(a_world.database_url, ["discovery"])
    await a_world.execute(FILL)
    pool = await open_pool(a_world.database_url, "discovery")
    async with pool:
        yield Planned(Store(discovery, pool))


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"ticket_id": "T-7"}, 20),
        ({"ticket_id": "T-7", "discovery_type": "type-7"}, 20),
        ({"source_task_id": "task-7", "ticket_id": "T-7"}, 4),
    ],
    ids=str,
)
async def test_a_page_of_one_ticket_is_read_off_an_index(
    planned: Planned, wanted: dict[str, Any], count: int
) -> None:
    page = await list_discoveries(ListDiscoveries(**wanted), planned)
    assert len(page.discoveries) == count
    assert not [plan for plan in planned.plans if "Seq Scan" in plan], planned.plans


async def test_analytics_of_one_ticket_read_only_what_is_its_own(planned: Planned) -> None:
    found = await analytics(Analytics(ticket_id="T-7"), planned)
    assert (found.total, found.by_status, found.branches) == (20, {"resolved": 20}, 20)
    assert not [plan for plan in planned.plans if "Seq Scan" in plan], planned.plans
