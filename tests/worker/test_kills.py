"""Workers that are killed at random and replaced: each task is done once, and nothing of the dead is left."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections import Counter
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest
from ruamel.yaml import YAML

from shared.contracts.phase import LoadWorkflow, OpenTicket
from shared.contracts.task import CompleteTask, GetTask
from shared.testing.world import until
from tests.worker.fleet import Fleet
from tests.worker.project import Project

ROOT = Path(__file__).parents[2]
TASKS, WORKERS, KILLS = 12, 3, 5
LEASE_SECONDS = 10
PATIENCE_SECONDS = 120
COMMAND = 'sleep 0.5; echo done > "$OMOI_TASK_ID.txt"'


async def hasty_ticket(fleet: Fleet, project: Project) -> str:
    """A ticket whose claims run out soon."""
    document = YAML(typ="safe").load(ROOT / "workflows/software_development.yaml")
    hasty = document | {"name": "hasty", "lease_seconds": LEASE_SECONDS}
    await fleet.until(lambda: fleet.client.ask(LoadWorkflow(document=hasty)), lambda answer: answer.ok)
    opened = OpenTicket(
        ticket_id=str(uuid4()), title="A chair", repository=str(project.root), workflow="hasty"
    )
    (await fleet.client.ask(opened)).accepted()
    return str(opened.ticket_id)


class Crew:
    """Workers as users start them, each under a name of its own."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.home = fleet.folder / "home"
        self.workers: list[Process] = []
        self.hired = 0

    async def hire(self) -> Process:
        """One more worker."""
        self.hired += 1
        environment = {"OMOI_NATS_URL": self.fleet.url, "OMOI_HOME": str(self.home)}
        worker = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).parent / "omoi"), "worker"),
            *("--agent", f"worker-{self.hired}", "--exec", COMMAND),
            env={**os.environ, **environment},
            start_new_session=True,
        )
        self.workers.append(worker)
        return worker

    async def end(self, *, kill: bool = False) -> None:
        """Tell all of them to stop, or kill them."""
        for worker in self.workers:
            if worker.returncode is None:
                worker.kill() if kill else worker.terminate()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(worker.wait() for worker in self.workers))

    def left(self) -> list[str]:
        """Worktrees of attempts."""
        return [path.name for path in (self.home / "work").glob("*")]


async def killed_at_random(crew: Crew, chance: Random) -> None:
    for _ in range(WORKERS):
        await crew.hire()
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(2, 5))
        victim = chance.choice([worker for worker in crew.workers if worker.returncode is None])
        victim.kill()
        await victim.wait()
        await crew.hire()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_workers_killed_at_random_lose_no_task_and_do_none_twice(
    running_fleet: Fleet, project: Project
) -> None:
    fleet, crew = running_fleet, Crew(running_fleet)
    ticket = await hasty_ticket(fleet, project)
    tasks = [await fleet.task(ticket, max_retries=20) for _ in range(TASKS)]
    try:
        await killed_at_random(crew, Random(3))
        done = [await completed(fleet, task_id) for task_id in tasks]
        await crew.end()
        await crew.hire()
        await fleet.until(lambda: asyncio.sleep(0, crew.left()), lambda left: not left)
        await crew.end()
    finally:
        await crew.end(kill=True)
    again = [task_id for task_id, epoch in zip(tasks, done, strict=True) if epoch > 1]
    assert again, "no worker was killed at work"
    for task_id in again:
        late = await fleet.client.ask(CompleteTask(task_id=task_id, claim_epoch=1))
        assert late.code == "stale_claim"
    events = [received async for _, received in fleet.client.events(ticket_id=ticket, follow=False)]
    told = Counter(received.event().task_id for received in events if received.type == "task.completed")  # type: ignore[union-attr]
    assert told == dict.fromkeys(tasks, 1)
    for task_id in tasks:
        changes = project.git("log", "--format=%H", "main", "--", f"{task_id}.txt").split()
        assert len(changes) == 1
    assert project.branches() == ["main"]
    assert len(project.git("worktree", "list").splitlines()) == 1


async def completed(fleet: Fleet, task_id: str) -> int:
    """The epoch under which the task was completed, once it is."""

    async def epoch() -> int:
        task = await fleet.client.query(GetTask(task_id=task_id))
        return int(task["claim_epoch"]) if task["status"] == "completed" else 0

    found: int = await until(epoch, PATIENCE_SECONDS)
    return found
