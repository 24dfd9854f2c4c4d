"""The till service as a process of its own, for tests that kill it: serve_till.py DATABASE_URL NATS_URL."""

import asyncio
import signal
import sys
from functools import partial

from shared.kernel import lanes, pull
from shared.kernel.metrics import Metrics
from shared.kernel.runtime import Runtime
from shared.kernel.settings import Settings
from tests.kernel.till import till


def hand_out_again_soon() -> None:
    """What a killed replica held comes to the next one after two seconds, not after half a minute."""
    vars(lanes)["durable"] = partial(pull.durable, ack_wait=2.0)


async def serve(database_url: str, nats_url: str) -> None:
    """Serve until SIGTERM."""
    asked_to_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_stop.set)
    replica = Runtime(till, Settings(), database_url=database_url, nats_url=nats_url, metrics=Metrics())
    async with replica:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asked_to_stop.wait()


if __name__ == "__main__":
    hand_out_again_soon()
    asyncio.run(serve(*sys.argv[1:]))
