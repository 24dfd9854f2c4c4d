"""256 agents that claim from 10,000 ready tasks, over two replicas."""

import asyncio

import pytest

from tests.scheduler.conftest import Shop

TASKS, AGENTS, AT_ONCE = 10_000, 256, 10


@pytest.mark.slow
async def test_a_crowd_of_agents_is_handed_each_task_once(shop: Shop) -> None:
    names = [f"task-{number:05}" for number in range(TASKS)]
    making = iter(names)

    async def make() -> None:
        for name in making:
            await shop.create(name)

    await asyncio.gather(*(make() for _ in range(128)))
    won: list[tuple[str, int]] = []

    async def work(agent_id: str) -> None:
        while True:
            body = {"agent_id": agent_id, "max_tasks": AT_ONCE}
            answer = await shop.world.ask("scheduler.claim_task", body, actor="operator", seconds=60)
            assert answer["ok"], answer
            if not answer["result"]["tasks"]:
                return
            won.extend((task["task_id"], task["claim_epoch"]) for task in answer["result"]["tasks"])

    await asyncio.gather(*(work(f"agent-{number}") for number in range(AGENTS)))
    assert sorted(won) == [(name, 1) for name in names]
