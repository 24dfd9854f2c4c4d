"""A NATS cluster of three nodes on this machine, each of which a test may kill and start again."""

import secrets
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext

from shared.kernel.streams import BROKER_AWAY
from shared.stack import OPERATOR, NatsUser
from shared.stack.binaries import nats_server
from shared.stack.child import Child
from shared.stack.nats import FIRST_PORT, LAST_PORT
from shared.stack.nats_config import Cluster, nats_config
from shared.testing.world import STREAMS, until

SIZE = 3
PASSWORD = "cluster"  # noqa: S105 - of servers that live as long as a test
READY_SECONDS = 60.0


@dataclass
class Node:
    """One server of the cluster; `child` is its process, dead or alive."""

    name: str
    port: int
    route_port: int
    child: Child | None = None

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"127.0.0.1:{self.port}"

    async def kill(self) -> None:
        """End it at once."""
        assert self.child
        await self.child.kill()


class NatsCluster:
    """Running nodes. `async with nats_cluster(folder) as cluster`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ports = free_ports(2 * SIZE)
        self.nodes = [Node(f"n{number}", ports[number], ports[SIZE + number]) for number in range(SIZE)]

    def nats_url(self, user: str = OPERATOR) -> str:
        """All nodes, for `OMOI_NATS_URL`."""
        return ",".join(f"nats://{user}:{PASSWORD}@{node.address}" for node in self.nodes)

    async def start(self, node: Node) -> None:
        """Start a node, for the first time or again, and return when it takes clients."""
        config = self._folder / f"{node.name}.conf"
        config.write_text(self._config(node))
        node.child = Child(
            node.name,
            [str(nats_server()), "--config", str(config)],
            log_file=self._folder / f"{node.name}.log",
            account=None,
            stop_signal=signal.SIGTERM,
        )

        async def takes_clients() -> bool:
            with closing(socket.socket()) as probe:
                return probe.connect_ex(("127.0.0.1", node.port)) == 0

        await node.child.until_ready(takes_clients)

    def _config(self, node: Node) -> str:
        return nats_config(
            [NatsUser(OPERATOR)],
            {OPERATOR: PASSWORD},
            listen=node.address,
            store=str(self._folder / node.name),
            server_name=node.name,
            cluster=Cluster(
                name="tests",
                password=PASSWORD,
                listen=f"127.0.0.1:{node.route_port}",
                routes=tuple(f"127.0.0.1:{other.route_port}" for other in self.nodes if other is not node),
            ),
        )

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        """A connection to whichever node is there."""
        servers = [f"nats://{node.address}" for node in self.nodes]
        client = await nats.connect(servers, user=OPERATOR, password=PASSWORD, max_reconnect_attempts=-1)
        try:
            yield client
        finally:
            await client.close()

    async def leader_of(self, stream: str) -> Node:
        """The node that leads a stream, once one does."""
        async with self.connected() as client:
            name = await until(lambda: _leader(client.jetstream(timeout=1), stream), READY_SECONDS, 0.1)
        return next(node for node in self.nodes if node.name == name)

    async def whole(self) -> None:
        """Wait until every node has all of our streams."""
        async with self.connected() as client:
            await until(lambda: _is_whole(client.jetstream(timeout=1)), READY_SECONDS, 0.2)

    async def stop(self) -> None:
        """Stop every node that runs."""
        for node in self.nodes:
            if node.child and node.child.code is None:
                await node.child.kill()


@asynccontextmanager
async def nats_cluster(folder: Path) -> AsyncIterator[NatsCluster]:
    """Three nodes that have chosen who leads them."""
    cluster = NatsCluster(folder)
    try:
        for node in cluster.nodes:
            await cluster.start(node)
        async with cluster.connected() as client:
            await until(lambda: _is_led(client.jetstream(timeout=1)), READY_SECONDS, 0.2)
        yield cluster
    finally:
        await cluster.stop()


async def _is_led(js: JetStreamContext) -> bool:
    try:
        await js.account_info()
    except BROKER_AWAY:
        return False
    return True


async def _leader(js: JetStreamContext, stream: str) -> str | None:
    try:
        info = await js.stream_info(stream)
    except BROKER_AWAY:
        return None
    return info.cluster.leader if info.cluster else None


async def _is_whole(js: JetStreamContext) -> bool:
    try:
        found = [(await js.stream_info(stream)).cluster for stream in STREAMS]
    except BROKER_AWAY:
        return False
    return all(
        cluster is not None
        and len(cluster.replicas or []) == SIZE - 1
        and all(peer.current and not peer.offline for peer in cluster.replicas or [])
        for cluster in found
    )


def free_ports(count: int) -> list[int]:
    """Ports that are free now, outside the range in which clients get theirs."""
    found: set[int] = set()
    while len(found) < count:
        port = secrets.randbelow(LAST_PORT - FIRST_PORT) + FIRST_PORT
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.add(port)
    return sorted(found)
