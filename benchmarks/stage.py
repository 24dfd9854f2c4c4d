"""Where the benchmarks run: an embedded stack of their own, and services as processes like `omoi serve`."""

import asyncio
import os
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import nats
from nats.aio.client import Client

from benchmarks.rounds import ROOT
from shared.kernel.servers import nats_servers
from shared.stack import Stack
from shared.testing.cluster import SIZE, NatsCluster

OMOI = (sys.executable, "-c", "from omoi.cli import main; main()")
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Stage:
    """Running servers with nothing in them but what the benchmarks put there."""

    stack: Stack
    cluster: NatsCluster | None = None
    """The broker, where it is not the stack's."""

    @property
    def database_url(self) -> str:
        """For the superuser."""
        return self.stack.database_url

    @property
    def nats_url(self) -> str:
        """For the operator."""
        return (self.cluster or self.stack).nats_url()

    @property
    def socket_folder(self) -> str:
        """What libpq calls the host of Postgres."""
        return self.database_url.rpartition("host=")[2]

    @asynccontextmanager
    async def database(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """A connection of the superuser."""
        connection = await asyncpg.connect(self.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def broker(self) -> AsyncIterator[Client]:
        """A connection of the operator."""
        client = await nats.connect(**nats_servers(self.nats_url)._asdict())
        try:
            yield client
        finally:
            await client.close()

    @asynccontextmanager
    async def serving(self, service: str) -> AsyncIterator["Serving"]:
        """`omoi serve SERVICE` in a process of its own; ready when the block begins."""
        port = _free_port()
        environment = os.environ | {
            "OMOI_DATABASE_URL": self.database_url,
            "OMOI_NATS_URL": self.nats_url,
            "OMOI_HTTP_PORT": str(port),
            "OMOI_LOG_LEVEL": "warning",
            "OMOI_REPLICAS": str(SIZE if self.cluster else 1),
        }
        process = await asyncio.create_subprocess_exec(*OMOI, "serve", service, cwd=ROOT, env=environment)
        try:
            serving = Serving(service, process.pid, port)
            async with asyncio.timeout(READY_SECONDS):
                while not await asyncio.to_thread(serving.is_ready):
                    if process.returncode is not None:
                        raise RuntimeError(f"omoi serve {service} ended with {process.returncode}")
                    await asyncio.sleep(0.05)
            yield serving
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


@dataclass(frozen=True)
class Serving:
    """A running service."""

    name: str
    pid: int
    port: int

    async def batches(self) -> tuple[float, float]:
        """How many commands it has committed so far, and in how many commits."""
        page = await asyncio.to_thread(self._metrics)
        return (
            page[f'omoi_batch_commands_sum{{service="{self.name}"}}'],
            page[f'omoi_batch_commands_count{{service="{self.name}"}}'],
        )

    async def conflicts(self) -> float:
        """How often it has decided again because a stream had moved."""
        page = await asyncio.to_thread(self._metrics)
        return page.get(f'omoi_append_conflicts_total{{service="{self.name}"}}', 0.0)

    def is_ready(self) -> bool:
        """Whether this process is, of all that serve the service."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz"):
                return True
        except OSError:
            return False

    def _metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as page:
            lines = page.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def stage(*, sync_always: bool = True) -> AsyncIterator[Stage]:
    """An empty stack; Postgres notes the time of each commit."""
    with TemporaryDirectory(prefix="omoi-bench-") as folder:
        home = Path(folder) / "home"
        async with await Stack.start(home) as stack:
            connection = await asyncpg.connect(stack.database_url)
            await connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
            await connection.close()
        async with await Stack.start(home, sync_always=sync_always) as stack:
            yield Stage(stack)
