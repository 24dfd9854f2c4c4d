"""Why a task does not move, and what would move it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from services.scheduler.dispatch import agents_full, no_agent, reasons
from services.scheduler.lock import Lock
from services.scheduler.queries.task import known_task, lease_end
from services.scheduler.share import Share
from services.scheduler.tables import can_do, columns
from services.scheduler.task import Task
from services.scheduler.ticket import Ticket
from services.scheduler.way_out import WAY_OUT
from shared.contracts.task import Explain
from shared.kernel.reading import Reading


async def explain(query: Explain, reading: Reading) -> Mapping[str, Any]:
    """Why a task is not handed out: what the claim itself would find, with what stands in the way by name."""
    task = await known_task(query.task_id, reading)
    ticket = await reading.state(Ticket, task.ticket_id) or Ticket()
    locks = [await reading.state(Lock, resource_key) or Lock() for resource_key in task.resources]
    shares = [await reading.state(Share, share_id) or Share() for share_id, _ in task.shares]
    found = [await _in_detail(dict(one), task, reading) for one in reasons(task, ticket, locks, shares)]
    told = {"task_id": task.task_id, "status": task.status, "dispatchable": not found, "reasons": found}
    return {**told, **await _remarks(task, reading)}


async def _remarks(task: Task, reading: Reading) -> Mapping[str, Any]:
    """What holds up no claim and is still worth knowing; left out when there is nothing to say."""
    required = task.required_capabilities
    if task.ended or task.claimed:
        return {}
    able = [can_do([one]).label(f"able_{number}") for number, one in enumerate(required)]
    here, anywhere = can_do(required, task.phase_id).label("here"), can_do(required).label("anywhere")
    free = can_do(required, task.phase_id, free=True).label("free")
    [found] = await reading.rows(select(here, anywhere, free, *able))
    missing = [one for number, one in enumerate(required) if not found[f"able_{number}"]]
    if found["here"] and not found["free"]:
        return {"remarks": [agents_full()]}
    if found["here"] or not (required or found["anywhere"]):
        return {}
    return {"remarks": [no_agent(task, missing, elsewhere=found["anywhere"])]}


async def _in_detail(found: dict[str, Any], task: Task, reading: Reading) -> dict[str, Any]:
    reason = {**found, "way_out": WAY_OUT[found["code"]]}
    if reason["code"] == "claimed":
        return {**reason, "until": await lease_end(task.task_id, reading)}
    if reason["code"] == "lock_held":
        return {**reason, "held_by": [await _until_when(one, reading) for one in reason["held_by"]]}
    if "task_ids" in reason:
        named = select(columns.task_id, columns.title, columns.status, columns.agent_id)
        return {**reason, "tasks": await reading.rows(named.where(columns.task_id.in_(reason["task_ids"])))}
    return reason


async def _until_when(held_by: dict[str, Any], reading: Reading) -> dict[str, Any]:
    """A lock without a time of its own is held as long as the claim that took it."""
    until = held_by["until"] or await lease_end(held_by["task_id"], reading)
    return {**held_by, "until": until}
