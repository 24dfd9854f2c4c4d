"""A projection of its own for a test: the migrated schema, and a journal that is fed directly."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import orjson

from services.projection.service import projection
from services.projection.tables import READ_MODELS
from shared.contracts.messages import Event, Query
from shared.kernel.declaration import Consultation
from shared.kernel.draft import dumps
from shared.kernel.journal import Fold, Journal
from shared.kernel.reads import StoreReading
from shared.kernel.rebuild import Rebuilt, rebuild
from shared.kernel.received import Received
from shared.kernel.store import Store
from tests.projection.given import Log

NAMES = [model.name for model in READ_MODELS]
Rows = dict[str, dict[str, Any]]


class Records:
    """Hears events as the service's consumer does."""

    def __init__(self, database_url: str, pool: asyncpg.Pool) -> None:
        self.database_url = database_url
        self.pool = pool
        self.log = Log()
        self._journal = Journal(projection.read_models)

    async def hear(self, *events: Event, **changes: Any) -> list[Received]:
        """Let services announce `events`; `changes` are of what surrounds them."""
        received = self.log.received(events, **changes)
        await self.take(received)
        return received

    async def take(self, received: Sequence[Received]) -> None:
        """Let the journal grow by one batch."""
        async with self.pool.acquire() as connection, connection.transaction():
            await self._journal.apply(connection, received)

    async def ask(self, query: Query) -> dict[str, Any]:
        """The service's answer to `query`, as JSON."""
        reading = StoreReading(Store(projection, self.pool))
        answer = projection.answers[type(query)]
        assert not isinstance(answer, Consultation)
        answered: dict[str, Any] = orjson.loads(dumps(await answer(query, reading)))
        return answered

    async def rebuild(self, name: str = "tickets", **options: Any) -> Rebuilt:
        """Build a read model anew."""
        return await rebuild(self.database_url, projection, name, **options)

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Look into the database, or meddle with it, with the rights of its owner."""
        connection = await asyncpg.connect(self.database_url)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
            return rows
        finally:
            await connection.close()

    async def rows(self, table: str) -> Rows:
        """The rows of a table by their keys."""
        found = await self.fetch(f"SELECT to_jsonb(t)::text AS row FROM projection.{table} t")
        rows = [orjson.loads(record["row"]) for record in found]
        return {row[key_of(table)]: row for row in rows}

    async def versions(self, table: str) -> list[str]:
        """Every version of the rows of a table."""
        found = await self.fetch(
            f"SELECT to_jsonb(t)::text AS version FROM projection.{table}_versions t ORDER BY key, sequence"
        )
        return [record["version"] for record in found]

    async def forget(self) -> None:
        """Begin anew."""
        tables = [table.name for model in READ_MODELS for table in model.tables]
        await self.fetch(f"TRUNCATE projection.journal, {', '.join(f'projection.{name}' for name in tables)}")
        self.log = Log()


def key_of(table: str) -> str:
    """The key column of a read model or of a copy of it."""
    [model] = [model for model in READ_MODELS if model.name == table.partition("__")[0]]
    return str(next(iter(model.table.primary_key.columns)).name)


def folded(events: Sequence[Event]) -> dict[str, Rows]:
    """What the tables must hold after `events`: read model -> key -> row, as JSON."""
    found: dict[str, Rows] = {}
    for model in READ_MODELS:
        heard = Fold(model).events
        rows: dict[str, Any] = {}
        for event in events:
            if type(event) in heard:
                key = model.key(event)
                rows[str(key)] = model.evolve(rows.get(str(key)), event)
        found[model.name] = {key: orjson.loads(orjson.dumps(row)) for key, row in rows.items() if row}
    return found
