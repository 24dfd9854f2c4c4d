"""A service of one release as a process: serve.py DATABASE_URL NATS_URL RELEASE SERVICE."""

import asyncio
import importlib
import signal
import sys

from shared.kernel.metrics import Metrics
from shared.kernel.runtime import Runtime
from shared.kernel.settings import Settings


async def serve(database_url: str, nats_url: str, release: str, name: str) -> None:
    """Serve until SIGTERM."""
    asked_to_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_stop.set)
    service = getattr(importlib.import_module(f"tests.upgrade.{release}.{name}"), name)
    settings = Settings(check_seconds=1.0)
    async with Runtime(service, settings, database_url=database_url, nats_url=nats_url, metrics=Metrics()):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asked_to_stop.wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
