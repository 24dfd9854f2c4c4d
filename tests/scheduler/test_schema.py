"""The triggers that the migrations make are those that the code declares."""

from services.scheduler.service import scheduler
from services.scheduler.tables import metadata
from shared.kernel.schema import migrate
from shared.testing.world import World

TRIGGERS = "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname"
FUNCTIONS = """
SELECT prosrc FROM pg_proc WHERE proname IN ('needs_of', 'refresh_rooms', 'count_ready') ORDER BY proname
"""


async def made(world: World) -> list[list[object]]:
    """Triggers and their functions, as they stand in the database."""
    return [[tuple(row) for row in await world.fetch(query)] for query in (TRIGGERS, FUNCTIONS)]


async def test_the_migrations_make_the_triggers_that_are_declared(a_world: World) -> None:
    await a_world.install(scheduler, tables=[metadata])
    declared = await made(a_world)
    assert [len(found) for found in declared] == [4, 3]
    await a_world.execute("DROP SCHEMA scheduler CASCADE")
    await migrate(a_world.database_url, ["scheduler"])
    assert await made(a_world) == declared
