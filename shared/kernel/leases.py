"""Which replica does what only one may do at a time: rows with an epoch that must be renewed."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import asyncpg
import structlog

from shared.kernel.database import DATABASE_AWAY

log = structlog.get_logger()
LEASE_SECONDS = 6.0
RENEW_SECONDS = 2.0


class Leases:
    """The leases of one service that this process holds.

    A lease is a hint about who works, not a proof: whatever the holder writes is checked again by the
    compare-and-set of its own checkpoint.
    """

    def __init__(self, pool: asyncpg.Pool, names: list[str]) -> None:
        self._pool = pool
        self._names = sorted(names)
        self._holder = str(uuid4())
        self._held: dict[str, asyncio.Event] = {name: asyncio.Event() for name in names}
        self.epochs: dict[str, int] = {}

    async def wait(self, name: str) -> None:
        """Return once this process holds the lease."""
        await self._held[name].wait()

    def holds(self, name: str) -> bool:
        """Whether this process held the lease when it last looked."""
        return self._held[name].is_set()

    async def run(self, alive: Callable[[], None] = lambda: None) -> None:
        """Renew what is held and take what is free, for ever."""
        while True:
            try:
                await self._renew()
                alive()
            except DATABASE_AWAY as error:
                log.warning("leases_not_renewed", error=repr(error))
                self._settle({})
            await asyncio.sleep(RENEW_SECONDS)

    async def _renew(self) -> None:
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(
                "INSERT INTO leases AS l (name, holder, epoch, expires_at)"
                " SELECT name, $2, 1, clock_timestamp() + $3 * interval '1 second'"
                " FROM unnest($1::text[]) AS n (name)"
                " ORDER BY name"
                " ON CONFLICT (name) DO UPDATE SET holder = $2, expires_at = excluded.expires_at,"
                " epoch = CASE WHEN l.holder = $2 THEN l.epoch ELSE l.epoch + 1 END"
                " WHERE l.holder = $2 OR l.expires_at < clock_timestamp() RETURNING name, epoch",
                self._names,
                self._holder,
                LEASE_SECONDS,
            )
        self._settle({row["name"]: row["epoch"] for row in rows})

    def _settle(self, epochs: dict[str, int]) -> None:
        self.epochs = epochs
        for name, held in self._held.items():
            if name in epochs:
                held.set()
            else:
                held.clear()

    async def release(self) -> None:
        """Let another replica take over at once."""
        self._settle({})
        async with self._pool.acquire() as connection:
            await connection.execute(
                "UPDATE leases SET expires_at = '-infinity' WHERE holder = $1", self._holder
            )
