"""Reading what is committed, over the store's connections."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from shared.kernel.reading import Reading, Recorded
from shared.kernel.store import Store

S = TypeVar("S")
RENDERED = 256
"""Statements kept with their SQL; they are told apart by identity."""
DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


class StoreReading(Reading):
    """A `Reading` over a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def state(self, state: type[S], key: str) -> S | None:
        """State of one aggregate; None when nothing has happened to it."""
        stream = self._store.stream(state, key)
        held = (await self._store.load([stream]))[stream]
        return cast(S, held.state) if held.version else None

    async def events(self, state: type[Any], key: str) -> Sequence[Recorded]:
        """History of one aggregate, oldest first."""
        return await self._store.events_of(self._store.stream(state, key))

    async def rows(self, statement: Executable) -> list[dict[str, Any]]:
        """Rows of a SQLAlchemy Core statement, run on an asyncpg connection of the pool."""
        sql, arguments = rendered(statement)
        async with self._store.pool.acquire() as connection:
            return [dict(row) for row in await connection.fetch(sql, *arguments)]

    async def timers(self, keys: Sequence[str]) -> list[dict[str, Any]]:
        """Timers of those keys, as far as they are set."""
        async with self._store.pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT key, due_at, set_at, body::jsonb FROM timers WHERE key = ANY ($1) ORDER BY key", keys
            )
        return [dict(row) for row in rows]


@lru_cache(maxsize=RENDERED)
def rendered(statement: Executable) -> tuple[str, tuple[Any, ...]]:
    """A Core statement as SQL with $n parameters, and their values in order.

    Rendering a large one takes longer than running it: who asks the same again and again keeps the statement.
    """
    compiled = statement.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})  # type: ignore[attr-defined]
    processors = compiled._bind_processors
    values = []
    for name in compiled.positiontup or ():
        value = compiled.params[name]
        values.append(processors[name](value) if name in processors else value)
    return str(compiled), tuple(values)
