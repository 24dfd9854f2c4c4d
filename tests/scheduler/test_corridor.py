"""Tasks that need locks or count against limits: which a claim is offered, however many wait for the same."""

import random
from dataclasses import replace
from itertools import product

import pytest

from services.scheduler.claim import ReadyCandidates
from services.scheduler.task import Task
from tests.scheduler.conftest import Shop
from tests.scheduler.test_index import fill

READY = Task(phase_id="BUILD", status="ready", ticket_id="T-9")
EVERYTHING = ReadyCandidates(None, None, 16)


def some_tasks(chance: random.Random) -> list[Task]:
    """Tasks that need up to three of six locks, in tickets and workflows of which some have limits."""
    return [
        replace(
            READY,
            task_id=f"task-{number:03}",
            ticket_id=(ticket_id := f"T-{chance.randint(1, 4)}"),
            task_type=chance.choice(["a", "b"]),
            rank=float(chance.randint(0, 200)),
            resources=tuple(sorted(chance.sample("uvwxyz", chance.choice([0, 0, 1, 1, 2, 3])))),
            max_running_per_ticket={"T-1": 1, "T-2": 2}.get(ticket_id),
            workflow=(workflow := chance.choice(["calm", "busy"])),
            max_running_per_workflow={"busy": 3}.get(workflow),
        )
        for number in range(300)
    ]


@pytest.mark.parametrize("seed", range(6))
async def test_the_first_task_that_may_be_claimed_is_offered_first_and_no_other_than_those(
    shop: Shop, seed: int
) -> None:
    chance = random.Random(seed)
    tasks = some_tasks(chance)
    await fill(shop, tasks)
    await shop.world.fetch("ANALYZE scheduler.task_index")
    for _ in range(8):
        held = set(chance.sample("uvwxyz", chance.randint(0, 5)))
        running = {"ticket/T-1": chance.randint(0, 1), "workflow/busy": chance.randint(0, 3)}
        await shop.world.execute("DELETE FROM scheduler.lock_index; DELETE FROM scheduler.share_index")
        for name in held:
            await shop.world.fetch("INSERT INTO scheduler.lock_index VALUES ($1, '[]', '[]', '{}')", name)
        for name, count in running.items():
            await shop.world.fetch("INSERT INTO scheduler.share_index VALUES ($1, $2)", name, count)
        for tickets, limit in product((None, ("T-1", "T-3"), ("T-2",)), (1, 3, 16)):
            claimable = [
                (task.rank, task.task_id)
                for task in tasks
                if not held & set(task.resources)
                and all(running.get(share_id, 0) < most for share_id, most in task.shares)
                and (tickets is None or task.ticket_id in tickets)
            ]
            found = await shop.find(replace(EVERYTHING, tickets=tickets, limit=limit))
            places = {task_id: place for place, (_, task_id) in enumerate(sorted(claimable))}
            assert [places[task_id] for task_id in found[:1]] == ([0] if claimable else [])
            assert [places[task_id] for task_id in found] == sorted(places[task_id] for task_id in found)


async def test_tasks_with_different_locks_behind_a_held_one_are_passed_over_at_once(shop: Shop) -> None:
    await shop.do("acquire_lock", resource_key="x", task_id="t1", agent_id="eve")
    behind = [
        replace(READY, task_id=f"n-{n:04}", rank=float(n), resources=(f"f-{n}", "x")) for n in range(3000)
    ]
    await fill(shop, behind)
    await fill(shop, [replace(READY, task_id="free", rank=9e9, resources=("y",))])
    await fill(shop, [replace(READY, task_id="also", rank=9.1e9, resources=("f-17",))])
    for table in ("task_index", "task_room", "task_corridor", "lock_index"):
        await shop.world.fetch(f"ANALYZE scheduler.{table}")
    named = replace(EVERYTHING, tickets=("T-9",))
    for lookup in (EVERYTHING, named):
        assert await shop.find(lookup) == ("free", "also")
        plan = await shop.plan(lookup, analyse=True)
        assert max(rows_of(plan)) < 100
    await shop.do("release_lock", resource_key="x", task_id="t1")
    for lookup in (EVERYTHING, named):
        assert await shop.find(lookup) == ("n-0000", "free", "also")


def rows_of(plan: str) -> list[int]:
    """How many rows each step of a plan has met."""
    steps = [line.split("actual rows=")[1] for line in plan.splitlines() if "actual rows=" in line]
    met = [int(float(step.split(" ")[0])) * int(step.split("loops=")[1].split(")")[0]) for step in steps]
    lines = [line.rsplit(": ", 1)[1] for line in plan.splitlines() if "Rows Removed by" in line]
    return [*met, *(int(line) for line in lines)]


async def test_nothing_is_left_of_rooms_and_corridors_when_their_tasks_are_gone(shop: Shop) -> None:
    names = [f"task-{number:02}" for number in range(12)]
    for name in names:
        await shop.create(name, resources=["x", f"{name}.py"])
    [one] = await shop.world.fetch("SELECT rooms FROM scheduler.room_need WHERE need = 'lock/x'")
    assert one["rooms"] == 12
    corridors = await shop.world.fetch("SELECT need FROM scheduler.task_corridor ORDER BY need")
    assert [row["need"] for row in corridors] == ["lock/x", None]
    for name in names:
        await shop.do("cancel_task", task_id=name)
    for table in ("task_room", "task_corridor", "room_need"):
        assert await shop.world.fetch(f"SELECT * FROM scheduler.{table}") == []
