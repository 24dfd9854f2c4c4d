"""The registry as agents meet it: over the wire, with the real database and the real broker."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from services.registry.service import registry
from shared.kernel.schema import migrate
from shared.testing.world import World


@pytest.fixture
async def running(a_world: World) -> AsyncIterator[World]:
    """A world with a registry."""
    await migrate(a_world.database_url, ["registry"])
    async with a_world.running(registry):
        yield a_world


async def ask(world: World, command: str, /, **fields: Any) -> Any:
    answer = await world.ask(f"registry.{command}", fields, actor="operator")
    return answer["result"] if answer["ok"] else answer


async def listed(world: World, **fields: Any) -> list[Any]:
    answer = await world.query("registry.list_agents", fields)
    agents: list[Any] = answer["result"]["agents"]
    return agents


async def test_agents_are_listed_newest_first_with_their_last_beat(running: World) -> None:
    began = datetime.now(UTC)
    await ask(running, "register", agent_id="old", capabilities=["Python "], tags=["fast"], capacity=2)
    await ask(running, "register", agent_id="new")
    new, old = await listed(running)
    assert (new["agent_id"], new["status"], new["session"]) == ("new", "IDLE", 1)
    assert (old["capabilities"], old["tags"], old["capacity"]) == (["python"], ["fast"], 2)
    seen_at = datetime.fromisoformat(old["last_seen_at"])
    assert began <= seen_at <= datetime.now(UTC)
    await ask(running, "heartbeat", agent_id="old", session=1)
    assert datetime.fromisoformat((await listed(running))[1]["last_seen_at"]) > seen_at
    assert [agent["agent_id"] for agent in await listed(running, limit=1)] == ["new"]


async def test_an_agent_at_work_is_running(running: World) -> None:
    await ask(running, "register", agent_id="a")
    session = await ask(running, "heartbeat", agent_id="a", session=1, running=2)
    assert (session["status"], session["heartbeat_seconds"]) == ("RUNNING", 15)
    assert [agent["status"] for agent in await listed(running)] == ["RUNNING"]


async def test_an_agent_that_left_is_listed_only_when_asked_for(running: World) -> None:
    await ask(running, "register", agent_id="a")
    await ask(running, "deregister", agent_id="a")
    assert await listed(running) == []
    assert [agent["status"] for agent in await listed(running, include_terminated=True)] == ["TERMINATED"]


async def test_a_lost_agent_was_last_seen_at_its_last_beat(running: World) -> None:
    await ask(running, "register", agent_id="a")
    beat_at = "2026-01-01T12:00:00.000000+00:00"
    miss = {"agent_id": "a", "session": 1, "interval_seconds": 30, "last_seen_at": beat_at}
    await ask(running, "miss_beat", **miss, missed=3)
    (lost,) = await listed(running)
    assert (lost["status"], lost["last_seen_at"]) == ("FAILED", beat_at)


async def test_one_agent_is_shown_with_all_it_said_of_itself(running: World) -> None:
    said = {"agent_id": "a", "name": "Ann's", "version": "1.2", "phases": ["P"], "metadata": {"model": "x"}}
    await ask(running, "register", **said)
    await ask(running, "register", agent_id="ab")
    await ask(running, "heartbeat", agent_id="ab", session=1, running=1)
    answer = await running.query("registry.get_agent", {"agent_id": "a"})
    assert said.items() <= answer["result"].items()
    assert answer["result"]["status"] == "IDLE"
    nobody = await running.query("registry.get_agent", {"agent_id": "nobody"})
    assert nobody["code"] == "agent_not_found"
