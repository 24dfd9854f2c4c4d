"""The peer DBOS: a durable workflow of one step, in a process of its own.

Callers are threads, which DBOS serves faster than coroutines (measured); its pool has the default size, its
tracing and its admin server are off.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
from dbos import DBOS

from benchmarks.rounds import Round, serve
from benchmarks.threads import closed_loop_of_threads

THREADS = 16
"""Callers beyond these would wait for them: 64 threads are slower, measured."""
DATABASE = "peer_dbos"


@DBOS.step()
def step(number: int) -> int:
    """What a command would do."""
    return number + 1


@DBOS.workflow()
def workflow(number: int) -> int:
    """One step that takes effect once."""
    return int(step(number))


@asynccontextmanager
async def _playing(setup: Mapping[str, Any]) -> AsyncIterator[Callable[..., Awaitable[Round]]]:
    with TemporaryDirectory(prefix="omoi-bench-") as folder:
        await _make_database(setup["database_url"], Path(folder))
        DBOS(
            config={
                "name": "benchmark",
                "system_database_url": f"postgresql://postgres@/{DATABASE}?host={setup['socket_folder']}",
                "log_level": "ERROR",
                "max_executor_threads": THREADS,
            }
        )
        await asyncio.to_thread(DBOS.launch)
    try:
        yield _play
    finally:
        await asyncio.to_thread(DBOS.destroy)


async def _play(seconds: float) -> Round:
    return await asyncio.to_thread(partial(closed_loop_of_threads, _run, THREADS, seconds))


def _run(_: int, number: int) -> None:
    workflow(number)


async def _make_database(database_url: str, folder: Path) -> None:
    """DBOS's first migration asks for an extension that it does not use and the embedded Postgres lacks."""
    extension = folder / "extension"
    extension.mkdir(mode=0o755)
    folder.chmod(0o755)
    extension.joinpath("uuid-ossp.control").write_text("default_version = '1.0'\n")
    extension.joinpath("uuid-ossp--1.0.sql").write_text("")
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"CREATE DATABASE {DATABASE}")
    await connection.execute(f"ALTER DATABASE {DATABASE} SET extension_control_path = '$system:{folder}'")
    await connection.close()


if __name__ == "__main__":
    serve(_playing)
