"""Folding a read model anew beside the live one, comparing the two, and swapping them.

An operator's tool like `migrate`: it runs in a process of its own, with the rights of the service's role,
while the service goes on folding and answering. Whatever moment it dies at, the live table is whole, and the
next rebuild begins anew. It must be of the same release as the running service.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Any, Literal

import asyncpg
import structlog
from sqlalchemy import MetaData, Table, quoted_name
from sqlalchemy.schema import CreateIndex, CreateTable

from shared.kernel.database import open_pool
from shared.kernel.decider import Refused, Unavailable
from shared.kernel.declaration import ReadModel, Service
from shared.kernel.journal import Fold, code_of, head, hold
from shared.kernel.reads import DIALECT
from shared.kernel.renaming import rename, renamed
from shared.kernel.rows import key_of
from shared.kernel.wire import read_event

log = structlog.get_logger()

WINDOW = 2000
"""Events folded in one transaction: enough to spread its cost, few enough to hold in memory."""
DIFFERENCES = 20
LOCK = "hashtextextended('omoios/rebuild', 0)"
RUNNING = (
    "EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted"  # noqa: S608 - constants
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    f" AND ((classid::bigint << 32) | objid::bigint) = {LOCK})"
)
"""SQL that is true while somebody rebuilds or rolls back."""
STATEMENT_SECONDS = 3600.0
"""For the statements that read or index a whole table."""
SWAP_WAIT = "2s"
"""How long the swap may wait for queries that are under way: everybody else waits behind it."""

ALL = 'SELECT "{key}" AS key FROM "{live}" UNION SELECT "{key}" FROM "{copy}"'
ROWS_OF_KEY = (
    'LATERAL (SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text)::text AS rows FROM "{table}" t'
    ' WHERE t."{key}" = k.key)'
)
LATE = "SELECT unnest($1::text[]) AS key"

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
        self._table = self._named(model.name)
        self._code: str | None = None
        self._sequence = 0
        self._events = 0
        self._started = monotonic()

    async def begin(self) -> None:
        """An empty table in the place of whatever an earlier rebuild has left."""
        self._code = code_of(self._model)
        async with self._connection.transaction():
            for table in self._model.tables:
                await self._connection.execute(f'DROP TABLE IF EXISTS "{self._named(table.name)}"')
                made = CreateTable(self._blueprint(table)).compile(dialect=DIALECT)
                await self._connection.execute(str(made))
            await self._connection.execute(
                "INSERT INTO read_models (name, state, changed_at) VALUES ($1, 'missing', now())"
                " ON CONFLICT DO NOTHING",
                self._model.name,
            )
            await self._note(state="building", build_sequence=0)

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
        """Catch up, compare, then hold the journal for the little that has come since, and swap."""
        await self._catch_up()
        await self._prepare()
        await self._catch_up()
        differences = await self._compared()
        async with self._connection.transaction():
            await hold(self._connection)
            held_at = monotonic()
            late = await self._fold_to(await head(self._connection))
            for table in self._model.tables:
                differences += await self._differing(table, LATE, sorted(late))
            rebuilt = Rebuilt(
                read_model=self._model.name,
                swapped=accept_differences or not differences,
                sequence=self._sequence,
                events=self._events,
                rows=await self._connection.fetchval(f'SELECT count(*) FROM "{self._table}"'),  # noqa: S608
                seconds=round(monotonic() - self._started, 3),
                held_seconds=round(monotonic() - held_at, 3),
                identical=not differences,
                differences=tuple(sorted(set(differences))[:DIFFERENCES]),
            )
            await self._conclude(rebuilt)
        log.info("read_model_rebuilt", **asdict(rebuilt))
        return rebuilt

    async def _catch_up(self) -> None:
        while (end := await head(self._connection)) - self._sequence > WINDOW:
            await self._fold_window(self._sequence + WINDOW, end)

    async def _fold_to(self, end: int) -> set[str]:
        """Fold what is left; answers the keys of the rows that changed."""
        keys: set[str] = set()
        while self._sequence < end:
            keys |= await self._fold_window(min(self._sequence + WINDOW, end), end)
        return keys

    async def _fold_window(self, until: int, end: int) -> set[str]:
        async with self._connection.transaction():
            rows = await self._connection.fetch(
                "SELECT sequence, type, schema, data FROM journal"
                " WHERE sequence > $1 AND sequence <= $2 AND type = ANY ($3) ORDER BY sequence",
                self._sequence,
                until,
                self._types,
            )
            events = [(row["sequence"], read_event(row["type"], row["schema"], row["data"])) for row in rows]
            keys = await self._fold.apply(self._connection, events, self._named)
            await self._note(**{f"{self._kind}_sequence": until})
        self._sequence = until
        self._events += len(events)
        self._progress(self._model.name, until, end)
        return keys

    async def _prepare(self) -> None:
        """The indexes cost less after the load; and the planner shall know the table before queries come."""
        for table in self._model.tables:
            copy = self._blueprint(table)
            if self._kind == "build":
                for index in sorted(copy.indexes, key=lambda index: str(index.name)):
                    statement = str(CreateIndex(index).compile(dialect=DIALECT))
                    await self._connection.execute(statement, timeout=STATEMENT_SECONDS)
            await self._connection.execute(f'ANALYZE "{copy.name}"', timeout=STATEMENT_SECONDS)

    def _blueprint(self, table: Table) -> Table:
        """A table as it is declared, under the name of the copy."""
        copy = table.to_metadata(MetaData(), name=self._named(table.name))
        for index in copy.indexes:
            index.name = quoted_name(renamed(str(index.name), table.name, copy.name), None)
        return copy

    def _named(self, table: str) -> str:
        return copy_name(table, self._kind)

    async def _compared(self) -> list[str]:
        """The keys of rows that differ from the live ones, in one snapshot of both tables and of the journal.

        A snapshot shows the live table as of the end of the journal, without holding anybody up.
        """
        async with self._connection.transaction(isolation="repeatable_read"):
            await self._fold_to(await head(self._connection))
            differences: list[str] = []
            for table in self._model.tables:
                live, copy = table.name, self._named(table.name)
                if await self._checksum(copy) != await self._checksum(live):
                    keys = ALL.format(live=live, copy=copy, key=key_of(table))
                    differences += await self._differing(table, keys)
            return differences

    async def _checksum(self, table: str) -> tuple[int, Any]:
        """Over the canonical JSON of every row; a sum does not mind the order in which the rows lie."""
        row = await self._connection.fetchrow(
            f'SELECT count(*) AS n, sum(hashtextextended(to_jsonb(t)::text, 0)) AS hashes FROM "{table}" t',  # noqa: S608
            timeout=STATEMENT_SECONDS,
        )
        return row["n"], row["hashes"]

    async def _differing(self, table: Table, keys: str, *arguments: Any) -> list[str]:
        """Those of `keys` whose row, or whose versions, are not the same in both tables."""
        live = ROWS_OF_KEY.format(table=table.name, key=key_of(table))
        copy = ROWS_OF_KEY.format(table=self._named(table.name), key=key_of(table))
        rows = await self._connection.fetch(
            f"SELECT k.key FROM ({keys}) AS k, {live} AS l, {copy} AS c"  # noqa: S608 - names of declared tables
            f" WHERE l.rows IS DISTINCT FROM c.rows ORDER BY 1 LIMIT {DIFFERENCES}",
            *arguments,
            timeout=STATEMENT_SECONDS,
        )
        return [row["key"] for row in rows]

    async def _conclude(self, rebuilt: Rebuilt) -> None:
        if not rebuilt.swapped:
            await self._note(state="differs", report=asdict(rebuilt), build_sequence=None)
            return
        try:
            await self._swap()
        except asyncpg.LockNotAvailableError as error:
            raise Unavailable(
                f"A query has used {self._model.name} for over {SWAP_WAIT}. Nothing was changed; try again."
            ) from error
        await self._connection.execute(
            "UPDATE read_models SET old_code = code WHERE name = $1", self._model.name
        )
        await self._note(code=self._code, old_sequence=rebuilt.sequence, build_sequence=None)
        if self._kind == "build":
            await self._note(state="swapped", report=asdict(rebuilt))
        else:
            await self._note(state="rolled_back")

    async def _swap(self) -> None:
        await self._connection.execute(f"SET LOCAL lock_timeout = '{SWAP_WAIT}'")
        for table in self._model.tables:
            live, build, old = table.name, copy_name(table.name, "build"), copy_name(table.name, "old")
            spare = old if self._kind == "build" else build
            await self._connection.execute(f'DROP TABLE IF EXISTS "{spare}"')
            if self._kind == "old":
                await rename(self._connection, old, build)
            await rename(self._connection, live, old)
            await rename(self._connection, build, live)

    async def _note(self, **values: Any) -> None:
        changes = ", ".join(f"{name} = ${number}" for number, name in enumerate(values, 2))
        await self._connection.execute(
            f"UPDATE read_models SET {changes}, changed_at = now() WHERE name = $1",  # noqa: S608
            self._model.name,
            *values.values(),
        )


def copy_name(table: str, kind: Kind) -> str:
    """`tickets__build`, `tickets__old`."""
    return f"{table}__{kind}"
