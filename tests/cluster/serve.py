"""One of the kernel's test services as a process: serve.py DATABASE_URL NATS_URL SERVICE."""

import asyncio
import signal
import sys

from shared.kernel.metrics import Metrics
from shared.kernel.runtime import Runtime
from shared.kernel.settings import Settings
from tests.kernel import book, ear, till

SERVICES = {service.name: service for service in (till.till, ear.ear, book.book)}


async def serve(database_url: str, nats_url: str, name: str) -> None:
    """Serve until SIGTERM."""
    asked_to_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_stop.set)
    settings = Settings(replicas=3, check_seconds=1.0)
    async with Runtime(
        SERVICES[name], settings, database_url=database_url, nats_url=nats_url, metrics=Metrics()
    ):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asked_to_stop.wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
