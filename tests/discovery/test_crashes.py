"""Kill -9 at every step between a discovery and the task it spawns: readers see both or neither."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats.errors
import pytest

from services.discovery import queries
from services.discovery.discovery import DiscoveryNotFound
from services.discovery.service import discovery
from services.scheduler.service import scheduler
from shared.kernel.ending import end_all
from shared.kernel.schema import migrate
from shared.testing.world import World, until
from tests.discovery.conftest import BUG, SECONDS, Bench

ROOT = Path(__file__).parents[2]
SERVICES = {"discovery": discovery, "scheduler": scheduler}
STEPS = [
    ("discovery", "commits", "discovery.branch_requested"),
    ("discovery", "committed", "discovery.branch_requested"),
    ("scheduler", "hears", "discovery.branch_requested"),
    ("scheduler", "sent", "discovery.branch_requested"),
    ("scheduler", "commits", "task.created"),
    ("scheduler", "committed", "task.created"),
    ("discovery", "hears", "task.created"),
    ("discovery", "sent", "task.created"),
    ("discovery", "commits", "discovery.branch_created"),
    ("discovery", "committed", "discovery.branch_created"),
]
QUICK = STEPS[4:9:2] + STEPS[5:6]
"""Those of which a task without its discovery would come if anything did; the others take a minute more."""
SPAWN = BUG | {"spawn_phase_id": "TEST", "discovery_id": "d-1", "spawned_task_id": "glue"}


@asynccontextmanager
async def dying(world: World, service: str, step: str, event: str) -> AsyncIterator[Process]:
    """The service as a process that will be killed at the step."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.discovery.dying",
        *(service, step, event, world.database_url, world.nats_url),
        cwd=ROOT,
        stdout=PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout
    async with asyncio.timeout(60):
        while await process.stdout.readline() != b"ready\n":
            assert process.returncode is None, "it ended before it was ready"
    reading = asyncio.ensure_future(process.stdout.read())
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


async def asked(world: World, question: str, **body: Any) -> dict[str, Any] | None:
    """The answer; None while the service is away, or cannot say yet."""
    try:
        answer = await world.query(question, body, seconds=5)
    except (nats.errors.NoRespondersError, nats.errors.TimeoutError):
        return None
    return None if answer.get("code") == "unavailable" else answer


class Readers:
    """Ask one service after the other, in either order, and note every contradiction."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.torn: list[str] = []
        self.rounds = 0

    async def read(self) -> None:
        """Look until cancelled."""
        while True:
            await self.task_first()
            await self.discovery_first()
            self.rounds += 1
            await asyncio.sleep(0.01)

    async def task_first(self) -> None:
        """Whoever has seen the task sees the discovery."""
        task = await asked(self.world, "scheduler.get_task", task_id="glue")
        if not (task and task["ok"]):
            return
        seen = await asked(self.world, "discovery.get_discovery", discovery_id="d-1")
        if seen and not (seen["ok"] and seen["result"]["branches"]):
            self.torn.append(f"the task without the discovery: {seen}")
        page = await asked(self.world, "discovery.list_discoveries", ticket_id="T-1")
        if page and not (page["result"]["discoveries"] or page["result"]["under_way"]):
            self.torn.append(f"the task without the discovery in the list: {page}")

    async def discovery_first(self) -> None:
        """Whoever has seen the discovery sees the task."""
        found = await asked(self.world, "discovery.list_discoveries", ticket_id="T-1")
        if not (found and found["result"]["discoveries"]):
            return
        task = await asked(self.world, "scheduler.get_task", task_id="glue")
        if task and not task["ok"]:
            self.torn.append(f"the discovery without the task: {task}")


async def branched(bench: Bench) -> dict[str, Any]:
    """Ask until there is an answer, with the same id."""
    while True:
        try:
            answer = await bench.world.ask(
                "discovery.branch", SPAWN, actor="ann", command_id="b-1", seconds=3
            )
        except (nats.errors.NoRespondersError, nats.errors.TimeoutError):
            await asyncio.sleep(0.1)
            continue
        if answer.get("code") != "unavailable":
            result: dict[str, Any] = answer
            return result


async def crash(world: World, service: str, step: str, event: str) -> Readers:
    """Let one service be killed at a step of a branch, and start it again; what readers saw meanwhile."""
    await migrate(world.database_url, ["discovery", "scheduler"])
    bench, readers = Bench(world), Readers(world)
    async with world.running(discovery, scheduler):
        await bench.ticket()
        await bench.task()
    other = next(name for name in SERVICES if name != service)
    async with world.running(SERVICES[other]), dying(world, service, step, event) as process:
        reading = asyncio.create_task(readers.read())
        answering = asyncio.create_task(branched(bench))
        async with asyncio.timeout(SECONDS):
            await process.wait()
        assert process.returncode == -signal.SIGKILL
        await world.execute(f"UPDATE {service}.leases SET expires_at = now()")
        async with world.running(SERVICES[service]):
            async with asyncio.timeout(2 * SECONDS):
                answer = await answering
            seen = readers.rounds

            async def seen_by_readers() -> bool:
                return readers.rounds > seen + 2 or reading.done()

            await until(seen_by_readers, seconds=SECONDS)
            await end_all([reading])
            assert answer["ok"], answer
            told = answer["result"]
            assert (told["discovery_id"], told["spawned_task_id"]) == ("d-1", "glue")
            assert told["workflow_branched"]
            assert (await bench.status("d-1", "in_progress"))["branches"][0]["spawned_task_id"] == "glue"
            assert (await bench.query("scheduler.get_task", task_id="glue"))["status"] == "ready"
            created = await bench.world.fetch(
                "SELECT FROM discovery.events WHERE type = 'discovery.branch_created'"
            )
            assert len(created) == 1
    return readers


@pytest.mark.parametrize(
    ("service", "step", "event"),
    [
        pytest.param(*step, id=" ".join(step), marks=[] if step in QUICK else [pytest.mark.slow])
        for step in STEPS
    ],
)
async def test_a_crash_between_discovery_and_task_is_seen_by_nobody(
    a_world: World, service: str, step: str, event: str
) -> None:
    readers = await crash(a_world, service, step, event)
    assert readers.torn == []


async def test_readers_that_do_not_wait_would_see_one_without_the_other(
    a_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_: object) -> None:
        """Look at what is there."""

    monkeypatch.setattr(queries, "_patiently", at_once)  # planted fault
    monkeypatch.setattr(queries, "Unavailable", DiscoveryNotFound)  # planted fault
    readers = await crash(a_world, "discovery", "commits", "discovery.branch_created")
    assert readers.torn
