"""One embedded stack for the whole run, and a world of its own for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from shared.stack import Stack
from shared.testing.world import World, world


@pytest.fixture(scope="session")
def own_folder() -> Iterator[Path]:
    """A folder for servers that run under another account.

    Not pytest's own: every pytest that starts closes that one to all but its user.
    """
    with TemporaryDirectory(prefix="omoi-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
async def stack(own_folder: Path) -> AsyncIterator[Stack]:
    """The run's Postgres and NATS."""
    async with await Stack.start(own_folder / "home") as running:
        yield running


@pytest.fixture
async def a_world(stack: Stack) -> AsyncIterator[World]:
    """A database and streams that only this test uses."""
    async with world(stack.database_url, stack.nats_url()) as made:
        yield made
