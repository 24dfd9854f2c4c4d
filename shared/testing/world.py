"""A real Postgres and a real NATS for tests: one stack a run, a database and empty streams a test."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import nats
import orjson
from alembic.migration import MigrationContext
from alembic.operations import Operations
from nats.aio.client import Client
from nats.js.errors import NotFoundError
from sqlalchemy import Connection, MetaData, NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from shared.kernel import schema, wire
from shared.kernel.declaration import Service
from shared.kernel.journal import metadata as journal_metadata
from shared.kernel.metrics import Metrics
from shared.kernel.runtime import Runtime
from shared.kernel.servers import nats_servers
from shared.kernel.settings import Settings

PATIENCE_SECONDS = 30.0
"""As long as anything may take on a machine that is busy with other tests."""
STREAMS = (wire.COMMANDS_STREAM, wire.EVENTS_STREAM, wire.DEAD_STREAM)


@dataclass
class World:
    """Where one test lives."""

    database_url: str
    nats_url: str
    client: Client
    settings: Settings = field(default_factory=Settings)
    metrics: Metrics = field(default_factory=Metrics)

    async def install(self, *services: Service, tables: Sequence[MetaData] = ()) -> None:
        """Make the schemas of services declared in tests."""
        engine = create_async_engine(
            self.database_url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool
        )
        async with engine.begin() as connection:
            for service in services:
                await connection.run_sync(_install, service, tables)
        await engine.dispose()

    def runtime(self, service: Service) -> Runtime:
        """A replica of a service, not started."""
        return Runtime(
            service,
            self.settings,
            database_url=self.database_url,
            nats_url=self.nats_url,
            metrics=self.metrics,
        )

    @asynccontextmanager
    async def running(self, *services: Service) -> AsyncIterator[list[Runtime]]:
        """Replicas of services, started; the same service twice makes two replicas."""
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(self.runtime(service)) for service in services]

    async def ask(
        self,
        name: str,
        body: Any = None,
        *,
        actor: str | None = None,
        command_id: str | None = None,
        seconds: float = PATIENCE_SECONDS,
    ) -> dict[str, Any]:
        """Ask `till.pay` as anybody could: plain JSON in, the answer out."""
        subject = f"ask.{name}" + (f".{actor}" if actor else "")
        return await self._request(subject, body, {wire.CE_ID: command_id} if command_id else None, seconds)

    async def query(self, name: str, body: Any = None, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Ask the question `till.get_till`."""
        return await self._request(f"qry.{name}", body, None, seconds)

    async def _request(
        self, subject: str, body: Any, headers: dict[str, str] | None, seconds: float
    ) -> dict[str, Any]:
        reply = await self.client.request(subject, encoded(body), timeout=seconds, headers=headers)
        answer: dict[str, Any] = orjson.loads(reply.data)
        return answer

    async def send(self, name: str, body: Any = None, *, actor: str | None = None, **headers: str) -> None:
        """Send `till.pay` on the durable lane."""
        subject = f"cmd.{name}" + (f".{actor}" if actor else "")
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        await self.client.jetstream().publish(subject, encoded(body), headers=sent or None)

    async def tell(
        self,
        name: str,
        body: Any = None,
        *,
        actor: str | None = None,
        command_id: str | None = None,
        seconds: float = PATIENCE_SECONDS,
    ) -> dict[str, Any]:
        """Send `till.pay` on the durable lane; returns the answer that comes to its `reply_to`."""
        inbox = self.client.new_inbox()
        subscription = await self.client.subscribe(inbox, max_msgs=1)
        headers = {wire.REPLY_TO: inbox} | ({wire.CE_ID: command_id} if command_id else {})
        await self.client.jetstream().publish(
            f"cmd.{name}" + (f".{actor}" if actor else ""), encoded(body), headers=headers
        )
        answer: dict[str, Any] = orjson.loads((await subscription.next_msg(timeout=seconds)).data)
        return answer

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Look into the database."""
        connection = await asyncpg.connect(self.database_url)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
            return rows
        finally:
            await connection.close()

    async def execute(self, sql: str) -> None:
        """Change something in the database."""
        connection = await asyncpg.connect(self.database_url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def events(
        self, count: int, seconds: float = PATIENCE_SECONDS, subject: str = "evt.>"
    ) -> list[Any]:
        """The first `count` messages that the broker holds."""
        subscription = await self.client.jetstream().subscribe(subject, ordered_consumer=True)
        async with asyncio.timeout(seconds):
            found = [await subscription.next_msg(timeout=seconds) for _ in range(count)]
        await subscription.unsubscribe()
        return found


def encoded(body: Any) -> bytes:
    """A body as it goes over the wire; bytes go as they are."""
    return body if isinstance(body, bytes) else orjson.dumps({} if body is None else body)


def _install(connection: Connection, service: Service, tables: Sequence[MetaData]) -> None:
    schema._prepare(connection, service.name)
    op = Operations(MigrationContext.configure(connection))
    connection.exec_driver_sql("CREATE TABLE alembic_version (version_num text)")
    schema.install_kernel(op, service.name)
    for metadata in tables:
        schema.install_tables(op, service.name, metadata)
    if service.read_models:
        schema.install_tables(op, service.name, journal_metadata)
        for model in service.read_models:
            schema.install_tables(op, service.name, model.table.metadata, owned=True)


@asynccontextmanager
async def world(database_url: str, nats_url: str) -> AsyncIterator[World]:
    """A new database on the server of `database_url`, and streams without a message."""
    name = f"test_{uuid4().hex[:12]}"
    await _administer(database_url, f'CREATE DATABASE "{name}"')
    client = await nats.connect(**nats_servers(nats_url)._asdict(), max_reconnect_attempts=-1)
    try:
        # The embedded broker's supervisor takes a store without any stream for a lost one.
        await client.jetstream().add_stream(name="TESTS", subjects=["tests"])
        await empty(client)
        yield World(urlsplit(database_url)._replace(path=f"/{name}").geturl(), nats_url, client)
    finally:
        await client.close()
        await _administer(database_url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _administer(database_url: str, statement: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def empty(client: Client) -> None:
    """Delete the streams and all their consumers."""
    for name in STREAMS:
        try:
            await client.jetstream(timeout=30).delete_stream(name)
        except NotFoundError:
            continue


async def until(condition: Any, seconds: float = PATIENCE_SECONDS, pause: float = 0.02) -> Any:
    """Wait for an async condition to become true; returns its value."""
    async with asyncio.timeout(seconds):
        while not (value := await condition()):  # noqa: ASYNC110 - what is waited for is elsewhere
            await asyncio.sleep(pause)
        return value
