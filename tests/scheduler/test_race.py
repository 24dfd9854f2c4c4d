"""Two replicas of the scheduler, and everybody at once."""

import asyncio

from shared.testing.world import until
from tests.scheduler.conftest import Shop


async def test_many_agents_never_get_the_same_task(shop: Shop) -> None:
    for number in range(60):
        await shop.create(f"task-{number:02}")
    won = await asyncio.gather(*(shop.claim() for _ in range(100)))
    handed_out = [task["task_id"] for tasks in won for task in tasks]
    assert sorted(handed_out) == sorted(f"task-{number:02}" for number in range(60))
    assert len(won) == 100


async def test_no_task_of_a_visit_outlives_it_whoever_was_faster(shop: Shop) -> None:
    move = shop.do("enter_phase", ticket_id="T-1", from_phase="BACKLOG", phase_id="CHECK", visit=1)
    late = asyncio.create_task(asyncio.wait_for(move, 10))
    await asyncio.gather(*(shop.create(f"task-{number:02}") for number in range(40)), late)

    async def nothing_is_left_behind() -> bool:
        nodes = (await shop.query("dag_status", ticket_id="T-1"))["nodes"]
        left = [node for node in nodes if (node["phase_id"], node["status"]) == ("BACKLOG", "ready")]
        return not left and len(nodes) == 41

    assert await until(nothing_is_left_behind)


async def test_two_tasks_are_never_made_to_wait_for_each_other(shop: Shop) -> None:
    names = [shop.create(name) for name in "abc"]
    await asyncio.gather(*names)
    wishes = [("a", "b"), ("b", "c"), ("c", "a")]
    answers = await asyncio.gather(
        *(
            shop.world.ask("scheduler.add_dependency", {"task_id": one, "depends_on": other})
            for one, other in wishes
        )
    )
    assert sorted(answer.get("code", "") for answer in answers) == ["", "", "dependency_cycle"]
