"""A process that runs services, with the embedded stack beneath it where no servers are named."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from omoi.credentials import Credentials
from omoi.permissions import users
from omoi.process import Host, Urls, named_servers, running, shared_out
from omoi.services import all_services, service_names
from shared.contracts.messages import ANONYMOUS
from shared.kernel import tracing
from shared.kernel.database import role_of
from shared.kernel.permissions import actor_user, anonymous_user
from shared.kernel.schema import migrate
from shared.kernel.settings import Settings
from shared.stack import OPERATOR, RunningStack, Stack
from shared.stack.passwords import known_passwords


@asynccontextmanager
async def hosting(
    settings: Settings, names: Sequence[str] = (), urls: Urls | None = None
) -> AsyncIterator[Host]:
    """Run services (all of them when none is named) until the block ends.

    Without URLs, given or in the settings, the embedded stack is started first and stopped last. Schemas are
    migrated where the database's user may do that: who has a role of its own for each service may not.
    """
    if settings.traces:
        tracing.configure()
    services = all_services()
    chosen = [services[name] for name in names or services]
    async with AsyncExitStack() as undo:
        urls = urls or await _servers(settings, undo)
        if settings.credentials is None and not _is_a_role(urls.database):
            await migrate(urls.database, [service.name for service in chosen])
        yield await undo.enter_async_context(running(chosen, settings, urls))


def _is_a_role(database_url: str) -> bool:
    return urlsplit(database_url).username in {role_of(name) for name in service_names()}


async def _servers(settings: Settings, undo: AsyncExitStack) -> Urls:
    if named := named_servers(settings):
        return named
    stack = await Stack.start(
        settings.home,
        [*users([OPERATOR, *service_names()]), anonymous_user()],
        default_user=ANONYMOUS if settings.allow_anonymous else None,
        sync_always=settings.sync_always,
        guest=actor_user,
    )
    await undo.enter_async_context(stack)
    database, nats = settings.database_url, settings.nats_url
    return Urls(
        database or stack.database_url,
        nats or stack.nats_url(),
        lambda service: Urls(database or stack.role_url(role_of(service)), nats or stack.nats_url(service)),
    )


def beside(stack: RunningStack, home: Path) -> Urls:
    """The servers of an embedded stack that another process runs, whose roles need no passwords."""
    held = Credentials(known_passwords(home), dict.fromkeys(service_names(), ""))
    return shared_out(Urls(stack.database_url, stack.nats_url), held)
