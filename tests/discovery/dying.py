"""A service as a process that is killed at one step: dying.py SERVICE STEP EVENT DATABASE_URL NATS_URL.

STEP is `commits` or `committed` for before or after the append of the event, `hears` or `sent` for before or
after the commands are sent that the event asks for.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from omoi.services import all_services
from shared.kernel import lanes, pull
from shared.kernel.metrics import Metrics
from shared.kernel.reacting import Reacting
from shared.kernel.runtime import Runtime
from shared.kernel.settings import Settings
from shared.kernel.store import Appended, Batch, Moved, Store


def die_when(wanted: str, step: str, types: Sequence[str], event: str) -> None:
    """Be killed if this is the step, as by `kill -9`."""
    if step == wanted and event in types:
        os.kill(os.getpid(), signal.SIGKILL)


def plant(step: str, event: str) -> None:
    """Let the process die at the step."""
    append, prepare = Store.append, Reacting.prepare

    async def dying_append(self: Store, batch: Batch) -> Appended | Moved:
        types = [row[3] for row in batch.events]
        die_when("commits", step, types, event)
        outcome = await append(self, batch)
        die_when("committed", step, types, event)
        return outcome

    async def dying_prepare(self: Reacting, events: Sequence[Any]) -> None:
        types = [received.type for received in events]
        die_when("hears", step, types, event)
        await prepare(self, events)
        die_when("sent", step, types, event)

    Store.append = dying_append  # type: ignore[method-assign]
    Reacting.prepare = dying_prepare  # type: ignore[method-assign]
    # What a killed replica held comes to the next one after two seconds, not after half a minute.
    vars(lanes)["durable"] = partial(pull.durable, ack_wait=2.0)


async def serve(service: str, database_url: str, nats_url: str) -> None:
    """Serve until it is killed."""
    declared = all_services()[service]
    async with Runtime(declared, Settings(), database_url=database_url, nats_url=nats_url, metrics=Metrics()):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    name, at_step, at_event, *urls = sys.argv[1:]
    plant(at_step, at_event)
    asyncio.run(serve(name, *urls))
