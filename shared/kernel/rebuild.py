"""Folding a read model anew beside the live one, comparing the two, and swapping them.

An operator's tool like `migrate`: it runs in a process of its own, with the rights of the service's role,
while the service goes on folding and answering. Whatever moment it dies at, the live table is whole, and the
next rebuild begins anew. It must be of the same release as the running service.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Any, Literal

import asyncpg
import structlog
from sqlalchemy import MetaData, Table, quoted_name
from sqlalchemy.schema import CreateIndex, CreateTable

from shared.contracts.messages import Event
from shared.kernel.database import open_pool
from shared.kernel.decider import Refused, Unavailable
from shared.kernel.declaration import ReadModel, Service
from shared.kernel.journal import Fold, code_of, head, hold
from shared.kernel.reads import DIALECT
from shared.kernel.wire import read_event

log = structlog.get_logger()

WINDOW = 2000
"""Events folded in one transaction: enough to spread its cost, few enough to hold in memory."""
DIFFERENCES = 20
LOCK = "hashtextextended('omoios/rebuild', 0)"
RUNNING = (
    "EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted"
    f" AND ((classid::bigint << 32) | objid::bigint) = {LOCK})"
)
"""SQL that is true while somebody rebuilds or rolls back."""
STATEMENT_SECONDS = 3600.0
"""For the statements that read or index a whole table."""
SWAP_WAIT = "5s"
"""How long the swap may wait for queries that are under way: everybody else waits behind it."""

Kind = Literal["build", "old"]
Progress = Callable[[str, int, int], None]
"""Told the read model, the sequence folded so far and the sequence there is."""


class UnknownReadModel(Refused):
    """The service has no read model of that name."""


class RebuildRunning(Refused):
    """Another process rebuilds or rolls back right now."""


class NothingToRollBack(Refused):
    """The version before the last swap is not there."""


@dataclass(frozen=True)
class Rebuilt:
    """How a rebuild or a rollback went; see `RebuildReport` of the contracts."""

    read_model: str
    swapped: bool
    sequence: int
    events: int
    rows: int
    seconds: float
    held_seconds: float
    identical: bool
    differences: tuple[str, ...]


def untold(_: str, __: int, ___: int) -> None:
    """Nobody wants to know."""


async def rebuild(
    database_url: str,
    service: Service,
    name: str,
    *,
    accept_differences: bool = False,
    progress: Progress = untold,
) -> Rebuilt:
    """Fold the journal into a new table, compare it with the live one, and swap the two.

    Rows that differ are reported, and the live table is left as it is unless `accept_differences`; say that
    after the fold was changed. The version before stays as `<name>__old` until the next swap.
    Raises UnknownReadModel and RebuildRunning.
    """
    async with alone(database_url, service) as connection:
        copy = Copy(connection, _model(service, name), "build", progress)
        await copy.begin()
        return await copy.finish(accept_differences=accept_differences)


async def roll_back(
    database_url: str, service: Service, name: str, *, progress: Progress = untold
) -> Rebuilt:
    """Bring `<name>__old` up to date by today's fold, and swap it with the live table; twice is forward.

    Raises UnknownReadModel, RebuildRunning and NothingToRollBack.
    """
    async with alone(database_url, service) as connection:
        copy = Copy(connection, _model(service, name), "old", progress)
        await copy.resume()
        return await copy.finish(accept_differences=True)


def _model(service: Service, name: str) -> ReadModel:
    models = {model.name: model for model in service.read_models}
    if name not in models:
        raise UnknownReadModel(
            f"{service.name} has no read model {name!r}. It has: {', '.join(models)}.", known=list(models)
        )
    return models[name]


@asynccontextmanager
async def alone(database_url: str, service: Service) -> AsyncIterator[Any]:
    """A connection that only one process at a time can have; it is free again the moment that one dies."""
    async with await open_pool(database_url, service.name) as pool, pool.acquire() as connection:
        if not await connection.fetchval(f"SELECT pg_try_advisory_lock({LOCK})"):
            raise RebuildRunning(
                "Another rebuild is running. Wait for its end; `projection_status` shows it."
            )
        yield connection


class Copy:
    """A table of a read model's rows beside the live one, folded up to a sequence of its own."""

    def __init__(self, connection: Any, model: ReadModel, kind: Kind, progress: Progress) -> None:
        self._connection = connection
        self._model = model
        self._kind = kind
        self._progress = progress
        self._fold = Fold(model)
        self._types = sorted(event.wire_name() for event in self._fold.events)
        self._table = copy_name(model, kind)
        self._code: str | None = None
        self._sequence = 0
        self._events = 0
        self._started = monotonic()

    async def begin(self) -> None:
        """An empty table in the place of whatever an earlier rebuild has left."""
        self._code = code_of(self._model)
        async with self._connection.transaction():
            await self._connection.execute(f'DROP TABLE IF EXISTS "{self._table}"')
            await self._connection.execute(str(CreateTable(self._blueprint()).compile(dialect=DIALECT)))
            await self._note("building", build_sequence=0)

    async def resume(self) -> None:
        """The table that the last swap has put aside."""
        row = await self._connection.fetchrow(
            "SELECT old_sequence, old_code FROM read_models WHERE name = $1 AND to_regclass($2) IS NOT NULL",
            self._model.name,
            self._table,
        )
        if row is None or row["old_sequence"] is None:
            raise NothingToRollBack(f"There is no earlier version of {self._model.name}.")
        self._sequence, self._code = row["old_sequence"], row["old_code"]

    async def finish(self, *, accept_differences: bool) -> Rebuilt:
        """Catch up with the journal, then hold it for the rest, the comparison and the swap."""
        await self._catch_up()
        await self._prepare()
        async with self._connection.transaction():
            await hold(self._connection)
            held_at = monotonic()
            await self._fold_to(await head(self._connection))
            rows, differences = await self._compare()
            identical = differences is None
            rebuilt = Rebuilt(
                read_model=self._model.name,
                swapped=identical or accept_differences,
                sequence=self._sequence,
                events=self._events,
                rows=rows,
                seconds=round(monotonic() - self._started, 3),
                held_seconds=round(monotonic() - held_at, 3),
                identical=identical,
                differences=differences or (),
            )
            await self._conclude(rebuilt)
        log.info("read_model_rebuilt", **asdict(rebuilt))
        return rebuilt

    async def _catch_up(self) -> None:
        while (end := await head(self._connection)) - self._sequence > WINDOW:
            await self._fold_to(end)

    async def _fold_to(self, end: int) -> None:
        while self._sequence < end:
            until = min(self._sequence + WINDOW, end)
            async with self._connection.transaction():
                await self._fold_window(until)
                await self._note_sequence(until)
            self._sequence = until
            self._progress(self._model.name, until, end)

    async def _fold_window(self, until: int) -> None:
        rows = await self._connection.fetch(
            "SELECT sequence, type, schema, data FROM journal"
            " WHERE sequence > $1 AND sequence <= $2 AND type = ANY ($3) ORDER BY sequence",
            self._sequence,
            until,
            self._types,
        )
        events: list[Event] = [read_event(row["type"], row["schema"], row["data"]) for row in rows]
        await self._fold.apply(self._connection, events, self._table)
        self._events += len(events)

    async def _prepare(self) -> None:
        """The indexes cost less after the load; and the planner shall know the table before queries come."""
        if self._kind == "build":
            for index in sorted(self._blueprint().indexes, key=lambda index: str(index.name)):
                statement = str(CreateIndex(index).compile(dialect=DIALECT))
                await self._connection.execute(statement, timeout=STATEMENT_SECONDS)
        await self._connection.execute(f'ANALYZE "{self._table}"', timeout=STATEMENT_SECONDS)

    def _blueprint(self) -> Table:
        """The table as it is declared, under the name of the copy."""
        table = self._model.table.to_metadata(MetaData(), name=self._table)
        for index in table.indexes:
            index.name = quoted_name(renamed(str(index.name), self._model.name, self._table), None)
        return table

    async def _compare(self) -> tuple[int, tuple[str, ...] | None]:
        """How many rows the copy has, and the keys of those that differ from the live ones; None if none."""
        rows, checksum = await self._checksum(self._table)
        if (rows, checksum) == await self._checksum(self._model.name):
            return rows, None
        return rows, await self._differences()

    async def _checksum(self, table: str) -> tuple[int, Any]:
        """Over the canonical JSON of every row; a sum does not mind the order in which the rows lie."""
        row = await self._connection.fetchrow(
            f'SELECT count(*) AS n, sum(hashtextextended(to_jsonb(t)::text, 0)) AS hashes FROM "{table}" t',  # noqa: S608
            timeout=STATEMENT_SECONDS,
        )
        return row["n"], row["hashes"]

    async def _differences(self) -> tuple[str, ...]:
        key = next(iter(self._model.table.primary_key.columns)).name
        rows = await self._connection.fetch(
            f'SELECT coalesce(l."{key}", c."{key}") AS key'  # noqa: S608 - names of declared tables
            f' FROM "{self._model.name}" l FULL JOIN "{self._table}" c ON l."{key}" = c."{key}"'
            " WHERE to_jsonb(l)::text IS DISTINCT FROM to_jsonb(c)::text ORDER BY 1 LIMIT $1",
            DIFFERENCES,
            timeout=STATEMENT_SECONDS,
        )
        return tuple(row["key"] for row in rows)

    async def _conclude(self, rebuilt: Rebuilt) -> None:
        if not rebuilt.swapped:
            await self._note("differs", report=asdict(rebuilt))
            return
        try:
            await self._swap()
        except asyncpg.LockNotAvailableError as error:
            raise Unavailable(
                f"A query has used {self._model.name} for over {SWAP_WAIT}. Nothing was changed; try again."
            ) from error
        await self._connection.execute(
            "UPDATE read_models SET old_sequence = $2, old_code = code, code = $3, build_sequence = NULL"
            " WHERE name = $1",
            self._model.name,
            rebuilt.sequence,
            self._code,
        )
        if self._kind == "build":
            await self._note("swapped", report=asdict(rebuilt))
        else:
            await self._note("rolled_back")

    async def _swap(self) -> None:
        live, build, old = self._model.name, copy_name(self._model, "build"), copy_name(self._model, "old")
        await self._connection.execute(f"SET LOCAL lock_timeout = '{SWAP_WAIT}'")
        spare = old if self._kind == "build" else build
        await self._connection.execute(f'DROP TABLE IF EXISTS "{spare}"')
        if self._kind == "old":
            await rename(self._connection, old, build)
        await rename(self._connection, live, old)
        await rename(self._connection, build, live)

    async def _note_sequence(self, sequence: int) -> None:
        await self._connection.execute(
            f"UPDATE read_models SET {self._kind}_sequence = $2, changed_at = now() WHERE name = $1",  # noqa: S608
            self._model.name,
            sequence,
        )

    async def _note(self, state: str, **values: Any) -> None:
        names = ["name", "state", *values]
        places = ", ".join(f"${number}" for number in range(1, len(names) + 1))
        changes = ", ".join(f"{name} = excluded.{name}" for name in names)
        await self._connection.execute(
            f"INSERT INTO read_models ({', '.join(names)}, changed_at) VALUES ({places}, now())"  # noqa: S608
            f" ON CONFLICT (name) DO UPDATE SET {changes}, changed_at = now()",
            self._model.name,
            state,
            *values.values(),
        )


