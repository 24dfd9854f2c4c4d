"""What every service answers beside its own domain: its log, its health, its dead letters."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any

import orjson
from nats.aio.client import Client
from pydantic import Field

from shared.contracts.messages import Authority, Contract, Key, Query, owner_of
from shared.kernel import wire
from shared.kernel.decider import NotAuthorised, Refused, Unavailable
from shared.kernel.declaration import Consultation, Service
from shared.kernel.door import InvalidCommand, UnknownQuery, read_object, unknown, validated
from shared.kernel.questions import Questions
from shared.kernel.reads import StoreReading
from shared.kernel.received import from_row
from shared.kernel.store import Store

PAGE_BYTES = 900_000
"""Most of an answer's size: the broker takes 1 MiB."""


class DeadLetterNotFound(Refused):
    """There is no dead letter of that number."""


Number = Annotated[int, Field(ge=0, lt=2**63)]


class EventsPage(Contract):
    """Which part of the log is wanted."""

    first: Number = Field(1, alias="from")
    last: Number = Field(2**62, alias="to")
    limit: int = Field(500, ge=1, le=1000)


class IdsEnding(Contract):
    """Whose ids are looked for, and how they end."""

    noun: Key
    ending: Key
    limit: int = Field(10, ge=1, le=100)


class DeadLetters(Contract):
    """One dead letter, or all of them."""

    id: Number | None = None


class DeadLetter(Contract):
    """The dead letter that somebody decides about."""

    id: Number


Reached = Callable[[dict[str, int], float], Awaitable[bool]]
Health = Callable[[], dict[str, Any]]


class Operations:
    """Answers the queries of one service."""

    def __init__(
        self,
        store: Store,
        client: Client,
        reached: Reached,
        health: Health,
        asyncapi: Callable[[], dict[str, Any]],
        *,
        wait_seconds: float,
    ) -> None:
        self._store = store
        self._client = client
        self._service: Service = store.service
        self._reading = StoreReading(store)
        self._reached = reached
        self._wait_seconds = wait_seconds
        self._queries = {query.wire_name(): query for query in self._service.answers}
        self._own: Mapping[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
            "events": self._events,
            "ids": self._ids,
            "position": self._position,
            "health": self._health,
            "asyncapi": self._asyncapi,
            "dead": self._dead,
        }
        self._report = health
        self._page = asyncapi

    async def answer(self, subject: str, body: bytes) -> Any:
        """Answer one query; raises `Refused`."""
        name = wire.address(subject).name
        fields = read_object(body)
        if name in self._own:
            return await self._own[name](fields)
        contract = self._queries.get(name)
        if contract is None:
            known = [*self._queries, *self._own]
            raise UnknownQuery(unknown(self._service.name, "query", name, known), known=sorted(known))
        query = validated(contract, fields)
        await self._catch_up(query)
        answer = self._service.answers[contract]
        if isinstance(answer, Consultation):
            return await answer.answer(query, self._reading, Questions(self._client, answer.asks))
        return await answer(query, self._reading)

    async def _catch_up(self, query: Query) -> None:
        if query.min_position is None:
            return
        wanted = self._wanted(query)
        if not await self._reached(wanted, self._wait_seconds):
            raise Unavailable(
                f"{self._service.name} has not seen {wanted} within {self._wait_seconds:g} s. "
                "Ask again in a moment."
            )

    def _wanted(self, query: Query) -> dict[str, int]:
        """Service -> position to be reached; a bare number is of the service the query is about."""
        marks = query.min_position
        if isinstance(marks, int):
            source = query.position_of or self._service.name
            marks = {source: marks}
        assert marks is not None, "asked only when there are any"
        if self._service.read_models:
            known = sorted({owner_of(noun) for noun in wire.nouns()})
            if strangers := sorted(set(marks) - set(known)):
                raise InvalidCommand(
                    f"{self._service.name} hears no positions of {', '.join(strangers)}. "
                    f"Give a map of service to position; the services are {', '.join(known)}.",
                    fields={"min_position": "a map of service to position"},
                )
        return dict(marks)

    async def _events(self, fields: dict[str, Any]) -> dict[str, Any]:
        page = validated(EventsPage, fields)
        rows = await self._store.events_between(page.first, page.last, page.limit)
        events = page_of(from_row(self._service.name, row).as_json() for row in rows)
        return {"events": events, "head": await self._store.head()}

    async def _ids(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Ids that end so, as people shorten them; of one that is such an id itself, that alone."""
        wanted = validated(IdsEnding, fields)
        ids = await self._store.keys_ending(wanted.noun, wanted.ending, wanted.limit)
        return {"ids": ids[:1] if wanted.ending in ids else ids}

    async def _position(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"position": await self._store.head()}

    async def _health(self, _: dict[str, Any]) -> dict[str, Any]:
        return self._report()

    async def _asyncapi(self, _: dict[str, Any]) -> dict[str, Any]:
        return self._page()

    async def _dead(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Parked messages, the culprits with their error, the others waiting behind them."""
        wanted = validated(DeadLetters, fields)
        async with self._store.pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT id, consumer, key, source, position, error, attempts, wish, parked_at, message"
                " FROM parked"
                " WHERE $1::bigint IS NULL OR id = $1 ORDER BY id LIMIT 1000",
                wanted.id,
            )
        return {"dead": page_of(dict(row) | {"parked_at": row["parked_at"].isoformat()} for row in rows)}

    async def decide_dead(self, wish: str, authority: Authority, fields: dict[str, Any]) -> dict[str, Any]:
        """Have a parked key retried, or its first message dropped and the rest retried."""
        if authority < Authority.MONITOR:
            raise NotAuthorised(
                "Retrying and dropping dead letters needs MONITOR authority.", required="MONITOR"
            )
        letter = validated(DeadLetter, fields)
        async with self._store.pool.acquire() as connection:
            row = await connection.fetchrow(
                "UPDATE parked SET wish = $2 WHERE id = $1 RETURNING consumer, key", letter.id, wish
            )
        if row is None:
            raise DeadLetterNotFound(
                f"{self._service.name} has no dead letter {letter.id}. "
                "`omoi dead list` shows those there are."
            )
        return {"consumer": row["consumer"], "key": row["key"]}


def page_of(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of the items, as many as one message can carry, at least one."""
    page: list[dict[str, Any]] = []
    size = 0
    for item in items:
        size += len(orjson.dumps(item))
        if page and size > PAGE_BYTES:
            break
        page.append(item)
    return page


async def reached_log(store: Store, marks: dict[str, int], seconds: float) -> bool:
    """Whether the service's own log is that far; it is read where it is written, so only bad luck waits."""
    wanted = marks.get(store.service.name, 0)
    for _ in range(int(seconds / 0.05)):
        if await store.head() >= wanted:
            return True
        await asyncio.sleep(0.05)
    return False
