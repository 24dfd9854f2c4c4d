"""Group commit: whatever commands are waiting are decided and committed together."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import chain, count
from time import perf_counter
from typing import Any

import asyncpg
import structlog

from shared.kernel import tracing
from shared.kernel.decider import Lookup, NewerVersion
from shared.kernel.desk import Desk, Missing
from shared.kernel.draft import Draft, Wait
from shared.kernel.envelope import Answered, Broke, Deferred, Dropped, Envelope, Outcome
from shared.kernel.grants import Grants
from shared.kernel.metrics import Metrics
from shared.kernel.store import Appended, Held, Moved, Store, Stored

log = structlog.get_logger()

BATCH_CAP = 128
"""Most commands in one commit: more only lengthens the wait of the first."""
QUEUE_CAP = 10_000
CONFLICT_ROUNDS = 50
CACHED_STREAMS = 20_000
RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0)
"""Waits while the database is away; after the last one the sender is told `unavailable`."""

TRANSIENT = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.TransactionRollbackError,
    asyncpg.exceptions.LockNotAvailableError,
    asyncpg.exceptions.ReadOnlySQLTransactionError,
    asyncpg.exceptions.InternalClientError,
)
SHUTTING_DOWN = "The service is shutting down."

Find = Callable[[Lookup[Any]], Awaitable[Any]]


class Batcher:
    """Takes envelopes, decides them in arrival order, commits them together, then answers.

    Only one batch is in flight; the next one gathers meanwhile, so a batch is as large as the load asks for
    and no command waits for others to come.
    """

    def __init__(
        self,
        store: Store,
        find: Find,
        grants: Grants,
        metrics: Metrics,
        committed: Callable[[int], None],
    ) -> None:
        self._store = store
        self._find = find
        self._grants = grants
        self._metrics = metrics
        self._committed = committed
        self._queue: asyncio.Queue[Envelope] = asyncio.Queue(QUEUE_CAP)
        self._cache: OrderedDict[str, Held] = OrderedDict()
        self._waiting: dict[Envelope, tuple[asyncio.TimerHandle, Wait]] = {}
        self._names = {command.wire_name() for command in store.service.obeys}
        self._idle = asyncio.Event()
        self._idle.set()
        self._unanswered = 0
        self._changes = 0
        self._draining = False

    async def submit(self, envelope: Envelope) -> None:
        """Queue a command; its `answer` is called once it has an outcome. Waits while the queue is full."""
        name = f"{self._store.service.name}.{self._label(envelope)}"
        envelope.span, envelope.traceparent = tracing.begin(name, envelope.traceparent)
        self._unanswered += 1
        self._idle.clear()
        await self._queue.put(envelope)

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH_CAP and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            await self._serve(batch)

    async def drained(self) -> None:
        """Wait until every command is answered; those that wait for a change are sent away, now and later."""
        self._draining = True
        waiting = list(self._waiting)
        for handle, _ in self._waiting.values():
            handle.cancel()
        self._waiting.clear()
        await self._answer([(envelope, Deferred(SHUTTING_DOWN)) for envelope in waiting])
        await self._idle.wait()

    def stir(self) -> None:
        """Another replica changed something: let the waiting commands be decided again."""
        self._changes += 1
        self._wake(list(self._waiting))

    def _wake(self, envelopes: Sequence[Envelope]) -> None:
        for envelope in envelopes:
            handle, _ = self._waiting[envelope]
            handle.cancel()
            self._requeue(envelope)

    async def _serve(self, batch: list[Envelope]) -> None:
        leaders: dict[str, Envelope] = {}
        followers = [
            envelope for envelope in batch if leaders.setdefault(envelope.key, envelope) is not envelope
        ]
        try:
            outcomes = await self._process(list(leaders.values()))
        except Exception as error:
            log.exception("batch_broke", commands=len(batch))
            outcomes = [(envelope, Broke(error)) for envelope in leaders.values()]
        by_key = {envelope.key: outcome for envelope, outcome in outcomes}
        followed = [(follower, by_key[follower.key]) for follower in followers if follower.key in by_key]
        for follower in followers:
            if follower.key not in by_key:  # its leader waits, so it waits too
                self._requeue(follower)
        await self._answer([*outcomes, *followed])

    async def _answer(self, outcomes: Sequence[tuple[Envelope, Outcome]]) -> None:
        for envelope, outcome in outcomes:
            self._metrics.command(self._store.service.name, self._label(envelope), outcome)
            try:
                await envelope.answer(outcome)
            except Exception:  # one sender that cannot be reached must not silence the others
                log.exception("answer_not_sent", command_id=envelope.id, command=envelope.name)
            tracing.end(envelope.span, outcome)
            self._unanswered -= 1
        if not self._unanswered:
            self._idle.set()

    def _label(self, envelope: Envelope) -> str:
        """A sender may call a command what it likes; metrics may not grow with that."""
        return envelope.name if envelope.name in self._names else "unknown"

    async def _process(self, envelopes: list[Envelope]) -> list[tuple[Envelope, Outcome]]:
        """Outcomes of the commands; on an error that is not the database's absence the batch is halved."""
        for seconds in (*RETRY_SECONDS, None):
            try:
                return await self._commit(envelopes)
            except ValueError as error:  # asyncpg's InterfaceError for a value it cannot send is one, too
                self._cache.clear()
                return await self._halve(envelopes, error)
            except TRANSIENT as error:
                self._cache.clear()
                if seconds is None:
                    return [(e, Deferred("The database is away.")) for e in envelopes]
                log.warning("database_away", error=repr(error), retry_seconds=seconds)
                await asyncio.sleep(seconds)
            except NewerVersion as error:
                return await self._halve(envelopes, error)
            except Exception as error:  # noqa: BLE001 - whoever caused it is found and told
                self._cache.clear()
                return await self._halve(envelopes, error)
        raise AssertionError("the last round returns")

    async def _halve(self, envelopes: list[Envelope], error: Exception) -> list[tuple[Envelope, Outcome]]:
        """Narrow a batch that cannot be committed down to the culprit."""
        if len(envelopes) > 1:
            middle = len(envelopes) // 2
            return await self._process(envelopes[:middle]) + await self._process(envelopes[middle:])
        if isinstance(error, NewerVersion):
            return await self._answered_before(envelopes) or [(envelopes[0], Deferred(str(error)))]
        log.error("command_broke", command=envelopes[0].name, command_id=envelopes[0].id, exc_info=error)
        return [(envelopes[0], Broke(error))]

    async def _commit(self, envelopes: list[Envelope]) -> list[tuple[Envelope, Outcome]]:
        settled: list[tuple[Envelope, Outcome]] = []
        pending = envelopes
        for _ in range(CONFLICT_ROUNDS):
            if not pending:
                return settled
            changes = self._changes
            draft = await self._decide(pending)
            # The append finds those that were answered before; only what it does not get to see is asked for.
            known = await self._answered_before(draft.undecided())
            if not known:
                moved = await self._append(draft)
                if moved is None:
                    self._keep(draft, changes)
                    return settled + draft.outcomes
                known = await self._overtaken(pending, moved)
            settled += known
            done = {envelope for envelope, _ in known}
            pending = [envelope for envelope in pending if envelope not in done]
        return settled + [(e, Deferred("Too many others write to the same streams.")) for e in pending]

    async def _overtaken(self, envelopes: Sequence[Envelope], moved: Moved) -> list[tuple[Envelope, Outcome]]:
        """Outcomes of those that need no new decision: answered before, or a timer that is set no more."""
        self._metrics.conflicts.labels(self._store.service.name).inc()
        for stream in moved.streams:
            self._cache.pop(stream, None)
        dropped = [(e, Dropped()) for e in envelopes if e.timer and e.timer[0] in moved.timers]
        return [*dropped, *await self._answered_before([e for e in envelopes if e.key in moved.commands])]

    async def _answered_before(self, envelopes: Sequence[Envelope]) -> list[tuple[Envelope, Outcome]]:
        if not envelopes:
            return []
        stored = await self._store.answers([envelope.key for envelope in envelopes])
        return [(e, Answered(with_positions(stored[e.key]))) for e in envelopes if e.key in stored]

    async def _decide(self, envelopes: list[Envelope]) -> Draft:
        started = perf_counter()
        found: dict[Lookup[Any], Any] = {}
        desk = Desk(self._store, self._cache, found)
        draft = Draft(self._store, self._store.service.obeys, self._grants, desk, datetime.now(UTC))
        index = 0
        while index < len(envelopes):
            try:
                draft.decide(envelopes[index])
                index += 1
            except Missing as missing:
                more = [draft.probe(envelope) for envelope in envelopes[index + 1 :]]
                await self._load([missing, *(m for m in more if m)], found)
        if draft.endings:
            draft.recall(await self._store.named(list(chain.from_iterable(draft.endings.values()))))
        self._metrics.decide_seconds.labels(self._store.service.name).observe(perf_counter() - started)
        return draft

    async def _load(self, missing: Sequence[Missing], found: dict[Lookup[Any], Any]) -> None:
        streams = {m.stream for m in missing if m.stream}
        for lookup in {m.lookup for m in missing if m.lookup}:
            found[lookup] = answer = await self._find(lookup)
            if lookup.holds is not None:  # the rule will ask for each of them next
                held = {self._store.stream(lookup.holds, key) for key in answer}
                streams |= held - self._cache.keys()
        if streams:
            self._cache.update(await self._store.load(sorted(streams)))

    async def _append(self, draft: Draft) -> Moved | None:
        if not draft.batch.commands and not draft.batch.reads:
            return None
        started = perf_counter()
        outcome = await self._store.append(draft.batch)
        if isinstance(outcome, Moved):
            return outcome
        self._positions(draft, outcome)
        if not draft.batch.commands:
            return None
        name = self._store.service.name
        self._metrics.commit_seconds.labels(name).observe(perf_counter() - started)
        self._metrics.batch_size.labels(name).observe(len(draft.batch.commands))
        return None

    @staticmethod
    def _positions(draft: Draft, appended: Appended) -> None:
        first = appended.last_position - len(draft.batch.events) + 1
        for envelope, outcome in draft.outcomes:
            if isinstance(outcome, Answered) and outcome.answer["ok"]:
                number_events(outcome.answer["events"], first + draft.offsets[envelope.key])
        for envelope, wait in draft.waiting:
            number_events(wait.noted, first + draft.offsets[envelope.key])

    def _keep(self, draft: Draft, changes: int) -> None:
        for stream, held in draft.batch.streams.items():
            self._cache[stream] = held
            self._cache.move_to_end(stream)
        while len(self._cache) > CACHED_STREAMS:
            self._cache.popitem(last=False)
        for envelope, wait in draft.waiting:
            envelope.noted, envelope.seen = [*envelope.noted, *wait.noted], wait.seen or {}
            if self._draining:
                draft.outcomes.append((envelope, Deferred(SHUTTING_DOWN)))
            elif changes != self._changes:  # another replica's change came while this was decided without it
                self._requeue(envelope)
            else:
                self._wait(envelope, wait)
        if draft.batch.events:
            self._committed(len(draft.batch.events))
            changed = draft.batch.streams
            self._wake([e for e, (_, wait) in self._waiting.items() if wait.concerned_by(changed)])

    def _wait(self, envelope: Envelope, wait: Wait) -> None:
        seconds = max(0.0, (wait.until - datetime.now(UTC)).total_seconds())
        loop = asyncio.get_running_loop()
        self._waiting[envelope] = loop.call_later(seconds, self._requeue, envelope), wait

    def _requeue(self, envelope: Envelope) -> None:
        self._waiting.pop(envelope, None)
        try:
            self._queue.put_nowait(envelope)
        except asyncio.QueueFull:
            self._wait(envelope, Wait(datetime.now(UTC), {}))


def number_events(events: Sequence[dict[str, Any]], first_position: int) -> None:
    """Write the positions into a command's events, of which the first of its own has that one.

    Those that were committed before have theirs; one `before` it in its batch is so many places away.
    """
    own = count(first_position)
    for event in events:
        if "before" in event:
            event["position"] = first_position - event.pop("before")
        elif "position" not in event:
            event["position"] = next(own)


def with_positions(stored: Stored) -> dict[str, Any]:
    """A stored answer as it was first given."""
    if stored.answer["ok"]:
        number_events(stored.answer["events"], stored.first_position)
    return stored.answer
