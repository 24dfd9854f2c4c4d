"""One stack for each worker of a run, and a world of its own for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings

from shared.testing.servers import Servers, servers
from shared.testing.world import World, world

# How long an example takes says nothing where two workers share the machine.
settings.register_profile("omoi", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("omoi")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--stack=containers` uses testcontainers, `--stack=external` OMOI_DATABASE_URL and OMOI_NATS_URL."""
    parser.addoption("--stack", choices=("embedded", "containers", "external"), default="embedded")


def pytest_configure(config: pytest.Config) -> None:
    """Workers may not share a broker: each test begins by emptying its streams."""
    if config.getoption("--stack") == "external" and config.getoption("numprocesses", None):
        raise pytest.UsageError("--stack=external names one broker, for one worker: run it with -n 0.")


LONG = ("system", "cluster", "worker", "security", "guardian")
"""Folders whose modules take minutes: begun last, one of them would keep a worker busy alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long; else the order stays."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)


@pytest.fixture(scope="session")
def own_folder() -> Iterator[Path]:
    """A folder for servers that run under another account.

    Not pytest's own: every pytest that starts closes that one to all but its user.
    """
    with TemporaryDirectory(prefix="omoi-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
async def stack(own_folder: Path, pytestconfig: pytest.Config) -> AsyncIterator[Servers]:
    """The run's Postgres and NATS; tests that kill servers start embedded ones of their own."""
    async with servers(pytestconfig.getoption("--stack"), own_folder) as running:
        yield running


@pytest.fixture
async def a_world(stack: Servers) -> AsyncIterator[World]:
    """A database and streams that only this test uses."""
    async with world(stack.database_url, stack.nats_url()) as made:
        yield made
