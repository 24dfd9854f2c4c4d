"""A guardian intervenes while `omoi worker` works, and undoes it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.guardian.service import guardian
from shared.contracts.agent import Register
from shared.contracts.guardian import CancelTask, PauseTicket, ReallocateCapacity, Revert
from shared.contracts.messages import Command
from shared.contracts.task import ClaimTask, Explain
from shared.kernel.schema import migrate
from shared.testing.world import World
from tests.worker.fleet import Fleet
from tests.worker.project import Project
from tests.worker.test_worker import cli_worker, running

WHY = "It burns."


@pytest.fixture
async def guarded(a_world: World, running_fleet: Fleet) -> AsyncIterator[Fleet]:
    """The services that workers talk to, and a guardian over them."""
    await migrate(a_world.database_url, ["guardian"])
    async with a_world.running(guardian):
        yield running_fleet


async def intervene(fleet: Fleet, command: Command) -> str:
    """Do it, and answer its id."""
    outcome = (await fleet.client.ask(command, patience=30)).accepted().result
    assert outcome["status"] == "in_effect"
    return str(outcome["intervention_id"])


async def undo(fleet: Fleet, intervention_id: str) -> dict[str, Any]:
    """What is again."""
    revert = Revert(intervention_id=intervention_id, reason="It was a drill.")
    restored: dict[str, Any] = (await fleet.client.ask(revert, patience=30)).accepted().result["after"]
    return restored


@asynccontextmanager
async def worker(fleet: Fleet, project: Project, *more: str) -> AsyncIterator[Path]:
    """`omoi worker` whose tasks go on until the folder holds a file of their id."""
    done = fleet.folder / "done"
    done.mkdir()
    command = f'while [ ! -e "{done}/$OMOI_TASK_ID" ]; do sleep 0.1; done'
    process = await cli_worker(fleet, project, command, *more)
    try:
        yield done
    finally:
        process.terminate()
        process.terminate()
        async with asyncio.timeout(60):
            await process.wait()


async def test_a_cancelled_task_s_process_stops_and_a_revert_has_it_done_again(
    guarded: Fleet, project: Project
) -> None:
    ticket = await guarded.ticket(project.root)
    task = await guarded.task(ticket)
    work_root = guarded.folder / "home" / "work"
    async with worker(guarded, project) as done:
        await guarded.status(task, "running")
        await guarded.until(lambda: asyncio.sleep(0, running(work_root)), bool)
        cancelled = await intervene(guarded, CancelTask(task_id=task, reason=WHY))
        await guarded.status(task, "cancelled")
        await guarded.until(lambda: asyncio.sleep(0, running(work_root)), lambda found: not found)
        assert (await undo(guarded, cancelled))["status"] == "ready"
        assert (await guarded.status(task, "running"))["attempt"] == 2
        (done / task).touch()
        await guarded.status(task, "completed")


async def test_a_worker_takes_as_many_tasks_as_a_guardian_lets_it_have(
    guarded: Fleet, project: Project
) -> None:
    ticket = await guarded.ticket(project.root)
    (await guarded.client.ask(Register(agent_id="spare", capacity=1))).accepted()
    async with worker(guarded, project, "--concurrency", "3") as done:
        await guarded.agent("cli-1", "IDLE")
        less = ReallocateCapacity(from_agent="cli-1", to_agent="spare", capacity=2, reason=WHY)
        moved = await intervene(guarded, less)
        claim = ClaimTask(agent_id="cli-1", task_types=("none-of-this-type",))

        async def limit() -> Any:
            return (await guarded.client.ask(claim)).accepted().result["capacity"]

        await guarded.until(limit, lambda capacity: capacity == 1)
        tasks = [await guarded.task(ticket) for _ in range(3)]
        await guarded.status(tasks[0], "running")
        more = (await guarded.client.ask(ClaimTask(agent_id="cli-1", max_tasks=5))).accepted().result
        assert (more["tasks"], more["running"]) == ([], 1)
        assert await undo(guarded, moved) == {"capacity": {"cli-1": 3, "spare": 1}}
        for task in tasks:
            await guarded.status(task, "running")
        for task in tasks:
            (done / task).touch()
        for task in tasks:
            await guarded.status(task, "completed")


async def test_a_worker_gets_nothing_of_a_paused_ticket_and_ends_what_it_has(
    guarded: Fleet, project: Project
) -> None:
    ticket, other = await guarded.ticket(project.root), await guarded.ticket(project.root)
    first = await guarded.task(ticket)
    async with worker(guarded, project) as done:
        await guarded.status(first, "running")
        paused = await intervene(guarded, PauseTicket(ticket_id=ticket, reason=WHY))
        second, elsewhere = await guarded.task(ticket), await guarded.task(other)
        (done / first).touch()
        await guarded.status(first, "completed")
        await guarded.status(elsewhere, "running")
        explained = await guarded.client.query(Explain(task_id=second))
        assert [reason["code"] for reason in explained["reasons"]] == ["ticket_paused"]
        (done / elsewhere).touch()
        await guarded.status(elsewhere, "completed")
        assert await undo(guarded, paused) == {"paused": None}
        await guarded.status(second, "running")
        (done / second).touch()
        await guarded.status(second, "completed")
