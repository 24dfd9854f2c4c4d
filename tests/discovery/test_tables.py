"""The indexes: what the migration makes is what the code writes and reads, and long lists stay cheap."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Executable, Select, text

from services.discovery.queries import analytics, list_discoveries
from services.discovery.service import discovery
from services.discovery.tables import metadata
from shared.contracts.discovery import Analytics, ListDiscoveries
from shared.kernel.database import open_pool
from shared.kernel.reads import DIALECT, StoreReading
from shared.kernel.schema import migrate
from shared.kernel.store import Store
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


class Planned(StoreReading):
    """Remembers how Postgres goes about each statement."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.plans: list[str] = []

    async def rows(self, statement: Executable) -> list[dict[str, Any]]:
        """Rows of a statement."""
        if isinstance(statement, Select):
            sql = statement.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True})
            lines = await super().rows(text(f"EXPLAIN {sql}"))
            self.plans.append("\n".join(line["QUERY PLAN"] for line in lines))
        return await super().rows(statement)


async def test_the_migration_makes_the_tables_that_are_read(a_world: World) -> None:
    await migrate(a_world.database_url, ["discovery"])
    rows = await a_world.fetch(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'discovery'"
    )
    made = {
        name: sorted(row["column_name"] for row in rows if row["table_name"] == name)
        for name in metadata.tables
    }
    assert made == {name: sorted(table.columns.keys()) for name, table in metadata.tables.items()}
    indexes = await a_world.fetch("SELECT indexname FROM pg_indexes WHERE schemaname = 'discovery'")
    wanted = {index.name for table in metadata.tables.values() for index in table.indexes}
    assert wanted <= {row["indexname"] for row in indexes}


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
