"""The memory service as people meet it: over the wire, with the real database and the real broker."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.memory.service import memory
from shared.kernel.schema import migrate
from shared.testing.world import World, until


@pytest.fixture
async def running(a_world: World) -> AsyncIterator[World]:
    await migrate(a_world.database_url, ["memory"])
    async with a_world.running(memory):
        yield a_world


async def stored(world: World, summary: str, **fields: Any) -> str:
    answer = await world.ask("memory.store", {"summary": summary} | fields, actor="ann")
    assert answer["ok"], answer
    return str(answer["result"]["memory_id"])


async def query(world: World, name: str, /, **fields: Any) -> Any:
    answer = await world.query(f"memory.{name}", fields)
    return answer["result"] if answer["ok"] else answer


async def embedded(world: World, count: int) -> None:
    async def done() -> bool:
        rows = await world.fetch("SELECT count(*) FROM memory.embeddings")
        return bool(rows[0][0] == count)

    await until(done, 30)


async def test_a_memory_is_found_by_words_and_by_what_it_means(running: World) -> None:
    key = await stored(running, "Retry uploads with exponential backoff")
    await stored(running, "The certificate has expired")
    await embedded(running, 2)
    found = await query(running, "search", text="uploads are retried, backing off exponentially")
    assert found["memories"][0]["memory_id"] == key
    assert found["degraded"] == ""
