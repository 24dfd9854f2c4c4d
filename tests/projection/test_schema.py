"""The tables that the migrations make are the tables that the code declares."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from services.projection.tables import READ_MODELS, metadata
from shared.kernel import journal
from tests.projection.records import Records

DECLARED = MetaData()
for table in (*metadata.tables.values(), *journal.metadata.tables.values()):
    table.to_metadata(DECLARED)


def differences(connection: Connection) -> list[object]:
    """What alembic would change; the kernel's own tables are made by a script and declared nowhere."""
    connection.execute(text("SET search_path = projection"))
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    found: list[object] = compare_metadata(context, DECLARED)
    return [change for change in found if not _is_of_kernel(change)]


def _is_of_kernel(change: object) -> bool:
    if not isinstance(change, tuple) or not change[0].startswith("remove"):
        return False
    name = change[1].name if change[0] == "remove_table" else change[1].table.name
    return name not in DECLARED.tables


async def test_the_migrations_make_what_is_declared(records: Records) -> None:
    engine = create_async_engine(
        records.database_url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool
    )
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_the_journal_and_the_read_models_belong_to_the_role_that_rebuilds_them(
    records: Records,
) -> None:
    owners = await records.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'projection' AND tableowner = 'omoi_projection'"
    )
    tables = {table.name for model in READ_MODELS for table in model.tables}
    assert {row["tablename"] for row in owners} == {*tables, "journal", "read_models"}


def test_an_index_is_named_after_its_table() -> None:
    for table in metadata.tables.values():
        for index in table.indexes:
            assert str(index.name).startswith(f"{table.name}_")
