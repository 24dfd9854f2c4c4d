"""The journal and the read models folded from it, committed together."""

import hashlib
import inspect
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any, get_args, get_type_hints

import asyncpg
import orjson
from pydantic import TypeAdapter
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.contracts.messages import Event
from shared.kernel import wire
from shared.kernel.decider import Unavailable
from shared.kernel.declaration import ReadModel
from shared.kernel.received import Received
from shared.kernel.rows import key_of, write_rows
from shared.kernel.versions import Keeping, Version

metadata = MetaData()
journal = Table(
    "journal",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("id", Text, nullable=False, unique=True),
    Column("type", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("schema", SmallInteger, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("clock", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("correlation", Text, nullable=False),
    Column("command_id", Text, nullable=False),
    Column("trigger", Text),
    Column("traceparent", Text),
    Column("data", JSONB, nullable=False),
    UniqueConstraint("source", "position"),
)
"""Every event of every service in the order it was heard here: the one order that all read models share.

The sequence is dense: it is given under a lock that is held until the commit. `clock` is the latest `at` so
far, so that a time has one place in the journal although services are not heard in the order of their times.
"""
Index("journal_by_clock", journal.c.clock, journal.c.sequence)
Index("journal_by_key", journal.c.key, journal.c.sequence)
Index("journal_by_type", journal.c.type, journal.c.sequence)
Index("journal_by_trigger", journal.c.trigger, postgresql_where=journal.c.trigger.is_not(None))

read_models = Table(
    "read_models",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("code", Text),
    Column("old_code", Text),
    Column("build_sequence", BigInteger),
    Column("old_sequence", BigInteger),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("report", JSONB),
)
"""What code made the rows of each read model, how far its copies are, and how its last rebuild ended."""

BY_THE_KERNEL = {"command", "broker"}
"""Owners of events that no service decides: they are told, not kept."""
COLUMNS = ", ".join(f'"{column.name}"' for column in journal.columns)
APPEND = (
    f"INSERT INTO journal ({COLUMNS})"  # noqa: S608 - names of the table above
    f" SELECT {COLUMNS} FROM jsonb_populate_recordset(NULL::journal, $1::text::jsonb)"
)


Numbered = tuple[int, Event]
"""An event with its sequence."""


class Fold:
    """Folds events into one read model."""

    def __init__(self, model: ReadModel) -> None:
        self.model = model
        self.events = events_of(model)
        self._adapter: TypeAdapter[Any] = TypeAdapter(model.row)
        self._key = key_of(model.table)
        self._keeping = Keeping(model.versions) if model.versions else None

    async def apply(
        self, connection: Any, events: Sequence[Numbered], named: Callable[[str], str] = str
    ) -> set[str]:
        """Load the rows the events are about, fold in memory, write them back; answers the rows' keys.

        `named` says what the tables are called, where copies of them are meant.
        """
        by_key: dict[str, list[Numbered]] = defaultdict(list)
        for sequence, event in events:
            if type(event) in self.events and (key := self.model.key(event)) is not None:
                by_key[key].append((sequence, event))
        if not by_key:
            return set()
        name = named(self.model.name)
        before = await self._load(connection, name, list(by_key))
        made: list[Version] = []
        after = {key: self._folded(key, before.get(key), happened, made) for key, happened in by_key.items()}
        rows = [row for row in after.values() if row is not None]
        gone = [key for key, row in after.items() if row is None and key in before]
        await write_rows(connection, self.model.table, rows, gone, name)
        if self._keeping:
            await self._keeping.write(connection, made, named(self._keeping.table.name))
        return set(by_key)

    def _folded(self, key: str, row: Any, events: Sequence[Numbered], made: list[Version]) -> Any:
        for sequence, event in events:
            before, row = row, self.model.evolve(row, event)
            if self._keeping and row is not None:
                version = self._keeping.version(key, sequence, before, row)
                made += [version] if version else []
        return row

    async def _load(self, connection: Any, name: str, keys: list[str]) -> dict[str, Any]:
        rows = await connection.fetch(
            f'SELECT "{self._key}" AS key, to_jsonb(t) AS row FROM "{name}" t WHERE "{self._key}" = ANY ($1)',  # noqa: S608
            keys,
        )
        return {row["key"]: self._adapter.validate_python(row["row"]) for row in rows}


class Journal:
    """The effect of the projection service's consumer: the journal grows and every read model with it."""

    name = "journal"

    def __init__(self, models: Sequence[ReadModel]) -> None:
        self._folds = [Fold(model) for model in models]
        self.sources: Sequence[str] = sorted(
            {event.owner() for event in wire.event_types().values()} - BY_THE_KERNEL
        )

    async def prepare(self, events: Sequence[Received]) -> None:
        """Nothing: everything commits together."""

    async def apply(self, connection: Any, events: Sequence[Received]) -> None:
        """Append to the journal and fold, in the consumer's transaction."""
        if not events:
            return
        await hold(connection)
        last, clock = await self._end(connection)
        if last == 0:
            await self._sign(connection)
        numbered = list(enumerate(events, last + 1))
        clocks = accumulate((datetime.fromisoformat(received.at) for received in events), max, initial=clock)
        next(clocks)
        rows = [
            {"sequence": n, "clock": at, **vars(received)}
            for (n, received), at in zip(numbered, clocks, strict=True)
        ]
        await connection.execute(APPEND, orjson.dumps(rows).decode())
        known = [(n, event) for n, received in numbered if (event := received.event()) is not None]
        for fold in self._folds:
            await fold.apply(connection, known)

    async def _end(self, connection: Any) -> tuple[int, datetime]:
        """The sequence and the clock of the newest event."""
        row = await connection.fetchrow("SELECT sequence, clock FROM journal ORDER BY sequence DESC LIMIT 1")
        return (row["sequence"], row["clock"]) if row else (0, datetime.min.replace(tzinfo=UTC))

    async def _sign(self, connection: Any) -> None:
        """Note what code makes the rows; of read models that come later, the earlier events are missing."""
        await connection.executemany(
            "INSERT INTO read_models (name, state, code, changed_at) VALUES ($1, 'live', $2, now())"
            " ON CONFLICT DO NOTHING",
            [(fold.model.name, code_of(fold.model)) for fold in self._folds],
        )


async def hold(connection: Any) -> None:
    """Keep the journal and its read models as they are until the transaction ends.

    Raises `Unavailable` when somebody else holds them for long.
    """
    try:
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('omoios/journal', 0))")
    except asyncpg.LockNotAvailableError as error:
        raise Unavailable("The journal is held while a read model is swapped.") from error


async def head(connection: Any) -> int:
    """Sequence of the newest event in the journal; 0 when there is none."""
    return int(await connection.fetchval("SELECT coalesce(max(sequence), 0) FROM journal"))


def events_of(model: ReadModel) -> frozenset[type[Event]]:
    """The events a read model is folded from: those that the annotation of its `evolve` names."""
    annotation = get_type_hints(model.evolve).get("event", Event)
    named = get_args(annotation) or (Event if annotation is Any else annotation,)
    return frozenset(event for event in wire.event_types().values() if issubclass(event, named))


def code_of(model: ReadModel) -> str:
    """Names the code that folds a read model: the module of its fold and the columns of its table."""
    columns = [f"{column.name} {column.type!r}" for column in model.table.columns]
    module = Path(inspect.getfile(inspect.unwrap(model.evolve))).read_bytes()
    kept = [model.versions.kept, model.versions.quiet] if model.versions else []
    return hashlib.sha256(module + repr([columns, *kept]).encode()).hexdigest()[:16]
