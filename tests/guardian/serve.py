"""Services in a process of their own, for tests that kill it: serve.py DATABASE_URL NATS_URL SERVICE..."""

import asyncio
import importlib
import sys
from contextlib import AsyncExitStack

from shared.kernel.metrics import Metrics
from shared.kernel.runtime import Runtime
from shared.kernel.settings import Settings


async def serve(database_url: str, nats_url: str, *names: str) -> None:
    """Serve until killed."""
    settings, metrics = Settings(), Metrics()
    async with AsyncExitStack() as running:
        for name in names:
            service = getattr(importlib.import_module(f"services.{name}.service"), name)
            replica = Runtime(
                service, settings, database_url=database_url, nats_url=nats_url, metrics=metrics
            )
            await running.enter_async_context(replica)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
