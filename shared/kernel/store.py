"""The event store of one service: its log, its stream states and its answers, over asyncpg."""

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import orjson
from pydantic import TypeAdapter
from sqlalchemy import Table
from uuid_utils import uuid7

from shared.contracts.messages import Event
from shared.kernel.decider import Aggregate
from shared.kernel.declaration import Service
from shared.kernel.reading import Recorded
from shared.kernel.rows import Row, delete, encoded, upsert
from shared.kernel.wire import read_event

S = TypeVar("S")
APPEND_WIDTH = 24
APPEND_PARAMETERS = ", ".join(f"${number}" for number in range(1, APPEND_WIDTH + 1))
"""Of the function `append` in schema.sql."""
NAMED = ("type", "stream", "version", "position")
"""How an answer names an event."""
APPENDED = "(SELECT last_position FROM appended) IS NOT NULL"

IndexChange = tuple[Callable[..., str], Table]
"""`upsert` or `delete`, and the table of the index."""


@dataclass(frozen=True)
class Held:
    """A stream as far as it is known: its version and its state."""

    version: int
    state: Any


@dataclass(frozen=True)
class Span:
    """The events of a stream behind one version, up to another."""

    stream: str
    behind: int
    upto: int


@dataclass(frozen=True)
class Stored:
    """The stored answer of a command, and where its events begin."""

    answer: dict[str, Any]
    first_position: int


@dataclass
class Batch:
    """What one append writes and what must still be true when it does; lists of columns, row by row."""

    reads: dict[str, int] = field(default_factory=dict)
    commands: list[tuple[str, str, int]] = field(default_factory=list)
    fired: list[tuple[str, datetime]] = field(default_factory=list)
    streams: dict[str, Held] = field(default_factory=dict)
    events: list[tuple[str, int, str, str, int, str, str, str]] = field(default_factory=list)
    timers: dict[str, tuple[datetime, str, str] | None] = field(default_factory=dict)
    """Key -> due time, command and body of a timer that is set; None cancels."""


@dataclass(frozen=True)
class Appended:
    """The batch is committed; its last event has this position."""

    last_position: int


@dataclass(frozen=True)
class Moved:
    """Nothing was written: these streams, commands or timers are not what the batch took them to be."""

    streams: tuple[str, ...]
    commands: tuple[str, ...]
    timers: tuple[str, ...]


