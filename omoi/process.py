"""Services that run in one process; `python -m omoi.process` runs those that are installed."""

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import structlog
import uvloop

from omoi import credentials
from omoi.services import all_services
from shared.contracts.phase import LoadWorkflow
from shared.kernel import logs, tracing
from shared.kernel.declaration import Service
from shared.kernel.http import Pages, serving
from shared.kernel.metrics import Metrics
from shared.kernel.runtime import Runtime
from shared.kernel.settings import Settings

log = structlog.get_logger()
READY_SECONDS = 60.0
GC_THRESHOLDS = (20_000, 20, 50)
USAGE = 2


@dataclass(frozen=True)
class Urls:
    """Where the servers are. `own` tells it to each service, with credentials of its own."""

    database: str
    nats: str
    own: "Callable[[str], Urls] | None" = None

    def of(self, service: str) -> "Urls":
        """What a service connects to."""
        return self.own(service) if self.own else self


def named_servers(settings: Settings) -> Urls | None:
    """The servers that the environment names, if it names both kinds."""
    database, nats = settings.database_url, settings.nats_url
    if not (database and nats):
        return None
    if settings.credentials is None:
        return Urls(database, nats)
    return shared_out(Urls(database, nats), credentials.read(settings.credentials))


def shared_out(urls: Urls, held: credentials.Credentials) -> Urls:
    """The same servers, for each service under its own user and role."""

    def own(service: str) -> Urls:
        return Urls(held.database_url(urls.database, service), held.nats_url(urls.nats, service))

    return Urls(urls.database, urls.nats, own)


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


@asynccontextmanager
async def running(services: Sequence[Service], settings: Settings, urls: Urls) -> AsyncIterator[Host]:
    """Run services, whose schemas are there, until the block ends."""
    metrics = Metrics()
    runtimes = [_runtime(service, settings, urls.of(service.name), metrics) for service in services]
    async with AsyncExitStack() as undo:
        for runtime in runtimes:
            await undo.enter_async_context(runtime)
            if runtime.service.name == LoadWorkflow.owner() and settings.workflows is not None:
                await undo.enter_async_context(_watching(runtime, settings.workflows))
        _collect_less()
        if settings.http_port is not None:
            pages = Pages(runtimes, metrics)
            await undo.enter_async_context(serving(pages, settings.http_host, settings.http_port))
        yield Host(urls, runtimes)


def _runtime(service: Service, settings: Settings, urls: Urls, metrics: Metrics) -> Runtime:
    return Runtime(service, settings, database_url=urls.database, nats_url=urls.nats, metrics=metrics)


def _watching(runtime: Runtime, folder: Path) -> AbstractAsyncContextManager[None]:
    # It knows workflows as phase does, whose code is nowhere else but where phase runs.
    from omoi.workflow_folder import watching
    from omoi.workflow_loading import loading

    return watching(folder, loading(runtime))


def until_signal() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def _collect_less() -> None:
    """What is loaded stays, so the cycle collector need not walk it again with every thousand new objects."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def main() -> int:
    """Run the installed services at the servers that the environment names, until SIGTERM."""
    settings = Settings()
    logs.configure(settings.log_level)
    if settings.traces:
        tracing.configure()
    try:
        urls = named_servers(settings)
    except credentials.CredentialsProblem as problem:
        log.critical("credentials_unusable", problem=str(problem))
        return USAGE
    if urls is None:
        log.critical("servers_not_named", missing="OMOI_DATABASE_URL and OMOI_NATS_URL must both be set")
        return USAGE
    return uvloop.run(_run(settings, urls))


async def _run(settings: Settings, urls: Urls) -> int:
    stop = until_signal()
    async with running(list(all_services().values()), settings, urls):
        await stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
