"""The gates service on a real stack, with a ticket before a gate that asks for more than can be measured."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from services.gates.service import gates
from shared.contracts.messages import Authority
from shared.contracts.workflow import Workflow
from shared.kernel.schema import migrate
from shared.kernel.settings import Settings
from shared.testing.world import World

SINCE = "2026-01-01T12:00:00.000000+00:00"
GRANTS = {
    "operator": Authority.SYSTEM,
    "ann": Authority.MONITOR,
    "bob": Authority.MONITOR,
    "eve": Authority.MONITOR,
}
NOTE = {"artifact_type": "note", "artifact_path": "n.md"}


async def ask(world: World, command: str, /, *, actor: str = "operator", **fields: Any) -> Any:
    """What gates answers: the result, or the refusal."""
    answer = await world.ask(f"gates.{command}", fields, actor=actor, seconds=30)
    return answer["result"] if answer["ok"] else answer


async def look(world: World, **fields: Any) -> Any:
    """How the gate of the ticket stands."""
    answer = await world.query("gates.get_gate", {"ticket_id": "T"} | fields, seconds=30)
    return answer["result"] if answer["ok"] else answer


async def enter(world: World, document: Workflow) -> None:
    """The ticket enters CHECK, where one task is to be done."""
    version = document.version
    await ask(world, "follow_workflow", version=version, document=document.model_dump(mode="json"))
    await ask(world, "follow_ticket", ticket_id="T", phase_id="BACKLOG", workflow_version=version)
    await ask(world, "begin_visit", ticket_id="T", phase_id="CHECK", visit=1, at=SINCE)
    await ask(world, "expect_tasks", ticket_id="T", phase_id="CHECK", visit=1, generated=1)


async def hand_in(world: World, content: str = "Because.", task_id: str = "a") -> None:
    """The agent coder-1 has done a task, and everything measured is met."""
    told: dict[str, Any] = {
        "ticket_id": "T",
        "phase_id": "CHECK",
        "visit": 1,
        "task_id": task_id,
        "task_type": "draw",
    }
    ended = {"template": "draw", "status": "completed", "at": SINCE, "agent_id": "coder-1"}
    await ask(world, "collect_task", **told, **ended, artifacts=[{**NOTE, "content": content}])


@asynccontextmanager
async def office(world: World, document: Workflow) -> AsyncIterator[World]:
    """The service runs, and the work of the visit is done."""
    await migrate(world.database_url, ["gates"])
    granted = replace(world, settings=Settings(grants=GRANTS))
    async with granted.running(gates):
        await enter(granted, document)
        await hand_in(granted)
        yield granted
