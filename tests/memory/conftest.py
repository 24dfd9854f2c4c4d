"""A world with the memory service in it."""

from collections.abc import AsyncIterator

import pytest

from services.memory.service import memory
from shared.kernel.schema import migrate
from shared.testing.world import World


@pytest.fixture
async def empty(a_world: World) -> World:
    """A database with memory's schema, and no service."""
    await migrate(a_world.database_url, ["memory"])
    return a_world


@pytest.fixture
async def running(empty: World) -> AsyncIterator[World]:
    """The service with vectors by hashing."""
    async with empty.running(memory):
        yield empty
