"""What an agent must know about a claimed task, gathered from the services."""

from dataclasses import dataclass
from typing import Any

from omoi.worker.brief import Brief
from shared.client import Client
from shared.contracts.phase import GetTicket, GetWorkflow
from shared.contracts.task import ClaimedTask, GetTask


@dataclass(frozen=True)
class Briefing:
    """The brief, and the outputs that will be measured."""

    brief: Brief
    expected_outputs: tuple[dict[str, Any], ...]


async def briefing(client: Client, claimed: ClaimedTask) -> Briefing:
    """Ask phase for the ticket and its phase's definition, and the scheduler for the task's story."""
    ticket = await client.query(GetTicket(ticket_id=claimed.ticket_id))
    task = await client.query(GetTask(task_id=claimed.task_id))
    workflow = await client.query(GetWorkflow(name=ticket["workflow"], version=ticket["workflow_version"]))
    phase: dict[str, Any] = next(
        (p for p in workflow["document"]["phases"] if p["id"] == claimed.phase_id), {}
    )
    brief = {
        "task": claimed.model_dump(mode="json"),
        "ticket": {"ticket_id": claimed.ticket_id, "title": ticket["title"], "priority": ticket["priority"]}
        | {name: ticket["details"].get(name) for name in ("description", "tags", "repository")},
        "visit": claimed.visit,
        "phase_prompt": phase.get("phase_prompt", ""),
        "done_definitions": phase.get("done_definitions", []),
        "expected_outputs": phase.get("expected_outputs", []),
        "next_steps": phase.get("next_steps_guide", ""),
        "blocking_reasons": task.get("blocking_reasons", []),
    }
    return Briefing(brief, tuple(phase.get("expected_outputs", [])))
