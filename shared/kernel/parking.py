"""Messages that break their consumer are parked, and later ones of the same key wait behind them in order."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import asyncpg
import orjson
from nats.aio.client import Client

from shared.kernel import wire
from shared.kernel.metrics import Metrics
from shared.kernel.received import Received


class Parking:
    """The parked keys of one consumer."""

    def __init__(
        self, pool: asyncpg.Pool, client: Client, metrics: Metrics, service: str, consumer: str
    ) -> None:
        self._pool = pool
        self._client = client
        self._metrics = metrics
        self._service = service
        self._consumer = consumer
        self._keys: set[str] = set()
        self._entering: set[str] = set()
        self._failures: Counter[str] = Counter()
        self.count = 0

    async def load(self) -> None:
        """Which keys are parked."""
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT key, count(*) AS n FROM parked WHERE consumer = $1 GROUP BY key", self._consumer
            )
        self._keys = {row["key"] for row in rows}
        self._entering = set()  # of a transaction that did not come through
        self.count = sum(row["n"] for row in rows)

    def wished(self) -> bool:
        """Whether anything may have been decided; only then is the table asked."""
        return bool(self._keys)

    def split(self, events: Sequence[Received]) -> list[Received]:
        """The events whose key is free."""
        return [event for event in events if event.key not in self._keys]

    def failed(self, event_id: str) -> int:
        """Count one more failure of an event; returns how many there are."""
        self._failures[event_id] += 1
        return self._failures[event_id]

    async def announce(self, event: Received, error: Exception, attempts: int) -> None:
        """Put the event among the dead letters, where operators look."""
        await self._publish(event.id, orjson.dumps(event.as_json()), repr(error), attempts)

    async def dead(self, subject: str, body: bytes, error: str) -> None:
        """Keep a message that nobody can read."""
        await self._publish(f"{subject}/{hash(body)}", body, error, 1)

    async def _publish(self, message_id: str, body: bytes, error: str, attempts: int) -> None:
        await self._client.jetstream().publish(
            wire.dead_subject(self._service, self._consumer),
            body,
            headers={
                wire.MSG_ID: f"{self._consumer}/{message_id}/{attempts}",
                "omoi-error": error.replace("\n", " ")[:2000],
                "omoi-attempts": str(attempts),
            },
        )
        self._metrics.dead_letters.labels(self._service, self._consumer).inc()

    async def park(self, connection: Any, event: Received, error: Exception, attempts: int) -> None:
        """Park the event that broke; from now on its key waits."""
        self._entering.add(event.key)
        await self._insert(connection, event, repr(error), attempts)

    async def queue(self, connection: Any, events: Sequence[Received]) -> None:
        """Park events of keys that wait already."""
        for event in events:
            await self._insert(connection, event, "", 0)

    async def _insert(self, connection: Any, event: Received, error: str, attempts: int) -> None:
        await connection.execute(
            "INSERT INTO parked (consumer, key, source, position, message, error, attempts)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            self._consumer,
            event.key,
            event.source,
            event.position,
            event.as_json(),
            error,
            attempts,
        )
        self.count += 1

    def committed(self) -> None:
        """The transaction is through: what it parked is parked."""
        self._keys |= self._entering
        self._entering = set()

    async def due(self) -> list[str]:
        """Drop what a person wants dropped; returns the keys to be gone through again.

        Those a person wants retried, and those whose first event was never tried: its culprit is gone, or it
        waits for a replica of a newer version.
        """
        async with self._pool.acquire() as connection:
            await connection.execute(
                "DELETE FROM parked WHERE consumer = $1 AND wish = 'drop'", self._consumer
            )
            rows = await connection.fetch(
                "SELECT key FROM parked WHERE consumer = $1 GROUP BY key"
                " HAVING bool_or(wish = 'retry') OR (array_agg(attempts ORDER BY id))[1] = 0 ORDER BY key",
                self._consumer,
            )
        return [row["key"] for row in rows]

    async def waiting(self, key: str) -> list[tuple[int, Received]]:
        """The parked events of a key, in order."""
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT id, message FROM parked WHERE consumer = $1 AND key = $2 ORDER BY id",
                self._consumer,
                key,
            )
        return [(row["id"], Received(**row["message"])) for row in rows]

    async def taken(self, connection: Any, number: int) -> bool:
        """Take a parked event out; False when another replica did."""
        deleted: str = await connection.execute("DELETE FROM parked WHERE id = $1", number)
        return deleted == "DELETE 1"

    async def failed_again(self, number: int, key: str, error: Exception) -> None:
        """Note another failure of a parked event; its key waits for another decision."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "UPDATE parked SET wish = NULL WHERE consumer = $1 AND key = $2", self._consumer, key
            )
            await connection.execute(
                "UPDATE parked SET error = $2, attempts = attempts + 1 WHERE id = $1", number, repr(error)
            )
