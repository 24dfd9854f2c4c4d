"""The scheduler as a process of its own, for tests that kill it: serve_scheduler.py DATABASE_URL NATS_URL."""

import asyncio
import sys

from services.scheduler.service import scheduler
from shared.kernel.metrics import Metrics
from shared.kernel.runtime import Runtime
from shared.kernel.settings import Settings


async def serve(database_url: str, nats_url: str) -> None:
    """Serve until killed."""
    async with Runtime(
        scheduler, Settings(), database_url=database_url, nats_url=nats_url, metrics=Metrics()
    ):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
