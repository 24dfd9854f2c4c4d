"""A cluster for the tests that share one, and clusters that a test may take apart."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.kernel.settings import Settings
from shared.stack import Stack
from shared.testing.cluster import NatsCluster, nats_cluster
from shared.testing.servers import Servers
from shared.testing.world import World, world
from tests.kernel import book, ear, till

REPLICAS = 3


@pytest.fixture
async def cluster() -> AsyncIterator[NatsCluster]:
    """Three nodes that the test may kill."""
    with tempfile.TemporaryDirectory(prefix="omoi-") as folder:
        async with nats_cluster(Path(folder)) as running:
            yield running


@pytest.fixture
async def spread(cluster: NatsCluster, stack: Servers) -> AsyncIterator[World]:
    """A world whose broker is the cluster and whose database is the run's."""
    async with world(stack.database_url, cluster.nats_url()) as made:
        await install(made)
        yield made


@pytest.fixture
async def frail(cluster: NatsCluster, own_stack: Stack) -> AsyncIterator[World]:
    """The same with a Postgres that the test may kill."""
    async with world(own_stack.database_url, cluster.nats_url()) as made:
        await install(made)
        yield made


@pytest.fixture
async def own_stack() -> AsyncIterator[Stack]:
    """Servers that the test may kill."""
    with tempfile.TemporaryDirectory(prefix="omoi-") as folder:
        async with await Stack.start(Path(folder) / ".omoi") as stack:
            yield stack


async def install(made: World) -> None:
    """Make the schemas of tills, ear and book."""
    made.settings = Settings(replicas=REPLICAS, check_seconds=1.0)
    await made.install(till.till, tables=[till.metadata])
    await made.install(ear.ear, book.book)
