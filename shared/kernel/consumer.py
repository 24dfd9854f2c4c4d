"""A consumer hears every event of its sources once, in their order, whatever the broker does."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Protocol

import asyncpg
import nats.errors
import nats.js.errors
import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.kernel import wire
from shared.kernel.decider import NewerVersion, Unavailable
from shared.kernel.leases import Leases
from shared.kernel.metrics import Metrics
from shared.kernel.parking import Parking
from shared.kernel.pull import ConsumerGone, Pull, durable
from shared.kernel.received import Received, Unreadable, from_message

log = structlog.get_logger()

BATCH = 500
HISTORY_PAGE = 500
RETRY_SECONDS = 1.0
HISTORY_TIMEOUT = 5.0
ATTEMPTS = 3
"""Tries of an event that breaks the effect before it is parked."""

AWAY = (
    nats.errors.Error,
    nats.js.errors.Error,
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.LockNotAvailableError,
    Unavailable,
)


class Effect(Protocol):
    """What a consumer does with the events of its sources."""

    name: str
    sources: Sequence[str]

    async def prepare(self, events: Sequence[Received]) -> None:
        """Whatever must have happened before the marks are written, and may happen twice."""

    async def apply(self, connection: Any, events: Sequence[Received]) -> None:
        """Whatever commits together with the marks."""


class MarksMoved(Exception):
    """Another replica has taken the consumer over: its marks are further than ours."""


class Consumer:
    """Hears the sources of its effect for one service, under one lease.

    The high-water mark of each source is committed with the effect, so an event takes effect exactly once:
    what is at or below the mark is dropped, and what the broker skipped is asked of the source itself.
    """

    def __init__(
        self,
        *,
        service: str,
        pool: asyncpg.Pool,
        client: Client,
        leases: Leases,
        metrics: Metrics,
        effect: Effect,
        check_seconds: float,
    ) -> None:
        self.name = effect.name
        self._service = service
        self._sources = tuple(effect.sources)
        self._pool = pool
        self._client = client
        self._leases = leases
        self._metrics = metrics
        self._effect = effect
        self._check_seconds = check_seconds
        self._parking = Parking(pool, client, metrics, service, self.name)
        self._marks: dict[str, int] = {}
        self._pull: Pull | None = None
        self._progress = asyncio.Condition()
        self.failing: str | None = "has not started"
        self.seen_at = monotonic()

    def reset(self) -> None:
        """The connection is new: ask the broker again for messages."""
        if self._pull:
            self._pull.reset()

    async def run(self) -> None:
        """Consume for ever, while this process holds the consumer's lease."""
        while True:
            await self._leases.wait(self.name)
            try:
                await self._read_marks()
                await self._parking.load()
                async with Pull(self._client, wire.EVENTS_STREAM, self._config(), BATCH) as pull:
                    self._pull, self.failing = pull, None
                    while self._leases.holds(self.name):
                        await self._step(pull)
            except (ConsumerGone, MarksMoved, *AWAY) as error:
                self.failing = f"{self.name} cannot consume: {error!r}"
                log.warning("consumer_waits", service=self._service, consumer=self.name, error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)

    def _config(self) -> Any:
        nouns = tuple(noun for source in self._sources for noun in wire.nouns_of(source))
        return durable(f"{self._service}-{self.name}", wire.event_subjects(nouns))

    async def _step(self, pull: Pull) -> None:
        messages = await pull.next(self._check_seconds)
        self.seen_at = monotonic()
        if self._parking.wished():
            await self._unpark()
        if not messages:
            if lost := await pull.lost():
                raise ConsumerGone(lost)
            await self._audit()
            return
        events = await self._in_order(await self._readable(messages))
        await self._take(events)
        for message in messages:
            await message.ack()
        pending = messages[-1].metadata.num_pending
        self._metrics.consumer_lag.labels(self._service, self.name).set(pending)

    async def _readable(self, messages: Sequence[Msg]) -> list[Received]:
        events = []
        for message in messages:
            try:
                events.append(from_message(message.headers or {}, message.data))
            except Unreadable as unreadable:
                await self._parking.dead(message.subject, message.data, str(unreadable))
        return [event for event in events if event.source in self._sources]

    async def _in_order(self, events: Sequence[Received]) -> list[Received]:
        """Drop what was seen and fetch what was skipped."""
        marks = dict(self._marks)
        fresh: list[Received] = []
        for event in events:
            mark = marks.get(event.source, 0)
            if event.position <= mark:
                continue
            if event.previous > mark:
                fresh += await self._history(event.source, mark + 1, event.previous)
            fresh.append(event)
            marks[event.source] = event.position
        return fresh

    async def _history(self, source: str, first: int, last: int) -> list[Received]:
        """Events of a source by position, asked of the source."""
        log.warning(
            "gap_filled", service=self._service, consumer=self.name, source=source, first=first, last=last
        )
        events: list[Received] = []
        while first <= last:
            answer = await self._ask(source, "events", {"from": first, "to": last, "limit": HISTORY_PAGE})
            page = [Received(**event) for event in answer["events"]]
            if not page or page[0].position != first:
                raise Unavailable(
                    f"{source} does not have its event {first}: was its database restored to the past?"
                )
            events += page
            first = page[-1].position + 1
        self._metrics.gaps.labels(self._service, self.name).inc(len(events))
        return events

    async def _ask(self, source: str, query: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = await self._client.request(
            wire.query_subject(source, query), orjson.dumps(body), timeout=HISTORY_TIMEOUT
        )
        answer = orjson.loads(reply.data)
        if not answer["ok"]:
            raise Unavailable(f"{source} does not answer {query}: {answer['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def _audit(self) -> None:
        """Nothing came for a while: ask the sources whether there was nothing."""
        for source in self._sources:
            try:
                head = (await self._ask(source, "position", {}))["position"]
            except (nats.errors.NoRespondersError, TimeoutError):
                continue  # a source that is away has nothing new
            while (mark := self._marks.get(source, 0)) < head:
                await self._take(await self._history(source, mark + 1, min(head, mark + 10 * HISTORY_PAGE)))

    async def _take(self, events: Sequence[Received]) -> None:
        """Let events take effect, in order; those of a newer version are set aside for its replicas.

        What was missed for long comes all at once: in one piece it would outlast the lease.
        """
        begin = 0
        for index, event in enumerate(events):
            if event.newer or index - begin == BATCH:
                await self._effect_of(events[begin:index])
                begin = index
            if event.newer:
                await self._set_aside(event)
                begin = index + 1
        await self._effect_of(events[begin:])

    async def _set_aside(self, event: Received) -> None:
        """Park an event that only a newer version knows: its replicas take it up when they consume."""
        log.warning("event_of_newer_version", consumer=self.name, type=event.type, schema=event.schema)
        error = NewerVersion(f"{event.type} of schema {event.schema} waits for a replica of its version")
        first = bool(self._parking.split([event]))
        await self._commit([event], [], culprit=(event, error, 0) if first else None)
        self._metrics.parked.labels(self._service, self.name).set(self._parking.count)

    async def _effect_of(self, events: Sequence[Received]) -> None:
        if not events:
            return
        free = self._parking.split(events)
        try:
            await self._commit(events, free)
        except ValueError as error:  # asyncpg's InterfaceError for a value it cannot send is one, too
            await self._isolate(events, error)
        except (MarksMoved, *AWAY):
            raise
        except Exception as error:  # noqa: BLE001 - the event that caused it is found and parked
            await self._isolate(events, error)

    async def _isolate(self, events: Sequence[Received], error: Exception) -> None:
        """Halve a batch that breaks the effect until the culprit is alone, then park its key."""
        if len(events) > 1:
            middle = len(events) // 2
            await self._take(events[:middle])
            await self._take(events[middle:])
            return
        culprit = events[0]
        attempts = self._parking.failed(culprit.id)
        log.error(
            "event_broke",
            consumer=self.name,
            event_id=culprit.id,
            type=culprit.type,
            attempts=attempts,
            exc_info=error,
        )
        if attempts < ATTEMPTS:
            await asyncio.sleep(0.1 * 4**attempts)
            await self._take(events)
            return
        await self._parking.announce(culprit, error, attempts)
        await self._commit(events, [], culprit=(culprit, error, attempts))
        self._metrics.parked.labels(self._service, self.name).set(self._parking.count)

    async def _commit(
        self,
        events: Sequence[Received],
        free: Sequence[Received],
        culprit: tuple[Received, Exception, int] | None = None,
    ) -> None:
        await self._effect.prepare(free)
        async with self._pool.acquire() as connection, connection.transaction():
            await self._write_marks(connection, events)
            await self._effect.apply(connection, free)
            if culprit:
                await self._parking.park(connection, *culprit)
            else:
                await self._parking.queue(connection, [event for event in events if event not in free])
        for event in events:
            self._marks[event.source] = event.position
        self._parking.committed()
        age = datetime.now(UTC) - datetime.fromisoformat(events[-1].at)
        self._metrics.consumer_age.labels(self._service, self.name).set(age.total_seconds())
        async with self._progress:
            self._progress.notify_all()

    async def _write_marks(self, connection: Any, events: Sequence[Received]) -> None:
        """Move the marks, if they are still where we think they are."""
        ends = {event.source: event.position for event in events}
        moved = await connection.fetch(
            "INSERT INTO checkpoints AS c (consumer, source, position)"
            " SELECT $1, n.source, n.position"
            " FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS n (source, position, old)"
            " WHERE n.old = 0 OR EXISTS"
            " (SELECT FROM checkpoints x WHERE x.consumer = $1 AND x.source = n.source)"
            " ON CONFLICT (consumer, source) DO UPDATE SET position = excluded.position"
            " WHERE c.position = (SELECT o.old FROM unnest($2::text[], $4::bigint[]) AS o (source, old)"
            "                     WHERE o.source = excluded.source)"
            " RETURNING source",
            self.name,
            list(ends),
            list(ends.values()),
            [self._marks.get(source, 0) for source in ends],
        )
        if len(moved) != len(ends):
            raise MarksMoved(f"{self.name} is consumed by another replica")

    async def _read_marks(self) -> None:
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT source, position FROM checkpoints WHERE consumer = $1", self.name
            )
        self._marks = {row["source"]: row["position"] for row in rows}

    async def _unpark(self) -> None:
        """Carry out what a person decided about parked keys."""
        for key in await self._parking.due():
            for parked in await self._parking.waiting(key):
                if not await self._retry(parked):
                    break
        await self._parking.load()
        self._metrics.parked.labels(self._service, self.name).set(self._parking.count)

    async def _retry(self, parked: tuple[int, Received]) -> bool:
        number, event = parked
        if event.newer:
            return False
        try:
            await self._effect.prepare([event])
            async with self._pool.acquire() as connection, connection.transaction():
                if await self._parking.taken(connection, number):
                    await self._effect.apply(connection, [event])
        except ValueError as error:
            return await self._parked_again(number, event, error)
        except AWAY:
            raise
        except Exception as error:  # noqa: BLE001 - it stays parked, with its error
            return await self._parked_again(number, event, error)
        return True

    async def _parked_again(self, number: int, event: Received, error: Exception) -> bool:
        log.error("parked_event_broke_again", consumer=self.name, event_id=event.id, exc_info=error)
        await self._parking.failed_again(number, event.key, error)
        return False

    async def reached(self, marks: dict[str, int], seconds: float) -> bool:
        """Wait until every given source has been consumed up to its position; False when that takes longer.

        Reads the committed marks, so it also holds on a replica that does not consume itself.
        """
        deadline = monotonic() + seconds
        while True:
            if all(self._marks.get(source, 0) >= position for source, position in marks.items()):
                return True
            if not self._leases.holds(self.name):
                await self._read_marks()
            left = deadline - monotonic()
            if left <= 0:
                return False
            try:
                async with asyncio.timeout(min(left, 0.05)), self._progress:
                    await self._progress.wait()
            except TimeoutError:
                continue
