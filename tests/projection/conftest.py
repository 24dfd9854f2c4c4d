"""A world with the projection's schema, made by its migrations."""

from collections.abc import AsyncIterator

import pytest

from shared.kernel.database import open_pool
from shared.kernel.schema import migrate
from shared.testing.world import World
from tests.projection.records import Records


@pytest.fixture
async def records(a_world: World) -> AsyncIterator[Records]:
    """A projection that has heard nothing yet."""
    await migrate(a_world.database_url, ["projection"])
    async with await open_pool(a_world.database_url, "projection") as pool:
        yield Records(a_world, pool)
