"""The tables that the migrations make are those that the code declares."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from services.board.tables import metadata
from shared.kernel.schema import migrate
from shared.testing.world import World


def differences(connection: Connection) -> list[object]:
    """What alembic would change of the tables declared here."""
    connection.execute(text("SET search_path = board"))
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    found: list[tuple[object, ...]] = compare_metadata(context, metadata)
    return [change for change in found if not str(change[0]).startswith("remove")]


async def test_the_migrations_make_what_is_declared(a_world: World) -> None:
    await migrate(a_world.database_url, ["board"])
    url = a_world.database_url.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()
