"""Faults planted on purpose."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from shared.kernel.runtime import Runtime
from shared.kernel.store import Appended, Batch, Moved
from shared.testing.world import World, until


@asynccontextmanager
async def locked(world: World) -> AsyncIterator[None]:
    """Nobody appends meanwhile: the test holds the lock of the tills' log."""
    connection = await asyncpg.connect(world.database_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('omoios/' || 'till', 0))")
            yield
    finally:
        await connection.close()


async def queued(replica: Runtime, count: int) -> None:
    """Wait until that many commands stand in the replica's queue."""

    async def enough() -> bool:
        return replica._batcher._queue.qsize() >= count

    await until(enough, 30)


async def as_one_batch(world: World, replica: Runtime, asks: list[Any]) -> list[dict[str, Any]]:
    """Answers of commands that are committed together, behind one that waits for the lock."""
    async with locked(world):
        first = asyncio.create_task(world.ask("till.open_till", {"till_id": "in-front"}, seconds=60))
        await until(lambda: waits_for_the_lock(world), 30)
        rest = [asyncio.create_task(ask) for ask in asks]
        await queued(replica, len(asks))
    await first
    answers: list[dict[str, Any]] = await asyncio.gather(*rest)
    return answers


async def waits_for_the_lock(world: World) -> bool:
    """Whether an append stands behind the lock."""
    return bool(
        await world.fetch(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"
        )
    )


async def alter_append(world: World, old: str, new: str) -> None:
    """Plant a fault in the function that appends."""
    [row] = await world.fetch("SELECT pg_get_functiondef('till.append'::regproc) AS source")
    assert old in row["source"]
    await world.execute(row["source"].replace(old, new))


def around_append(
    replica: Runtime,
    before: Callable[[Batch], None] | None = None,
    after: Callable[[Batch], None] | None = None,
) -> None:
    """Run something before or after each append of a replica; it may raise."""
    append = replica._store.append

    async def altered(batch: Batch) -> Appended | Moved:
        if before:
            before(batch)
        outcome = await append(batch)
        if after:
            after(batch)
        return outcome

    replica._store.append = altered  # type: ignore[method-assign]


class Once:
    """Raises an error the first `times` times it is called."""

    def __init__(self, error: Exception, times: int = 1) -> None:
        self._error = error
        self.left = times

    def __call__(self, _: Batch) -> None:
        if self.left:
            self.left -= 1
            raise self._error
