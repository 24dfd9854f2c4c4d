"""Durable timers: rows that become commands when their time has come."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import uuid5

import asyncpg
import structlog

from shared.kernel.decider import NAMESPACE
from shared.kernel.envelope import Envelope
from shared.kernel.store import Store

log = structlog.get_logger()

CLAIM_SECONDS = 30.0
"""How long another replica leaves a timer alone that this one has taken."""
CHUNK = 200
SLEEP_MAX_SECONDS = 1.0

Submit = Callable[[Envelope], Awaitable[None]]


class Timers:
    """Fires the timers of one service.

    A timer is consumed by the append that holds its command's decision. So it takes effect once however many
    replicas fire it, and not at all when it was moved in between.
    """

    def __init__(self, store: Store, submit: Submit) -> None:
        self._store = store
        self._submit = submit
        self._commands = {command.wire_name(): command for command in store.service.obeys}

    async def run(self) -> None:
        """Fire for ever."""
        while True:
            try:
                fired = await self._fire()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("timers_wait", service=self._store.service.name, error=repr(error))
                fired = 0
            if fired < CHUNK:
                await asyncio.sleep(await self._pause())

    async def _fire(self) -> int:
        async with self._store.pool.acquire() as connection:
            rows = await connection.fetch(
                "UPDATE timers SET claimed_until = clock_timestamp() + $2 * interval '1 second'"
                " WHERE key IN (SELECT key FROM timers"
                " WHERE due_at <= clock_timestamp() AND claimed_until < clock_timestamp()"
                " ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING key, due_at, command, body",
                CHUNK,
                CLAIM_SECONDS,
            )
        for row in sorted(rows, key=lambda row: row["due_at"]):
            try:
                envelope = self._envelope(row)
            except (KeyError, ValueError):  # another version's: it must not hold up the rest
                log.exception("timer_not_understood", service=self._store.service.name, key=row["key"])
                continue
            await self._submit(envelope)
        return len(rows)

    def _envelope(self, row: asyncpg.Record) -> Envelope:
        return Envelope(
            id=str(uuid5(NAMESPACE, f"{self._store.service.name}/{row['key']}/{row['due_at'].isoformat()}")),
            name=row["command"],
            command=self._commands[row["command"]].model_validate_json(row["body"]),
            actor=self._store.service.name,
            received_at=datetime.now(UTC),
            own=True,
            timer=(row["key"], row["due_at"]),
        )

    async def _pause(self) -> float:
        """Until the next timer is due, at most a second."""
        try:
            async with self._store.pool.acquire() as connection:
                due = await connection.fetchval(
                    "SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float8 FROM timers"
                    " WHERE claimed_until < clock_timestamp()"
                )
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return SLEEP_MAX_SECONDS
        return min(SLEEP_MAX_SECONDS, max(0.01, due)) if due is not None else SLEEP_MAX_SECONDS
