"""A process that runs services, with the embedded stack beneath it where no servers are named."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import structlog
from uuid_utils import uuid7

from omoi.services import all_services
from omoi.workflow_folder import Load, watching
from shared.contracts.messages import Authority
from shared.contracts.phase import LoadWorkflow
from shared.contracts.workflow import Workflow
from shared.kernel import tracing
from shared.kernel.envelope import Envelope
from shared.kernel.http import Pages, serving
from shared.kernel.metrics import Metrics
from shared.kernel.runtime import Runtime
from shared.kernel.schema import migrate
from shared.kernel.settings import Settings
from shared.stack import NatsUser, Stack

log = structlog.get_logger()
READY_SECONDS = 60.0
GC_THRESHOLDS = (20_000, 20, 50)

ANONYMOUS = NatsUser(
    "anonymous",
    publish=("cmd.*.*", "ask.*.*", "qry.>", "$JS.API.STREAM.INFO.EVENTS", "$JS.API.CONSUMER.CREATE.EVENTS.>"),
    subscribe=("_INBOX.>", "evt.>"),
)
"""Whoever connects without credentials: commands without a name, questions, and listening."""


@dataclass(frozen=True)
class Urls:
    """Where the servers are."""

    database: str
    nats: str


@dataclass
class Host:
    """Running services."""

    urls: Urls
    runtimes: list[Runtime]

    def problems(self) -> dict[str, list[str]]:
        """Why services are not ready, by service; empty when all are."""
        found = {runtime.service.name: runtime.problems() for runtime in self.runtimes}
        return {name: problems for name, problems in found.items() if problems}

    async def ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until every service is ready; raises TimeoutError."""
        deadline = monotonic() + seconds
        while problems := self.problems():
            if monotonic() > deadline:
                raise TimeoutError(f"Not ready after {seconds:g} s: {problems}")
            await asyncio.sleep(0.05)


def _collect_less() -> None:
    """What is loaded stays, so the cycle collector need not walk it again with every thousand new objects."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def loading(runtime: Runtime) -> Load:
    """Loads workflows in the name of the service: who may write to its folder may load."""

    async def load(workflow: Workflow) -> dict[str, Any]:
        envelope = Envelope(
            id=str(uuid7()),
            name=LoadWorkflow.wire_name(),
            command=LoadWorkflow(document=workflow),
            actor=runtime.service.name,
            authority=Authority.SYSTEM,
            received_at=datetime.now(UTC),
        )
        return await runtime.give(envelope)

    return load


@asynccontextmanager
async def hosting(settings: Settings, names: Sequence[str] = ()) -> AsyncIterator[Host]:
    """Run services (all of them when none is named) until the block ends.

    Without URLs in the settings the embedded stack is started first and stopped last.
    """
    if settings.traces:
        tracing.configure()
    services = all_services()
    chosen = [services[name] for name in names or services]
    async with AsyncExitStack() as undo:
        urls = await _servers(settings, undo)
        await migrate(urls.database, [service.name for service in chosen])
        metrics = Metrics()
        runtimes = [
            Runtime(service, settings, database_url=urls.database, nats_url=urls.nats, metrics=metrics)
            for service in chosen
        ]
        for runtime in runtimes:
            await undo.enter_async_context(runtime)
            if runtime.service.name == LoadWorkflow.owner() and settings.workflows is not None:
                await undo.enter_async_context(watching(settings.workflows, loading(runtime)))
        _collect_less()
        if settings.http_port is not None:
            pages = Pages(runtimes, metrics)
            await undo.enter_async_context(serving(pages, settings.http_host, settings.http_port))
        yield Host(urls, runtimes)


async def _servers(settings: Settings, undo: AsyncExitStack) -> Urls:
    if settings.database_url and settings.nats_url:
        return Urls(settings.database_url, settings.nats_url)
    stack = await Stack.start(
        settings.home,
        [NatsUser("operator"), ANONYMOUS],
        default_user=ANONYMOUS.name if settings.allow_anonymous else None,
        sync_always=settings.sync_always,
    )
    await undo.enter_async_context(stack)
    return Urls(settings.database_url or stack.database_url, settings.nats_url or stack.nats_url())
