"""One embedded stack for the whole run, and a world of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.stack import Stack
from shared.testing.world import World, world


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """The run's Postgres and NATS."""
    home: Path = tmp_path_factory.mktemp("home")
    async with await Stack.start(home) as running:
        yield running


@pytest.fixture
async def a_world(stack: Stack) -> AsyncIterator[World]:
    """A database and streams that only this test uses."""
    async with world(stack.database_url, stack.nats_url()) as made:
        yield made
