"""Sixteen processes that want the same locks; some are killed, and the scheduler too; judged afterwards."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from services.scheduler.service import scheduler
from services.scheduler.tables import metadata
from shared.contracts.lock import LockAcquired, LockQueued, LockWaitTime
from shared.contracts.messages import Event
from shared.kernel.wire import read_event
from shared.testing.world import World, until
from tests.scheduler.lock_table import LockTable

ROOT = Path(__file__).parents[2]
CLIENTS, KILLED = 16, 5
SECONDS = 15.0
PATIENCE_SECONDS = 60


@dataclass
class Crowd:
    """The processes of one run; none of them outlives it."""

    world: World
    processes: list[Process] = field(default_factory=list)

    async def serve(self) -> Process:
        """A replica of the scheduler."""
        return await self._started("serve_scheduler", self.world.database_url, self.world.nats_url)

    async def client(self, number: int) -> Process:
        """A client; the first ones go on until they are killed."""
        seconds = 1000.0 if number < KILLED else SECONDS
        return await self._started("lock_client", self.world.nats_url, f"client-{number}", str(seconds))

    async def _started(self, module: str, *arguments: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"tests.scheduler.{module}", *arguments, cwd=ROOT, stdout=PIPE
        )
        self.processes.append(process)
        assert process.stdout
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (line := await process.stdout.readline()) != b"ready\n":
                assert line, f"{module} ended before it was ready"
        process.__dict__["telling"] = asyncio.ensure_future(process.stdout.read())
        return process

    async def heard(self, process: Process) -> list[str]:
        """What a client said until it ended."""
        said: bytes = await process.__dict__["telling"]
        return said.decode().splitlines()

    async def end(self) -> None:
        """Kill whoever is left."""
        for process in self.processes:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def contended(world: World, crowd: Crowd) -> list[list[str]]:
    """What the clients were told while a third of them, and the scheduler once, were killed."""
    chance = Random(5)
    serving = await crowd.serve()
    clients = await asyncio.gather(*(crowd.client(number) for number in range(CLIENTS)))
    for number, client in enumerate(clients[:KILLED]):
        await asyncio.sleep(chance.uniform(0.5, 2))
        client.kill()
        if number == 2:
            serving.kill()
            await serving.wait()
            serving = await crowd.serve()
    async with asyncio.timeout(SECONDS + PATIENCE_SECONDS):
        told = [await crowd.heard(client) for client in clients]
    await until(lambda: nothing_is_held(world), PATIENCE_SECONDS, 0.2)
    return told


async def nothing_is_held(world: World) -> bool:
    return not await world.fetch("SELECT FROM scheduler.lock_index")


async def log(world: World) -> list[Event]:
    rows = await world.fetch("SELECT type, schema, data FROM scheduler.events ORDER BY position")
    return [read_event(row["type"], row["schema"], json.loads(row["data"])) for row in rows]


def judged(events: list[Event]) -> LockTable:
    """The table after all of it; each grant was checked against everything before it."""
    table = LockTable()
    for event in events:
        table.hear(event)
    return table


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_sixteen_processes_never_hold_a_lock_they_may_not_and_get_it_in_their_turn(
    a_world: World,
) -> None:
    await a_world.install(scheduler, tables=[metadata])
    crowd = Crowd(a_world)
    try:
        told = await contended(a_world, crowd)
    finally:
        await crowd.end()
    events = await log(a_world)
    table = judged(events)
    assert not any(table.held.values())
    assert not any(table.lines.values())
    finished = [lines for lines in told if lines[-1:] == ["done"]]
    assert len(finished) == CLIENTS - KILLED
    outcomes = Counter(line.split()[1] for lines in told for line in lines if line != "done")
    granted = {event.task_id for event in events if isinstance(event, LockAcquired)}
    assert {line.split()[0] for lines in told for line in lines if line.endswith(" granted")} <= granted
    answered = {(e.request_id, e.resource_key) for e in events if isinstance(e, LockWaitTime)}
    assert {(e.request_id, e.resource_key) for e in events if isinstance(e, LockQueued)} <= answered
    assert outcomes["granted"] > CLIENTS
    assert outcomes["lock_held"] > 0
    assert any(is_refused(jumped) for jumped in islice(jumps(events), 50))


def is_refused(events: list[Event]) -> bool:
    """Whether the table finds the history wrong."""
    try:
        judged(events)
    except AssertionError:
        return True
    return False


def jumps(events: list[Event]) -> Iterator[list[Event]]:
    """Beginnings of the history in which somebody is granted at once what it had to wait for.

    Not each of them is a fault: who waits for two locks may wait for the other one alone.
    """
    for position, event in enumerate(events):
        if isinstance(event, LockQueued):
            later = (e for e in events[position:] if isinstance(e, LockAcquired))
            own = next((e for e in later if e.request_id == event.request_id), None)
            if own and own.resource_key == event.resource_key:
                token = own.model_copy(update={"fencing_token": 10**6})
                yield [*events[: position + 1], token]
