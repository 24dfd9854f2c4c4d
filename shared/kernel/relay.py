"""The relay: what is committed in Postgres is published to the broker, in order, and stays there."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, NamedTuple
from uuid import uuid4

import asyncpg
import nats.js.errors
import orjson
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig, StreamInfo

from shared.kernel import wire
from shared.kernel.leases import Leases
from shared.kernel.metrics import Metrics
from shared.kernel.publishing import publish_all, publish_atomically
from shared.kernel.store import Store
from shared.kernel.streams import BROKER_AWAY
from shared.kernel.waking import pinged

log = structlog.get_logger()

LEASE = "relay"
SEQUENCE, CREATED, FIRST = "broker-sequence", "broker-created", "broker-first"
"""Marks beside the cursor: its place in the stream, when the stream was made, where the stream begins."""
CHUNK = 500
"""Events read and published at a time; all are in flight together."""
ATOMIC_FROM = 30
"""An atomic batch costs four syncs of the disk however large it is, a message on its own costs one."""
POLL_SECONDS = 1.0
ACK_SECONDS = 5.0

Refilled = Callable[[int, int, str], Awaitable[None]]
"""Called with the position the broker still held, how many events it had lost, and why."""

Provision = Callable[[], Awaitable[None]]
"""Makes the streams that are missing."""


class StoreRewound(Exception):
    """The broker holds events that the database never wrote: the database was restored to the past."""


class StreamRewound(Exception):
    """The broker puts new messages where it had put others before: it has lost those."""


class Held(NamedTuple):
    """An event that the broker holds: its position in the log, its sequence in the stream, its id."""

    position: int
    sequence: int
    id: str = ""


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
        *,
        check_seconds: float,
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
        self._check_seconds = check_seconds
        self._salt = ""
        self._signal = asyncio.Event()
        self._checked = 0.0
        self._look = True
        self._cursor = 0
        self._sequence = 0
        self.failing: str | None = None

    def wake(self) -> None:
        """There is something to publish."""
        self._signal.set()

    def recheck(self) -> None:
        """The connection was lost in between: look at the broker before going on."""
        self._look = True
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
        self._look = True
        await asyncio.sleep(POLL_SECONDS)

    async def _round(self) -> None:
        if self._look or monotonic() - self._checked > self._check_seconds:
            thorough, self._look = self._look, False
            await self._check(thorough=thorough)
        published = await self._publish_next()
        if not published:
            await self._sleep()

    async def _sleep(self) -> None:
        if await pinged(self._signal, POLL_SECONDS):
            self._signal.clear()

    async def _publish_next(self) -> bool:
        self._signal.clear()
        rows = await self._store.events_between(self._cursor + 1, self._cursor + CHUNK, CHUNK)
        self._metrics.relay_lag.labels(self._service).set(len(rows))
        if not rows:
            return False
        try:
            await self._advance(rows[-1]["position"], await self._publish(rows))
        except StreamRewound as rewound:
            await self._refill(Held(0, 0), rows[-1]["position"], str(rewound))
        return True

    async def _publish(self, rows: Sequence[Any]) -> int:
        """Publish rows of the log; returns the place of the last one in the stream."""
        messages = [
            (
                wire.event_subject(row["type"], row["key"]),
                orjson.dumps(row["data"]),
                event_headers(self._service, row) | {wire.MSG_ID: f"{row['id']}{self._salt}"},
            )
            for row in rows
        ]
        if len(messages) >= ATOMIC_FROM:
            sequence = await publish_atomically(self._client, messages, ACK_SECONDS)
            if sequence is not None:
                return self._onward(sequence)
        acks = await publish_all(self._js, wire.EVENTS_STREAM, messages, ACK_SECONDS + len(rows) / 200)
        for ack in acks:
            if not ack.duplicate:
                self._onward(ack.seq)
        # Not the highest: while the broker changed leaders, an earlier event may have come after a later one.
        return acks[-1].seq

    def _onward(self, sequence: int) -> int:
        """The place of a message just published; it must lie behind everything published before."""
        if sequence <= self._sequence:
            raise StreamRewound(f"the stream was at {self._sequence} and took a message at {sequence}")
        return sequence

    async def _advance(self, position: int, sequence: int) -> None:
        await self._note({self._service: position, SEQUENCE: sequence})
        self._cursor, self._sequence = position, sequence

    async def _note(self, marks: dict[str, int]) -> None:
        async with self._store.pool.acquire() as connection:
            await connection.execute(
                "INSERT INTO checkpoints (consumer, source, position)"
                " SELECT $1, source, position FROM unnest($2::text[], $3::bigint[]) AS n (source, position)"
                " ON CONFLICT (consumer, source) DO UPDATE SET position = excluded.position",
                LEASE,
                list(marks),
                list(marks.values()),
            )

    async def _marks(self) -> dict[str, int]:
        async with self._store.pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT source, position FROM checkpoints WHERE consumer = $1", LEASE
            )
        return {row["source"]: row["position"] for row in rows}

    async def _check(self, *, thorough: bool) -> None:
        """Compare what the broker really holds with what was published, and go back to what it still has."""
        await self._provision()
        info = await self._js.stream_info(wire.EVENTS_STREAM)
        if thorough:
            await self._refuse_rewind()
        marks = await self._marks()
        assert info.created, "the server says so of every stream"
        first = max(1, info.state.first_seq)  # 0 in a stream that has never held a message
        stream = {CREATED: int(info.created.timestamp() * 1_000_000), FIRST: first}
        loss = await self._loss(info, marks, stream) if marks.get(self._service) else None
        if loss:
            await self._refill(*loss)
        else:
            self._cursor, self._sequence = marks.get(self._service, 0), marks.get(SEQUENCE, 0)
        if any(marks.get(name) != value for name, value in stream.items()):
            await self._note(stream)
        self._checked = monotonic()

    async def _loss(
        self, info: StreamInfo, marks: dict[str, int], stream: dict[str, int]
    ) -> tuple[Held, int, str] | None:
        """The last event surely held, the cursor, and what happened; None when nothing was lost."""
        cursor = marks[self._service]
        if marks.get(CREATED, stream[CREATED]) != stream[CREATED]:
            return Held(0, 0), cursor, "the stream was made anew"
        if not _is_limited(info.config) and marks.get(FIRST, stream[FIRST]) < stream[FIRST]:
            return Held(0, 0), cursor, "messages were purged"
        if await self._holds(info, marks.get(SEQUENCE, 0), cursor):
            return None
        held = await self._last_held()
        if held.position >= cursor:  # what came after the loss was published on top of it
            held = Held(0, 0)
        return held, cursor, "the broker does not hold what it had acknowledged"

    async def _holds(self, info: StreamInfo, sequence: int, position: int) -> bool:
        """Whether the message at `sequence` is ours at `position`, or aged out of the stream as it should."""
        if sequence > info.state.last_seq:
            return False
        if sequence < info.state.first_seq:
            return _is_limited(info.config)
        try:
            message = await self._js.get_msg(wire.EVENTS_STREAM, seq=sequence)
        except nats.js.errors.NotFoundError:
            return False
        headers = message.headers or {}
        ours = headers.get(wire.CE_SOURCE) == wire.source_of(self._service)
        return ours and int(headers.get(wire.POSITION, 0)) >= position

    async def _refuse_rewind(self) -> None:
        held = await self._last_held()
        written = await self._store.events_between(held.position, held.position)
        # Not only beyond the end: what is committed after a restore takes the same positions again.
        if held.position and [str(row["id"]) for row in written] != [held.id]:
            raise StoreRewound(
                f"the broker holds an event {held.position} that {self._service} has not committed: the "
                "database was restored to the past. "
                f"Purge the stream {wire.EVENTS_STREAM} to publish the log anew."
            )

    async def _last_held(self) -> Held:
        """The last event of this service's own nouns that the broker holds."""
        held = Held(0, 0)
        for noun in wire.nouns_of(self._service):
            try:
                message = await self._js.get_last_msg(wire.EVENTS_STREAM, wire.noun_subjects(noun))
            except nats.js.errors.NotFoundError:
                continue
            headers = message.headers or {}
            # Who may read the stream can have the broker copy an event of another service to any subject.
            if headers.get(wire.CE_SOURCE) == wire.source_of(self._service):
                position = int(headers.get(wire.POSITION, 0))
                held = max(held, Held(position, message.seq or 0, headers.get(wire.CE_ID, "")))
        return held

    async def _refill(self, held: Held, cursor: int, reason: str) -> None:
        """Go back to the last event that the broker surely holds, and publish from there again."""
        lost = cursor - held.position
        self._salt = f":{uuid4()}"  # the broker may remember the ids of messages it no longer holds
        log.error("broker_lost_events", service=self._service, held=held.position, lost=lost, reason=reason)
        self._metrics.refills.labels(self._service).inc()
        await self._refilled(held.position, lost, reason)
        await self._advance(held.position, held.sequence)


def _is_limited(config: StreamConfig) -> bool:
    """Whether the stream may drop its oldest messages by itself."""
    return any(limit and limit > 0 for limit in (config.max_age, config.max_msgs, config.max_bytes))
