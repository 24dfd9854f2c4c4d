"""The whole system as `omoi up` runs it: how soon it is ready, and what it takes while it is idle."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import asyncpg

from benchmarks.figures import Figure, at_most
from benchmarks.machine import cpu_seconds, own_cpu_seconds, rss_mb, watching
from benchmarks.rounds import ROOT
from benchmarks.stage import OMOI
from omoi.services import all_services
from shared.stack import running_stack

UP_SECONDS, IDLE_PERCENT, RSS_MB = 6, 3, 350
"""ARCHITECTURE.md, section 6."""
IDLE_SECONDS = 20
SETTLE_SECONDS = 5
PATIENCE_SECONDS = 120


async def whole(_: object) -> Sequence[Figure]:
    """Start `omoi up` twice, and look at it while it is idle."""
    with TemporaryDirectory(prefix="omoi-bench-") as folder, watching() as busy:
        home = Path(folder) / "home"
        async with _up(home) as (_, cold):
            pass
        async with _up(home) as (pid, warm):
            await asyncio.sleep(SETTLE_SECONDS)
            own, everything, start = own_cpu_seconds(pid), cpu_seconds(pid), perf_counter()
            await asyncio.sleep(IDLE_SECONDS)
            seconds = perf_counter() - start
            idle = 100 * (own_cpu_seconds(pid) - own) / seconds
            with_servers = 100 * (cpu_seconds(pid) - everything) / seconds
            memory = rss_mb(pid)
            connections = await _connections(home)
    services = f"{len(all_services())} services in one process"
    return [
        Figure("omoi up to ready, cold", cold, "s", note="makes cluster and schemas", others=busy.others),
        Figure("omoi up to ready, warm", warm, "s", at_most(UP_SECONDS), others=busy.others),
        Figure(
            "idle CPU of one core", idle, "%", at_most(IDLE_PERCENT),
            note=f"{services}; with Postgres and NATS {with_servers:.1f} %", others=busy.others,
        ),
        Figure("memory", memory, "MB", at_most(RSS_MB), note=services),
        Figure("connections to Postgres", connections, "", note=services),
    ]  # fmt: skip


@asynccontextmanager
async def _up(home: Path) -> AsyncIterator[tuple[int, float]]:
    """A running `omoi up`: its pid, and after how many seconds it was ready."""
    environment = os.environ | {"OMOI_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    for name in ("OMOI_DATABASE_URL", "OMOI_NATS_URL"):
        environment.pop(name, None)
    start = perf_counter()
    process = await asyncio.create_subprocess_exec(
        *OMOI, "up", cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (line := await process.stdout.readline()).startswith(b"Ready"):
                if not line:
                    raise RuntimeError(f"omoi up ended with {await process.wait()}")
        yield process.pid, perf_counter() - start
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _connections(home: Path) -> int:
    """Connections of clients, this one aside."""
    stack = running_stack(home)
    assert stack
    connection = await asyncpg.connect(stack.database_url)
    try:
        found: int = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
            " AND pid <> pg_backend_pid()"
        )
        return found
    finally:
        await connection.close()
