"""The peer `eventsourcing`: load an aggregate, decide, save it, in a process of its own.

It is a library of blocking calls, so callers are threads. Its fast settings are its stored procedures
(POSTGRES_ENABLE_DB_FUNCTIONS) and a cache of aggregates (AGGREGATE_CACHE_MAXSIZE) that are neither copied
(DEEPCOPY_FROM_AGGREGATE_CACHE) nor brought up to date (AGGREGATE_CACHE_FASTFORWARD) at each use.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from benchmarks.rounds import Round, serve
from benchmarks.threads import closed_loop_of_threads

THREADS = 16
"""Callers beyond these would wait for them: 64 threads are slower, measured."""
TICKETS = 1_000
FAST = {
    "POSTGRES_ENABLE_DB_FUNCTIONS": "y",
    "AGGREGATE_CACHE_MAXSIZE": str(10 * TICKETS),
    "AGGREGATE_CACHE_FASTFORWARD": "n",
    "DEEPCOPY_FROM_AGGREGATE_CACHE": "n",
}


class Ticket(Aggregate):
    """A ticket in a phase."""

    @event("Opened")
    def __init__(self, title: str, phase: str) -> None:
        self.title = title
        self.phase = phase
        self.reason = ""

    @event("Moved")
    def move(self, to_phase: str, reason: str) -> None:
        """Go to another phase."""
        self.phase = to_phase
        self.reason = reason


class Tickets(Application[UUID]):
    """Moves tickets."""

    def open_ticket(self, number: int) -> UUID:
        """A new ticket."""
        ticket = Ticket(f"Ticket {number} of the benchmark", "PHASE_BACKLOG")
        self.save(ticket)
        return ticket.id

    def move_ticket(self, ticket_id: UUID, to_phase: str) -> None:
        """Load, decide, append."""
        ticket: Ticket = self.repository.get(ticket_id)
        ticket.move(to_phase, "benchmark")
        self.save(ticket)


@asynccontextmanager
async def _playing(setup: Mapping[str, Any]) -> AsyncIterator[Callable[..., Awaitable[Round]]]:
    connection = await asyncpg.connect(setup["database_url"])
    await connection.execute(f"CREATE SCHEMA {setup['schema']}")
    await connection.close()
    environment = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": "omoi",
        "POSTGRES_HOST": setup["socket_folder"],
        "POSTGRES_USER": "postgres",
        "POSTGRES_PASSWORD": "not asked for",
        "POSTGRES_SCHEMA": setup["schema"],
        "POSTGRES_POOL_SIZE": str(THREADS),
        **(FAST if setup["fast"] else {}),
    }
    application = Tickets(env=environment)
    tickets = [application.open_ticket(number) for number in range(TICKETS)]

    def move(caller: int, number: int) -> None:
        mine = tickets[caller::THREADS]
        application.move_ticket(mine[number % len(mine)], f"PHASE_{number % 2}")

    async def play(seconds: float) -> Round:
        return await asyncio.to_thread(partial(closed_loop_of_threads, move, THREADS, seconds))

    try:
        yield play
    finally:
        application.close()


if __name__ == "__main__":
    serve(_playing)
