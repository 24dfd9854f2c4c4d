"""The floor: what asyncpg and Postgres alone do with the rows of our commands, in a process of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.resources import files
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from benchmarks.rounds import Round, closed_loop, serve

SCHEMA = "floor"
CONNECTIONS = 16
"""More only wait for one another's commits, on two cores."""
ROW = orjson.dumps({"ticket_id": "0" * 36, "title": "Ticket of the benchmark", "fields": "x" * 300}).decode()
META = orjson.dumps({"command_id": "0" * 36, "command": "phase.open_ticket", "actor": "operator"}).decode()
ANSWER = orjson.dumps({"ok": True, "command_id": "0" * 36, "events": ["x" * 120]}).decode()

OWN_TABLES = """
CREATE TABLE own_streams (id text PRIMARY KEY, version integer NOT NULL, state json NOT NULL);
CREATE TABLE own_events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stream text NOT NULL, version integer NOT NULL,
    type text NOT NULL, data jsonb NOT NULL, meta jsonb NOT NULL, UNIQUE (stream, version));
CREATE TABLE own_commands (id text PRIMARY KEY, answer json NOT NULL);
"""
OWN_TRANSACTION = """
WITH head AS (
    INSERT INTO own_streams AS s (id, version, state) VALUES ($1, 1, $2::text::json)
    ON CONFLICT (id) DO UPDATE SET version = excluded.version, state = excluded.state
    WHERE s.version = excluded.version - 1 RETURNING id),
event AS (
    INSERT INTO own_events (stream, version, type, data, meta)
    SELECT id, 1, 'phase.ticket_opened', $2::text::jsonb, $3::text::jsonb FROM head)
INSERT INTO own_commands (id, answer) SELECT $1, $4::text::json FROM head
"""


class Floor:
    """Writes rows like those of `phase.open_ticket`, with as little Python as there can be."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._numbers = count(1)

    async def own_transaction(self, _: int) -> None:
        """One command in a transaction of its own: head, event and answer in one statement."""
        async with self._pool.acquire() as connection:
            key = f"ticket-{next(self._numbers):036}"
            await connection.execute(OWN_TRANSACTION, key, ROW, META, ANSWER)

    async def append(self, batch: int) -> None:
        """The kernel's own append of `batch` commands, each with one event in a new stream."""
        numbers = [next(self._numbers) for _ in range(batch)]
        streams = [f"ticket-{number:036}" for number in numbers]
        ones, rows = [1] * batch, [ROW] * batch
        nothing: list[Any] = []
        async with self._pool.acquire() as connection:
            await connection.fetchrow(
                f"SELECT * FROM append({', '.join(f'${n}' for n in range(1, 25))})",
                *(streams, [0] * batch),
                *(streams, [ANSWER] * batch, list(range(batch))),
                *(nothing, nothing),
                *(streams, ones, rows, ["0" * 16] * batch),
                *(streams, ones, [UUID(int=number) for number in numbers]),
                *(["phase.ticket_opened"] * batch, ones, streams, rows, [META] * batch),
                *([nothing] * 5),
            )

    async def play(self, seconds: float, batch: int | None = None, in_flight: int = 64) -> Round:
        """Batches one after another as the kernel commits them, or each command for itself."""
        if batch is None:
            return await closed_loop(self.own_transaction, in_flight, seconds)
        size = batch
        found = await closed_loop(lambda _: self.append(size), 1, seconds)
        return replace(found, done=found.done * size)


async def _see_schema(connection: Any) -> None:
    await connection.execute(f"SET search_path = {SCHEMA}")


async def _keep(_: Any) -> None:
    """As the kernel's pool: nothing is reset between uses."""


@asynccontextmanager
async def _flooring(setup: Mapping[str, Any]) -> AsyncIterator[Callable[..., Awaitable[Round]]]:
    connection = await asyncpg.connect(setup["database_url"])
    await connection.execute(f"CREATE SCHEMA {SCHEMA}; SET search_path = {SCHEMA}")
    await connection.execute(files("shared.kernel").joinpath("schema.sql").read_text() + OWN_TABLES)
    await connection.close()
    pool = asyncpg.create_pool(
        setup["database_url"], min_size=1, max_size=CONNECTIONS, init=_see_schema, reset=_keep
    )
    async with pool:
        yield Floor(pool).play


if __name__ == "__main__":
    serve(_flooring)
