"""Finding the running system."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.client import Client, Unreachable
from shared.kernel.settings import Settings
from shared.stack import running_stack


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
