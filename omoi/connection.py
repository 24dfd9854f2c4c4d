"""Finding the running system."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.client import Client, Unreachable
from shared.kernel.settings import Settings
from shared.stack import admit, dismiss, running_stack


@asynccontextmanager
async def connected(actor: str, url: str | None = None) -> AsyncIterator[Client]:
    """A client of the system at `url`, else at OMOI_NATS_URL, else of the stack that runs in OMOI_HOME.

    Raises Unreachable when there is none.
    """
    config = Settings()
    url = url or config.nats_url
    if url is None:
        stack = running_stack(config.home.resolve())
        if stack is None:
            raise Unreachable(
                f"No stack is running in {config.home}. `omoi up` starts one; OMOI_NATS_URL names another."
            )
        url = stack.nats_url
    async with await Client.connect(url, actor) as client:
        yield client


@asynccontextmanager
async def working(agent: str, url: str | None = None, *, passing: bool = False) -> AsyncIterator[Client]:
    """The same for an agent: at the stack of this machine it has a user of its own.

    `passing` says that nobody of that name will come again.
    """
    config = Settings()
    home = config.home.resolve()
    admitted = not (url or config.nats_url) and running_stack(home) is not None
    if admitted:
        url = await admit(home, agent)
    try:
        async with connected(agent, url) as client:
            yield client
    finally:
        if admitted and passing:
            dismiss(home, agent)