def fold_hash(aggregate: Aggregate[Any]) -> str:
    """Names the code that folds an aggregate: its service's modules and the contracts of its events.

    A stored state made by other code is not trusted; it is folded again from the events.
    """
    digest = hashlib.sha256()
    folder = Path(inspect.getfile(inspect.unwrap(aggregate.evolve))).parent
    contracts = {Path(inspect.getfile(event)) for event in aggregate.events}
    for path in sorted({*folder.glob("*.py"), *contracts}):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class Store:
    """Reads and appends within one service's schema; the pool's connections have it as search_path."""

    def __init__(self, service: Service, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.service = service
        self.by_state = {aggregate.state: aggregate for aggregate in service.aggregates}
        self.by_event = {event: aggregate for aggregate in service.aggregates for event in aggregate.events}
        self._by_name = {aggregate.name: aggregate for aggregate in service.aggregates}
        self._adapters = {a.name: TypeAdapter(a.state) for a in service.aggregates}
        self._folds = {a.name: fold_hash(a) for a in service.aggregates}

    def stream(self, state: type[Any], key: str) -> str:
        """Name of the stream that holds `key`'s `state`."""
        return self.by_state[state].stream(key)

    def dump(self, stream: str, state: Any) -> str:
        """A state as JSON."""
        return self._adapters[stream.partition("-")[0]].dump_json(state).decode()

    async def load(self, streams: Sequence[str]) -> dict[str, Held]:
        """Versions and states of streams; those to which nothing has happened are at version 0."""
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT id, version, state, fold FROM streams WHERE id = ANY ($1)", streams
            )
        held = {row["id"]: await self._held(row) for row in rows}
        return {s: held.get(s) or Held(0, self._aggregate(s).state()) for s in streams}

    def _aggregate(self, stream: str) -> Aggregate[Any]:
        return self._by_name[stream.partition("-")[0]]

    async def _held(self, row: asyncpg.Record) -> Held:
        name = row["id"].partition("-")[0]
        if row["fold"] == self._folds[name]:
            return Held(row["version"], self._adapters[name].validate_json(row["state"]))
        return self.fold(row["id"], await self.events_of(row["id"]))

    def fold(self, stream: str, events: Sequence[Recorded]) -> Held:
        """State of a stream from its whole history."""
        aggregate = self._aggregate(stream)
        state = aggregate.state()
        for recorded in events:
            state = aggregate.evolve(state, recorded.event)
        return Held(events[-1].version if events else 0, state)

    async def answers(self, command_ids: Sequence[str]) -> dict[str, Stored]:
        """Stored answers of commands that were decided before."""
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT id, answer, first_position FROM commands WHERE id = ANY ($1)", command_ids
            )
        return {row["id"]: Stored(orjson.loads(row["answer"]), row["first_position"]) for row in rows}

    async def append(self, batch: Batch) -> Appended | Moved:
        """Commit a batch with the index rows it changes, or nothing of it when something it read has moved.

        It is one statement, so it costs one round trip and holds the schema's lock no longer than that.
        """
        streams = list(batch.streams.items())
        set_timers = [(key, *timer) for key, timer in batch.timers.items() if timer]
        changes = self._index_changes(batch)
        async with self.pool.acquire() as connection:
            [row] = await connection.fetch(
                appending([change for change, _ in changes]),
                list(batch.reads),
                list(batch.reads.values()),
                *_columns(batch.commands, 3),
                *_columns(batch.fired, 2),
                [stream for stream, _ in streams],
                [held.version for _, held in streams],
                [self.dump(stream, held.state) for stream, held in streams],
                [self._folds[stream.partition("-")[0]] for stream, _ in streams],
                *_columns(batch.events, 8),
                *_columns(set_timers, 4),
                [key for key, timer in batch.timers.items() if timer is None],
                *(value for _, value in changes),
            )
        if row["last_position"] is None:
            return Moved(tuple(row["moved"]), tuple(row["known"]), tuple(row["late"]))
        return Appended(row["last_position"])

    def _index_changes(self, batch: Batch) -> list[tuple[IndexChange, str | list[str]]]:
        """What to do to the indexes, each with its parameter."""
        changes: list[tuple[IndexChange, str | list[str]]] = []
        for index in self.service.indexes:
            name = self.by_state[index.state].name
            found = {
                stream.partition("-")[2]: index.row(held.state)
                for stream, held in batch.streams.items()
                if stream.partition("-")[0] == name
            }
            if gone := sorted(key for key, row in found.items() if row is None):
                changes.append(((delete, index.table), gone))
            if rows := [row for asked in found.values() if asked is not None for row in _each(asked)]:
                changes.append(((upsert, index.table), encoded(rows)))
        return changes

    async def keys_ending(self, aggregate: str, ending: str, limit: int) -> list[str]:
        """Keys of the aggregate's streams that end so, the shortest first."""
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT substr(id, length($1) + 2) AS key FROM streams"
                " WHERE starts_with(id, $1 || '-') AND right(substr(id, length($1) + 2), length($2)) = $2"
                " ORDER BY length(id), id LIMIT $3",
                aggregate,
                ending,
                limit,
            )
        return [row["key"] for row in rows]

    async def announce(self, event: Event) -> None:
        """Append one event of the kernel itself, in a stream of its own that no rule reads."""
        identity, name = str(uuid7()), self.service.name
        meta = {"command_id": identity, "command": f"{name}.kernel", "actor": name, "correlation": identity}
        stored = (event.wire_name(), event.schema_number(), event.subject_key(), event.model_dump_json())
        row = (f"kernel-{identity}", 1, identity, *stored, orjson.dumps(meta).decode())
        await self.append(Batch(events=[row]))

    async def events_of(self, stream: str) -> list[Recorded]:
        """History of one stream."""
        return await self._events("stream = $1 ORDER BY version", stream)

    async def named(self, spans: Sequence[Span]) -> dict[Span, list[dict[str, Any]]]:
        """Events as answers name them."""
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT s.place, e.type, e.stream, e.version, e.position"
                " FROM unnest($1::text[], $2::integer[], $3::integer[])"
                " WITH ORDINALITY AS s (stream, behind, upto, place)"
                " JOIN events e ON e.stream = s.stream AND e.version > s.behind AND e.version <= s.upto",
                *([getattr(span, name) for span in spans] for name in ("stream", "behind", "upto")),
            )
        found: dict[Span, list[dict[str, Any]]] = {span: [] for span in spans}
        for place, *named in rows:
            found[spans[place - 1]].append(dict(zip(NAMED, named, strict=True)))
        return found

    async def events_between(self, first: int, last: int, limit: int = 1000) -> list[asyncpg.Record]:
        """Rows of the log from position `first` to `last`, at most `limit` of them."""
        async with self.pool.acquire() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(
                "SELECT * FROM events WHERE position BETWEEN $1 AND $2 ORDER BY position LIMIT $3",
                first,
                last,
                limit,
            )
        return rows

    async def head(self) -> int:
        """Position of the newest event; 0 when there is none."""
        async with self.pool.acquire() as connection:
            return int(await connection.fetchval("SELECT coalesce(max(position), 0) FROM events"))

    async def _events(self, condition: str, *arguments: object) -> list[Recorded]:
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(f"SELECT * FROM events WHERE {condition}", *arguments)  # noqa: S608
        return [recorded(row) for row in rows]


def _each(rows: Row | Sequence[Row]) -> Sequence[Row]:
    return (rows,) if isinstance(rows, Mapping) else rows


def recorded(row: asyncpg.Record) -> Recorded:
    """A row of the log as an event with its place."""
    event: Event = read_event(row["type"], row["schema"], row["data"])
    return Recorded(
        row["position"],
        row["stream"],
        row["version"],
        str(row["id"]),
        row["type"],
        row["recorded_at"],
        event,
        row["meta"],
    )


def appending(changes: Sequence[IndexChange]) -> str:
    """One statement that appends and, if it did, changes indexes; their parameters follow those of `append`.

    Postgres runs each part of a WITH once, and `append` before whatever asks for its outcome. A row that the
    statement's snapshot is too old to show belongs to a stream that has moved, so nothing is appended then.
    """
    parts = [f"appended AS MATERIALIZED (SELECT * FROM append({APPEND_PARAMETERS}))"]  # noqa: S608
    for number, (change, table) in enumerate(changes, APPEND_WIDTH + 1):
        parts.append(f"change_{number} AS ({change(table, number, only_if=APPENDED)})")
    return f"WITH {', '.join(parts)} SELECT * FROM appended"  # noqa: S608


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
