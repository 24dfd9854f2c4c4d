"""Hearing what the guardian grants: every replica of every service knows it, and its schema keeps it."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import nats.errors
import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.contracts.guardian import GuardianAuthorityGranted, GuardianAuthorityRevoked
from shared.contracts.messages import Authority
from shared.kernel import wire
from shared.kernel.database import DATABASE_AWAY
from shared.kernel.grants import Grant, Grants
from shared.kernel.leases import Leases
from shared.kernel.received import Received, Unreadable, from_message, from_row
from shared.kernel.store import Store
from shared.kernel.waking import pinged

log = structlog.get_logger()

GUARDIAN = GuardianAuthorityGranted.owner()
HEARD = tuple(event.wire_name() for event in (GuardianAuthorityGranted, GuardianAuthorityRevoked))
POLL_SECONDS = 5.0
"""How soon a replica that missed an event reads it from the table that another one keeps."""
SELDOM = 6
"""Its consumer looks so many times less often than others for lost events: they came to the replicas, too."""
PAGE = 500
ANSWER_SECONDS = 2.0


class Granting:
    """The effect of a consumer that every service has: the table `grants` says what the guardian granted.

    One replica consumes; the others listen to the same events as they are published, and read the table.
    A row stays when its grant is taken back, so that what is older cannot bring it back.
    """

    name = "grants"
    sources: Sequence[str] = (GUARDIAN,)

    def __init__(self, store: Store, client: Client, grants: Grants) -> None:
        self._store = store
        self._client = client
        self._grants = grants
        self._signal = asyncio.Event()

    async def prepare(self, events: Sequence[Received]) -> None:
        """Nothing: the table is written with the marks."""

    async def apply(self, connection: Any, events: Sequence[Received]) -> None:
        """Keep them, the newest of each actor."""
        grants = list(granted(events))
        if not grants:
            return
        await connection.executemany(
            "INSERT INTO grants AS g (actor, level, expires_at, position) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (actor) DO UPDATE SET level = excluded.level, expires_at = excluded.expires_at,"
            " position = excluded.position WHERE g.position < excluded.position",
            [(grant.actor, grant.level, grant.expires_at, grant.position) for grant in grants],
        )
        self._grants.note(grants)

    async def begin(self) -> None:
        """Know all that is known, before the first command is decided."""
        for event_type in HEARD:
            await self._client.subscribe(wire.event_subject(event_type, "*"), cb=self._hear)
        await self._read()
        await self._catch_up()

    async def run(self, leases: Leases) -> None:
        """Read the table for ever, where another replica writes it."""
        while True:
            await pinged(self._signal, POLL_SECONDS)
            self._signal.clear()
            if leases.holds(self.name):
                continue
            try:
                await self._read()
            except DATABASE_AWAY as error:
                log.warning("grants_not_read", service=self._store.service.name, error=repr(error))

    def recheck(self) -> None:
        """The connection is new: something may have been missed."""
        self._signal.set()

    async def _hear(self, message: Msg) -> None:
        try:
            event = from_message(message.headers or {}, message.data)
        except Unreadable:
            return  # the consumer puts it among the dead letters
        self._grants.note(granted([event]))

    async def _read(self) -> None:
        async with self._store.pool.acquire() as connection:
            rows = await connection.fetch("SELECT actor, level, expires_at, position FROM grants")
        self._grants.note(
            Grant(row["actor"], Authority(row["level"]), row["expires_at"], row["position"]) for row in rows
        )

    async def _catch_up(self) -> None:
        """Hear what happened while no replica ran, if the guardian is there to tell of it."""
        async with self._store.pool.acquire() as connection:
            mark = await connection.fetchval(
                "SELECT coalesce(max(position), 0) FROM checkpoints WHERE consumer = $1", self.name
            )
        while events := await self._events(mark + 1):
            self._grants.note(granted(events))
            mark = events[-1].position

    async def _events(self, first: int) -> list[Received]:
        """Events of the guardian from a position; none when it is away."""
        if self._store.service.name == GUARDIAN:
            rows = await self._store.events_between(first, 2**62, PAGE)
            return [from_row(GUARDIAN, row) for row in rows]
        body = orjson.dumps({"from": first, "limit": PAGE})
        try:
            reply = await self._client.request(wire.query_subject(GUARDIAN, "events"), body, ANSWER_SECONDS)
        except (nats.errors.Error, TimeoutError) as error:
            log.info("guardian_not_asked", service=self._store.service.name, error=repr(error))
            return []
        answer = orjson.loads(reply.data)
        return [Received(**event) for event in answer["result"]["events"]] if answer["ok"] else []


def granted(events: Sequence[Received]) -> Iterator[Grant]:
    """What events say of authority, in their order."""
    for received in events:
        event = received.event() if received.source == GUARDIAN and received.type in HEARD else None
        if isinstance(event, GuardianAuthorityGranted):
            yield Grant(event.actor, event.level, event.expires_at, received.position)
        elif isinstance(event, GuardianAuthorityRevoked):
            yield Grant(event.actor, Authority.WORKER, None, received.position)
