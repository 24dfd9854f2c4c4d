"""Memory's schema in databases that are not as it needs them."""

from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from shared.kernel.schema import migrate
from shared.testing.world import World


async def test_an_extension_that_services_cannot_see_is_refused_with_the_way_out(a_world: World) -> None:
    await a_world.execute("CREATE SCHEMA other; CREATE EXTENSION vector SCHEMA other")
    with pytest.raises(RuntimeError, match="ALTER EXTENSION vector SET SCHEMA public"):
        await migrate(a_world.database_url, ["memory"])
    await a_world.execute("ALTER EXTENSION vector SET SCHEMA public")
    assert await migrate(a_world.database_url, ["memory"]) == {"memory": "0001"}


async def test_who_may_not_make_the_extension_is_told_who_may(a_world: World) -> None:
    url = urlsplit(a_world.database_url)
    if "@/" not in a_world.database_url:
        pytest.skip("another server asks users for passwords")
    name, database = f"migrator_{uuid4().hex[:8]}", url.path.removeprefix("/")
    await migrate(a_world.database_url, ["context"])
    await a_world.execute(f'CREATE ROLE "{name}" LOGIN CREATEROLE')
    try:
        await a_world.execute(f'ALTER DATABASE "{database}" OWNER TO "{name}"')
        await _own_roles(a_world, name)
        theirs = a_world.database_url.replace("postgres@", f"{name}@", 1)
        with pytest.raises(RuntimeError, match="CREATE EXTENSION vector"):
            await migrate(theirs, ["memory"])
        await a_world.execute("CREATE EXTENSION vector")
        assert await migrate(theirs, ["memory"]) == {"memory": "0001"}
    finally:
        await a_world.execute(f'ALTER DATABASE "{database}" OWNER TO CURRENT_USER')
        await a_world.execute(f'DROP OWNED BY "{name}" CASCADE; DROP ROLE "{name}"')


async def _own_roles(world: World, name: str) -> None:
    """As if it had made the service's role, which other databases of this server may have done before."""
    await world.execute(
        "DO $$ BEGIN CREATE ROLE omoi_memory NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    )
    await world.execute(f'GRANT omoi_memory TO "{name}" WITH ADMIN OPTION')
