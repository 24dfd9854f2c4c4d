"""The relay: what is committed in Postgres is published to the broker, in order, and stays there."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any
from uuid import uuid4

import asyncpg
import nats.errors
import nats.js.errors
import orjson
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import PubAck

from shared.kernel import wire
from shared.kernel.leases import Leases
from shared.kernel.metrics import Metrics
from shared.kernel.publishing import publish_all
from shared.kernel.store import Store

log = structlog.get_logger()

LEASE = "relay"
CHUNK = 500
"""Events read and published at a time; all are in flight together."""
POLL_SECONDS = 1.0
CHECK_SECONDS = 5.0
ACK_SECONDS = 5.0

BROKER_AWAY = (nats.errors.Error, nats.js.errors.Error, OSError, asyncio.TimeoutError)

Refilled = Callable[[int, int, str], Awaitable[None]]
"""Called with the position the broker still held, how many events it had lost, and why."""

Provision = Callable[[], Awaitable[None]]
"""Makes the streams that are missing."""


class StoreRewound(Exception):
    """The broker holds events that the database never wrote: the database was restored to the past."""


def event_headers(service: str, row: asyncpg.Record) -> dict[str, str]:
    """CloudEvents attributes and our own, of a row of the log."""
    meta = row["meta"]
    headers = {
        wire.MSG_ID: str(row["id"]),
        wire.CE_ID: str(row["id"]),
        wire.CE_TYPE: row["type"],
        wire.CE_SOURCE: wire.source_of(service),
        wire.CE_SUBJECT: row["key"],
        wire.CE_TIME: row["recorded_at"].isoformat(),
        wire.CE_SPECVERSION: "1.0",
        wire.CE_CORRELATION: meta["correlation"],
        wire.CE_CAUSATION: meta["command_id"],
        wire.CE_ACTOR: meta["actor"],
        wire.STREAM: row["stream"],
        wire.VERSION: str(row["version"]),
        wire.POSITION: str(row["position"]),
        wire.PREVIOUS: str(row["position"] - 1),
        wire.SCHEMA: str(row["schema"]),
        wire.CONTENT_TYPE: "application/json",
    }
    if meta.get("trigger"):
        headers[wire.TRIGGER] = meta["trigger"]
    if meta.get("traceparent"):
        headers[wire.TRACEPARENT] = meta["traceparent"]
    return headers


class Relay:
    """Publishes one service's log past its cursor; only the holder of the lease does.

    Postgres is the truth and the broker a copy that may be lost: every few seconds, at start and after a
    reconnect the last message the broker holds is compared with the cursor, and what is missing is published
    again. Consumers drop what they have seen by its position.
    """

    def __init__(
        self,
        store: Store,
        client: Client,
        leases: Leases,
        metrics: Metrics,
        refilled: Refilled,
        provision: Provision,
    ) -> None:
        self._store = store
        self._service = store.service.name
        self._client = client
        self._js: JetStreamContext = client.jetstream(
            publish_async_max_pending=2 * CHUNK, timeout=ACK_SECONDS
        )
        self._leases = leases
        self._metrics = metrics
        self._refilled = refilled
        self._provision = provision
        self._salt = ""
        self._signal = asyncio.Event()
        self._checked = 0.0
        self._cursor: int | None = None
        self._sequence = 0
        self.failing: str | None = None

    def wake(self) -> None:
        """There is something to publish."""
        self._signal.set()

    def recheck(self) -> None:
        """The connection was lost in between: look at the broker before going on."""
        self._cursor = None
        self._signal.set()

    async def run(self) -> None:
        """Publish for ever, while this process holds the lease."""
        while True:
            await self._leases.wait(LEASE)
            try:
                await self._round()
                self.failing = None
            except StoreRewound as rewound:
                await self._wait(str(rewound))
            except BROKER_AWAY as error:
                await self._wait(f"the relay cannot publish: {error!r}")
            except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                await self._wait(f"the relay cannot read the log: {error!r}")

    async def _wait(self, reason: str) -> None:
        self.failing = reason
        log.warning("relay_waits", service=self._service, reason=reason)
        self._cursor = None
        await asyncio.sleep(POLL_SECONDS)

    async def _round(self) -> None:
        if self._cursor is None or monotonic() - self._checked > CHECK_SECONDS:
            await self._check()
        published = await self._publish_next()
        if not published:
            await self._sleep()

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._signal.wait()
        except TimeoutError:
            return
        self._signal.clear()

    async def _publish_next(self) -> bool:
        self._signal.clear()
        assert self._cursor is not None, "checked first"
        rows = await self._store.events_between(self._cursor + 1, self._cursor + CHUNK, CHUNK)
        self._metrics.relay_lag.labels(self._service).set(len(rows))
        if not rows:
            return False
        acks = await self._publish(rows)
        self._sequence = max(ack.seq for ack in acks)
        await self._advance(rows[-1]["position"])
        return True

    async def _publish(self, rows: Sequence[Any]) -> list[PubAck]:
        messages = (
            (
                wire.event_subject(row["type"], row["key"]),
                orjson.dumps(row["data"]),
                event_headers(self._service, row) | {wire.MSG_ID: f"{row['id']}{self._salt}"},
            )
            for row in rows
        )
        return await publish_all(self._js, wire.EVENTS_STREAM, messages, ACK_SECONDS + len(rows) / 200)

    async def _advance(self, position: int) -> None:
        async with self._store.pool.acquire() as connection:
            await connection.execute(
                "INSERT INTO checkpoints (consumer, source, position) VALUES ($1, $2, $3), ($1, $4, $5)"
                " ON CONFLICT (consumer, source) DO UPDATE SET position = excluded.position",
                LEASE,
                self._service,
                position,
                "broker-sequence",
                self._sequence,
            )
        self._cursor = position

    async def _read_cursor(self) -> tuple[int, int]:
        async with self._store.pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT source, position FROM checkpoints WHERE consumer = $1", LEASE
            )
        marks = {row["source"]: row["position"] for row in rows}
        return marks.get(self._service, 0), marks.get("broker-sequence", 0)

    async def _check(self) -> None:
        """Compare what the broker really holds with what was published, and go back to what it still has."""
        await self._provision()
        cursor, sequence = await self._read_cursor()
        info = await self._js.stream_info(wire.EVENTS_STREAM)
        if self._cursor is None:
            await self._refuse_rewind()
        if cursor and not await self._holds(info.state.first_seq, info.state.last_seq, sequence, cursor):
            held = await self._last_held()
            if held < cursor:
                await self._refill(held, cursor)
                cursor = held
        self._cursor, self._sequence, self._checked = cursor, sequence, monotonic()

    async def _holds(self, first: int, last: int, sequence: int, position: int) -> bool:
        """Whether the message at `sequence` is ours at `position`, or has merely aged out of the stream."""
        if sequence > last:
            return False
        if sequence < first:
            return last >= first > 1  # the head was trimmed; an emptied or new stream is a loss
        try:
            message = await self._js.get_msg(wire.EVENTS_STREAM, seq=sequence)
        except nats.js.errors.NotFoundError:
            return False
        headers = message.headers or {}
        ours = headers.get(wire.CE_SOURCE) == wire.source_of(self._service)
        return ours and int(headers.get(wire.POSITION, 0)) >= position

    async def _refuse_rewind(self) -> None:
        held, head = await self._last_held(), await self._store.head()
        if held > head:
            raise StoreRewound(
                f"the broker holds {self._service}'s event {held}, its database ends at {head}: the database "
                f"was restored to the past. Purge the stream {wire.EVENTS_STREAM} to publish the log anew."
            )

    async def _last_held(self) -> int:
        """Position of the last event of this service's own nouns that the broker holds."""
        positions = [0]
        for noun in wire.nouns_of(self._service):
            try:
                message = await self._js.get_last_msg(wire.EVENTS_STREAM, wire.noun_subjects(noun))
            except nats.js.errors.NotFoundError:
                continue
            positions.append(int((message.headers or {}).get(wire.POSITION, 0)))
        return max(positions)

    async def _refill(self, held: int, cursor: int) -> None:
        lost = cursor - held
        self._salt = f":{uuid4()}"  # the broker may remember the ids of messages it no longer holds
        log.error("broker_lost_events", service=self._service, held=held, lost=lost)
        self._metrics.refills.labels(self._service).inc()
        await self._refilled(held, lost, "the broker does not hold what it had acknowledged")
