"""Locks on the real thing: asked for by many, over two replicas, and through a restart."""

import asyncio
from typing import Any

import pytest

from services.scheduler.service import scheduler
from services.scheduler.tables import metadata
from shared.client import Client
from shared.client import acquire as acquire_with_retries
from shared.contracts.lock import AcquireLock
from shared.testing.world import World, until
from tests.scheduler.conftest import Shop


def wish(task_id: str, **fields: Any) -> dict[str, Any]:
    return {"resource_key": "src/app.py", "task_id": task_id, "agent_id": "bob", **fields}


async def acquire(world: World, task_id: str, **fields: Any) -> dict[str, Any]:
    return await world.ask("scheduler.acquire_lock", wish(task_id, **fields), seconds=30)


async def standing(world: World, key: str) -> list[str]:
    listed = (await world.query("scheduler.list_locks"))["result"]["locks"]
    return [one["task_id"] for lock in listed for one in lock[key]]


async def waits(world: World, *task_ids: str) -> None:
    async def in_line() -> bool:
        return await standing(world, "waiting") == list(task_ids)

    assert await until(in_line, 30)


async def test_whoever_waits_is_answered_when_the_lock_is_its_own(shop: Shop) -> None:
    world = shop.world
    assert (await acquire(world, "t1"))["ok"]
    second = asyncio.create_task(acquire(world, "t2", wait_seconds=25))
    await waits(world, "t2")
    third = asyncio.create_task(acquire(world, "t3", wait_seconds=25))
    await waits(world, "t2", "t3")
    await shop.do("release_lock", resource_key="src/app.py", task_id="t1")
    answer = await second
    assert (answer["result"]["granted"], answer["result"]["fencing_token"]) == (True, 2)
    assert not third.done()
    await shop.do("release_lock", resource_key="src/app.py", task_id="t2")
    assert (await third)["result"]["fencing_token"] == 3


async def test_whoever_waits_in_vain_is_refused_and_out_of_the_line(shop: Shop) -> None:
    await acquire(shop.world, "t1")
    answer = await acquire(shop.world, "t2", wait_seconds=0.3)
    assert (answer["ok"], answer["code"]) == (False, "lock_held")
    assert await standing(shop.world, "waiting") == []


async def test_the_attempt_is_an_event_won_or_lost(shop: Shop) -> None:
    await acquire(shop.world, "t1")
    await acquire(shop.world, "t2")
    heard = await shop.world.events(2, 30, "evt.lock.wait_time.>")
    assert [message.subject.split(".")[-1] for message in heard] == ["c3JjL2FwcC5weQ"] * 2


@pytest.fixture
async def a_schema(a_world: World) -> World:
    await a_world.install(scheduler, tables=[metadata])
    return a_world


async def test_a_place_in_line_survives_a_restart(a_schema: World) -> None:
    world = a_schema
    async with world.running(scheduler):
        await acquire(world, "t1", ttl_seconds=900)
        lost = asyncio.create_task(
            world.ask("scheduler.acquire_lock", wish("t2", wait_seconds=600), command_id="c-2", seconds=60)
        )
        await waits(world, "t2")
    assert (await lost)["code"] == "unavailable"
    async with world.running(scheduler):
        last = asyncio.create_task(acquire(world, "t3", wait_seconds=600))
        await waits(world, "t2", "t3")
        again = asyncio.create_task(
            world.ask("scheduler.acquire_lock", wish("t2", wait_seconds=600), command_id="c-2", seconds=60)
        )
        await world.ask("scheduler.release_lock", {"resource_key": "src/app.py", "task_id": "t1"})
        assert (await again)["result"]["granted"]
        assert not last.done()
        last.cancel()


async def test_locks_are_listed_by_who_holds_or_awaits_them(shop: Shop) -> None:
    await acquire(shop.world, "t1", resource_key="src/a_b.py")
    await acquire(shop.world, "t2", resource_key="src/aXb.py", agent_id="eve")
    await acquire(shop.world, "t2", resource_key="docs/a.md", agent_id="eve")

    async def listed(**wanted: Any) -> list[str]:
        return [lock["resource_key"] for lock in (await shop.query("list_locks", **wanted))["locks"]]

    assert await listed() == ["docs/a.md", "src/aXb.py", "src/a_b.py"]
    assert await listed(resource_prefix="src/a_") == ["src/a_b.py"]
    assert await listed(agent_id="eve") == ["docs/a.md", "src/aXb.py"]
    assert await listed(task_id="t1") == ["src/a_b.py"]
    assert await listed(after="docs/a.md", limit=1) == ["src/aXb.py"]


async def test_a_client_tries_again_until_the_lock_is_free_or_its_retries_are_over(shop: Shop) -> None:
    wanted = AcquireLock(resource_key="src/app.py", task_id="t2", agent_id="eve")
    await acquire(shop.world, "t1")
    async with await Client.connect(shop.world.nats_url, "operator") as client:
        lost = await acquire_with_retries(client, wanted, max_retries=2, base_backoff_seconds=0.01)
        assert (lost.ok, lost.code) == (False, "lock_held")
        assert len(await shop.world.events(4, 30, "evt.lock.wait_time.>")) == 4
        trying = asyncio.create_task(acquire_with_retries(client, wanted, max_retries=8))
        await shop.world.events(5, 30, "evt.lock.wait_time.>")
        await shop.do("release_lock", resource_key="src/app.py", task_id="t1")
        assert (await trying).accepted().result["granted"]
