"""A process that runs services, with the embedded stack beneath it where no servers are named."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from omoi.process import Host, Urls, running
from omoi.services import all_services
from shared.kernel import tracing
from shared.kernel.schema import migrate
from shared.kernel.settings import Settings
from shared.stack import NatsUser, Stack

ANONYMOUS = NatsUser(
    "anonymous",
    publish=("cmd.*.*", "ask.*.*", "qry.>", "$JS.API.STREAM.INFO.EVENTS", "$JS.API.CONSUMER.CREATE.EVENTS.>"),
    subscribe=("_INBOX.>", "evt.>"),
)
"""Whoever connects without credentials: commands without a name, questions, and listening."""


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
        yield await undo.enter_async_context(running(chosen, settings, urls))


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