def copy_name(model: ReadModel, kind: Kind) -> str:
    """`tickets__build`, `tickets__old`."""
    return f"{model.name}__{kind}"


def renamed(name: str, before: str, after: str) -> str:
    """The name of a part of a table after the table was renamed: `tickets_pkey` -> `tickets__old_pkey`."""
    return after + name.removeprefix(before) if name.startswith(before) else name


async def rename(connection: Any, before: str, after: str) -> None:
    """Rename a table with its indexes and constraints."""
    await connection.execute(f'ALTER TABLE "{before}" RENAME TO "{after}"')
    indexes = await connection.fetch(
        "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indrelid = $1::text::regclass", after
    )
    for name in _names(indexes):
        await connection.execute(f'ALTER INDEX "{name}" RENAME TO "{renamed(name, before, after)}"')
    constraints = await connection.fetch(
        "SELECT conname AS name FROM pg_constraint"
        " WHERE conrelid = $1::text::regclass AND contype IN ('n', 'c')",
        after,
    )
    for name in _names(constraints):
        await connection.execute(
            f'ALTER TABLE "{after}" RENAME CONSTRAINT "{name}" TO "{renamed(name, before, after)}"'
        )


def _names(rows: Sequence[Any]) -> list[str]:
    return [row["name"] for row in rows]
