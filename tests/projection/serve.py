"""The projection as a process of its own, for tests that kill it: DATABASE_URL NATS_URL."""

import asyncio
import signal
import sys

from services.projection.service import projection
from shared.kernel.metrics import Metrics
from shared.kernel.runtime import Runtime
from shared.kernel.settings import Settings


async def serve(database_url: str, nats_url: str) -> None:
    """Serve until SIGTERM."""
    asked_to_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_stop.set)
    replica = Runtime(projection, Settings(), database_url=database_url, nats_url=nats_url, metrics=Metrics())
    async with replica:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asked_to_stop.wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
