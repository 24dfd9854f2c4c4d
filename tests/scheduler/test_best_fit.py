"""Push mode on the real thing: the scheduler asks the registry, and tasks go to the agents that fit best."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.phase.service import phase
from services.registry.service import registry
from services.scheduler.service import scheduler
from shared.kernel.schema import migrate
from shared.testing.world import World, until

PATIENCE_SECONDS = 30.0


class Firm:
    """A ticket, agents and tasks, seen by the operator."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ticket_id = ""

    async def do(self, name: str, **body: Any) -> dict[str, Any]:
        """Send a command, which must be taken."""
        answer = await self.world.ask(name, body, actor="operator")
        assert answer["ok"], answer
        result: dict[str, Any] = answer["result"]
        return result

    async def open(self) -> None:
        """Open the ticket, and wait until the scheduler knows of it."""
        self.ticket_id = (await self.do("phase.open_ticket", title="A chair"))["ticket_id"]

        async def known() -> bool:
            answer = await self.world.query("scheduler.dag_status", {"ticket_id": self.ticket_id})
            return bool(answer["ok"])

        await until(known, PATIENCE_SECONDS)

    async def agent(self, agent_id: str, *capabilities: str, capacity: int = 1) -> None:
        """Register an agent, which beats seldom."""
        beats = {"idle_seconds": 600, "running_seconds": 600}
        await self.do(
            "registry.register", agent_id=agent_id, capabilities=capabilities, capacity=capacity, **beats
        )

    async def create(self, task_id: str, *capabilities: str) -> str:
        """Make a task that needs these capabilities."""
        named = {"task_id": task_id, "ticket_id": self.ticket_id, "task_type": "chore", "title": task_id}
        await self.do("scheduler.create_task", **named, required_capabilities=capabilities)
        return task_id

    async def task(self, task_id: str) -> dict[str, Any]:
        """A task as the scheduler knows it."""
        found: dict[str, Any] = (await self.world.query("scheduler.get_task", {"task_id": task_id}))["result"]
        return found

    async def assign(self, **wish: Any) -> dict[str, dict[str, Any]]:
        """Have ready tasks assigned; answers them as they are when each assignment is settled."""
        wanted = (await self.do("scheduler.assign_ready_tasks", **wish))["task_ids"]

        async def settled() -> dict[str, dict[str, Any]] | None:
            tasks = {task_id: await self.task(task_id) for task_id in wanted}
            return None if any(task["assignment"]["open"] for task in tasks.values()) else tasks

        found: dict[str, dict[str, Any]] = await until(settled, PATIENCE_SECONDS)
        return found


@pytest.fixture
async def firm(a_world: World) -> AsyncIterator[Firm]:
    """Two replicas of the scheduler, tickets and agents."""
    await migrate(a_world.database_url, ["phase", "scheduler", "registry"])
    async with a_world.running(phase, scheduler, scheduler, registry):
        opened = Firm(a_world)
        await opened.open()
        yield opened


async def test_tasks_go_to_agents_that_can_do_them_and_of_those_to_the_least_busy(firm: Firm) -> None:
    await firm.agent("sawyer", "saw", capacity=20)
    await firm.agent("painter", "paint", capacity=20)
    await firm.agent("master", "saw", "paint", capacity=2)
    await firm.create("both", "saw", "paint")
    for number in range(3):
        await firm.create(f"paint-{number}", "paint")
    for number in range(6):
        await firm.create(f"saw-{number}", "saw")
    await firm.create("fly", "fly")
    tasks = await firm.assign()
    given = {task_id: task["agent_id"] for task_id, task in tasks.items()}
    assert len(given) == 11
    assert {given[f"paint-{n}"] for n in range(3)} == {"painter"}
    assert {given[f"saw-{n}"] for n in range(6)} == {"sawyer"}
    assert (given["both"], given["fly"]) == ("master", None)
    assert tasks["fly"]["status"] == "ready"
    assert "none that is offered work has capability 'fly'" in tasks["fly"]["assignment"]["reason"]
    assert all(task["status"] == "claimed" for name, task in tasks.items() if name != "fly")


async def test_nobody_gets_more_than_his_capacity_and_equals_share_alike(firm: Firm) -> None:
    for agent_id in ("ann", "bob", "eve"):
        await firm.agent(agent_id, capacity=4)
    for number in range(15):
        await firm.create(f"task-{number:02}")
    tasks = await firm.assign(ticket_id=firm.ticket_id)
    assert Counter(task["agent_id"] for task in tasks.values()) == {"ann": 4, "bob": 4, "eve": 4, None: 3}
    left = [task for task in tasks.values() if task["agent_id"] is None]
    assert {task["status"] for task in left} == {"ready"}
    assert all("busy" in task["assignment"]["reason"] for task in left)


async def test_the_agent_hears_of_its_task_with_its_next_claim_and_once(firm: Firm) -> None:
    await firm.agent("bob", "saw")
    await firm.create("a", "saw")
    await firm.assign()
    (told,) = (await firm.do("scheduler.claim_task", agent_id="bob", capabilities=["saw"]))["tasks"]
    assert (told["task_id"], told["claim_epoch"]) == ("a", 1)
    assert (await firm.do("scheduler.claim_task", agent_id="bob", max_tasks=9))["tasks"] == []
    await firm.do("scheduler.complete_task", task_id="a", claim_epoch=1)


async def test_whoever_is_faster_each_task_has_one_holder_and_one_claim(firm: Firm) -> None:
    for agent_id in ("ann", "bob"):
        await firm.agent(agent_id, capacity=100)
    names = [await firm.create(f"task-{number:02}") for number in range(40)]

    async def claims(agent_id: str) -> list[str]:
        won: list[str] = []
        for _ in range(15):
            answer = await firm.do("scheduler.claim_task", agent_id=agent_id)
            won += [task["task_id"] for task in answer["tasks"]]
        return won

    tasks, *handed_out = await asyncio.gather(firm.assign(), claims("zoe"), claims("ann"))
    won = [task_id for won in handed_out for task_id in won]
    assert len(won) == len(set(won))
    for name in names:
        task = await firm.task(name)
        assert (task["status"], task["claim_epoch"], len(task["attempts"])) == ("claimed", 1, 1)
    assert tasks


async def test_what_is_to_be_assigned_is_not_forgotten_while_the_registry_is_away(a_world: World) -> None:
    await migrate(a_world.database_url, ["phase", "scheduler", "registry"])
    firm = Firm(a_world)
    async with a_world.running(phase, scheduler):
        await firm.open()
        await firm.create("a")
        await firm.do("scheduler.assign_ready_tasks")
    async with a_world.running(registry):
        await firm.agent("bob")
    async with a_world.running(phase, scheduler, registry):

        async def assigned() -> bool:
            return bool((await firm.task("a"))["agent_id"] == "bob")

        await until(assigned, PATIENCE_SECONDS)
