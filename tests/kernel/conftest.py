"""Worlds in which tills are installed, on the run's stack or on one that a test may break."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from shared.kernel.settings import Settings
from shared.stack import Stack
from shared.testing.world import World, world
from tests.kernel import book, ear, till


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> None:
    """Drawing frames around the variables of every planted fault takes seconds."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S.%f"),
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    """The run's servers; not under tmp_path, whose folder pytest closes whenever another run starts."""
    with tempfile.TemporaryDirectory(prefix="omoi-") as folder:
        async with await Stack.start(Path(folder) / ".omoi") as running:
            yield running


@pytest.fixture
async def tills(a_world: World) -> World:
    """A world with the schemas of the tests' services."""
    await install(a_world)
    return a_world


async def install(made: World) -> None:
    """Make the schemas of the tests' services, which look soon for what they may have missed."""
    made.settings = Settings(check_seconds=0.5, position_wait_seconds=2.0)
    await made.install(till.till, tables=[till.metadata])
    await made.install(ear.ear, book.book)


@pytest.fixture(autouse=True)
def sound() -> Iterator[None]:
    """No fault planted by one test is left for the next."""
    yield
    for broken in (ear.BROKEN, book.BROKEN):
        broken.clear()


@pytest.fixture
async def own_stack() -> AsyncIterator[Stack]:
    """Servers that the test may kill."""
    with tempfile.TemporaryDirectory(prefix="omoi-") as folder:
        async with await Stack.start(Path(folder) / ".omoi") as stack:
            yield stack


@pytest.fixture
async def frail(own_stack: Stack) -> AsyncIterator[World]:
    """Tills on servers that the test may kill."""
    async with world(own_stack.database_url, own_stack.nats_url()) as made:
        await install(made)
        yield made
