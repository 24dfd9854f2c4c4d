"""The tables that the migrations of each service make are those that its code declares."""

from importlib import import_module

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from omoi.services import all_services
from shared.kernel import journal
from shared.kernel.schema import migrate
from shared.testing.world import World


def declared(service: str) -> MetaData:
    """A service's own tables."""
    tables = MetaData()
    sources = [import_module(f"services.{service}.tables").metadata]
    if service == "projection":
        sources.append(journal.metadata)
    for table in (table for source in sources for table in source.tables.values()):
        table.to_metadata(tables)
    return tables


def differences(connection: Connection, service: str, tables: MetaData) -> list[object]:
    """What alembic would change; the kernel's own tables are made by a script and declared nowhere."""
    connection.execute(text(f"SET search_path = {service}, public"))
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    found: list[object] = compare_metadata(context, tables)
    return [change for change in found if not _is_of_kernel(change, tables)]


def _is_of_kernel(change: object, tables: MetaData) -> bool:
    if not isinstance(change, tuple) or not change[0].startswith("remove"):
        return False
    name = change[1].name if change[0] == "remove_table" else change[1].table.name
    return name not in tables.tables


@pytest.mark.filterwarnings("ignore:Did not recognize type 'vector'")
@pytest.mark.parametrize("service", sorted(all_services()))
async def test_the_migrations_make_what_is_declared(a_world: World, service: str) -> None:
    await migrate(a_world.database_url, [service])
    url = a_world.database_url.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences, service, declared(service)) == []
    await engine.dispose()
