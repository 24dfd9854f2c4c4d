"""How a service stands, read from its tables and the broker whenever Prometheus asks."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from shared.kernel.database import DATABASE_AWAY
from shared.kernel.durables import COMMANDS, durables_of
from shared.kernel.metrics import Metrics
from shared.kernel.store import Store

log = structlog.get_logger()

PATIENCE_SECONDS = 2.0
"""Whoever asks for the page waits: what is away by then is told as it was."""
AWAY = (*DATABASE_AWAY, NatsError)

TABLES = """
SELECT coalesce((SELECT max(position) FROM events), 0) - published AS unpublished,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - recorded_at)
                 FROM events WHERE position = published + 1), 0)::float8 AS unpublished_seconds,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - min(due_at))
                 FROM timers WHERE due_at < clock_timestamp()), 0)::float8 AS overdue_seconds
FROM (SELECT coalesce(max(position), 0) AS published
      FROM checkpoints WHERE consumer = 'relay' AND source = $1) AS relay
"""


class Vitals:
    """The gauges that are the same in every replica, whichever of them holds the leases."""

    def __init__(
        self, store: Store, client: Client, metrics: Metrics, problems: Callable[[], list[str]]
    ) -> None:
        self._service = store.service.name
        self._durables = durables_of(store.service)
        self._pool = store.pool
        self._client = client
        self._metrics = metrics
        self._problems = problems
        metrics.begin(self._service, self._durables, [command.wire_name() for command in store.service.obeys])

    async def read(self) -> None:
        """Set the gauges."""
        self._metrics.ready.labels(self._service).set(not self._problems())
        await asyncio.gather(self._patiently(self._read_tables()), self._patiently(self._read_broker()))

    async def _patiently(self, reading: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await reading
        except AWAY as error:
            log.warning("vitals_not_read", service=self._service, error=repr(error))

    async def _read_tables(self) -> None:
        async with self._pool.acquire() as connection:
            found = await connection.fetchrow(TABLES, self._service)
            assert found, "it has no condition"
            parked = await connection.fetch("SELECT consumer, count(*) AS n FROM parked GROUP BY consumer")
        self._metrics.relay_lag.labels(self._service).set(found["unpublished"])
        self._metrics.relay_age.labels(self._service).set(found["unpublished_seconds"])
        self._metrics.timers_overdue.labels(self._service).set(found["overdue_seconds"])
        waiting = dict.fromkeys(self._durables, 0) | {row["consumer"]: row["n"] for row in parked}
        for consumer, count in waiting.items():
            self._metrics.parked.labels(self._service, consumer).set(count)

    async def _read_broker(self) -> None:
        js = self._client.jetstream(timeout=PATIENCE_SECONDS)
        for reader, durable in self._durables.items():
            try:
                found = await js.consumer_info(durable.stream, durable.name)
            except NotFoundError:
                continue  # it is being made anew, and the service is not ready meanwhile
            waiting = (found.num_pending or 0) + (found.num_ack_pending or 0)
            self._metrics.consumer_lag.labels(self._service, reader).set(waiting)

    def is_lost(self) -> bool:
        """Whether only a new process can help, such as one that is told the new password of the broker."""
        return self._client.is_closed

    def lag(self) -> int:
        """Events that wait to be heard or published, as far as is known."""
        waiting = [self._metrics.relay_lag.labels(self._service)]
        waiting += [
            self._metrics.consumer_lag.labels(self._service, reader)
            for reader in self._durables
            if reader != COMMANDS
        ]
        return int(sum(gauge._value.get() for gauge in waiting))
