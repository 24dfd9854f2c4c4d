"""The registry beside the scheduler: beats that fail to come, and what each hears of the other."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.phase.service import phase
from services.registry.service import registry
from services.scheduler.service import scheduler
from shared.kernel.schema import migrate
from shared.testing.world import World, until

PATIENCE_SECONDS = 30.0


@pytest.fixture
async def running(a_world: World) -> AsyncIterator[World]:
    """A world with tickets, tasks and agents."""
    await migrate(a_world.database_url, ["phase", "scheduler", "registry"])
    async with a_world.running(phase, scheduler, registry):
        yield a_world


async def ask(world: World, command: str, /, *, actor: str = "operator", **fields: Any) -> Any:
    answer = await world.ask(command, fields, actor=actor)
    return answer["result"] if answer["ok"] else answer


async def the(world: World, agent_id: str) -> Any:
    return (await world.query("registry.get_agent", {"agent_id": agent_id}))["result"]


async def becomes(world: World, agent_id: str, **wanted: Any) -> Any:
    """The agent once it is so."""

    async def is_so() -> Any:
        agent = await the(world, agent_id)
        return agent if wanted.items() <= agent.items() else None

    return await until(is_so, PATIENCE_SECONDS)


async def claimed(world: World, agent_id: str, title: str) -> Any:
    """A new task in the hands of the agent."""
    ticket = await ask(world, "phase.open_ticket", title=title)
    kind = {"task_type": "write", "title": title, "max_retries": 0}

    async def made() -> Any:
        answer = await world.ask("scheduler.create_task", {"ticket_id": ticket["ticket_id"], **kind})
        return answer["ok"] and answer["result"]

    await until(made, PATIENCE_SECONDS)
    won = await ask(world, "scheduler.claim_task", agent_id=agent_id, wait_seconds=5)
    return won["tasks"][0]


async def test_an_agent_that_falls_silent_is_warned_of_degraded_and_lost_and_comes_back_in_a_new_session(
    running: World,
) -> None:
    await ask(running, "registry.register", agent_id="a", idle_seconds=0.5)
    await becomes(running, "a", status="IDLE", missed=1)
    await becomes(running, "a", status="DEGRADED", missed=2, health=0.5)
    await becomes(running, "a", status="FAILED", missed=3, health=0)
    session = await ask(running, "registry.heartbeat", agent_id="a", session=1)
    assert (session["session"], session["status"]) == (2, "IDLE")
    stale = await ask(running, "registry.heartbeat", agent_id="a", session=1)
    assert stale["code"] == "stale_session"
    assert "Register again." in stale["message"]


async def test_the_registry_knows_what_an_agent_has_and_how_it_has_done(running: World) -> None:
    await ask(running, "registry.register", agent_id="a", capacity=2)
    task = await claimed(running, "a", "First")
    busy = await becomes(running, "a", status="RUNNING", running=1)
    assert busy["tasks"] == [task["task_id"]]
    report = {"task_id": task["task_id"], "claim_epoch": task["claim_epoch"]}
    await ask(running, "scheduler.complete_task", **report)
    done = await becomes(running, "a", status="IDLE", running=0, completed=1)
    assert done["record"] == [{"task_type": "write", "completed": 1, "failed": 0}]
    task = await claimed(running, "a", "Second")
    report = {"task_id": task["task_id"], "claim_epoch": task["claim_epoch"]}
    await ask(running, "scheduler.fail_task", **report, error="no", retryable=False)
    await becomes(running, "a", running=0, completed=1, failed=1)
    found = await running.query("registry.best_fit", {"task_type": "write"})
    assert found["result"]["parts"]["success"] == 0.5


async def test_a_quarantined_agent_loses_its_tasks_and_no_beat_lets_it_back(running: World) -> None:
    await ask(running, "registry.register", agent_id="a")
    task = await claimed(running, "a", "First")
    await becomes(running, "a", running=1)
    refused = await ask(running, "registry.quarantine", actor="a", agent_id="a", reason="odd")
    assert (refused["code"], refused["details"]["required"]) == ("not_authorised", "GUARDIAN")
    await ask(running, "registry.quarantine", agent_id="a", reason="It lies.")
    lost = await becomes(running, "a", status="QUARANTINED", running=0)
    assert (lost["failed"], lost["quarantine_reason"]) == (0, "It lies.")
    report = {"task_id": task["task_id"], "claim_epoch": task["claim_epoch"]}
    assert (await ask(running, "scheduler.extend_claim", **report)).get("ok") is False
    beat = await ask(running, "registry.heartbeat", agent_id="a", session=1)
    assert beat["status"] == "QUARANTINED"
    nobody = await running.query("registry.best_fit")
    assert nobody["code"] == "no_agent_fits"

    async def is_refused() -> bool:
        answer = await ask(running, "scheduler.claim_task", agent_id="a")
        return bool(answer.get("code") == "agent_is_quarantined")

    await until(is_refused, PATIENCE_SECONDS)
    await ask(running, "registry.release", agent_id="a")
    assert (await running.query("registry.best_fit"))["result"]["agent_id"] == "a"

    async def claims() -> bool:
        return "tasks" in await ask(running, "scheduler.claim_task", agent_id="a")

    await until(claims, PATIENCE_SECONDS)


async def test_nobody_acts_for_the_agent_of_another(running: World) -> None:
    await ask(running, "registry.register", actor="ann", agent_id="a")
    refused = await ask(running, "registry.heartbeat", actor="eve", agent_id="a", session=1)
    assert (refused["code"], refused["details"]["registered_by"]) == ("not_authorised", "ann")
    for actor in ("ann", "a", "operator"):
        assert "session" in await ask(running, "registry.heartbeat", actor=actor, agent_id="a", session=1)
