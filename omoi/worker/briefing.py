"""What an agent must know about a claimed task, gathered from the services."""

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog

from omoi.worker.brief import Brief
from omoi.worker.remembering import remembered
from shared.client import Client, ClientError
from shared.contracts.context import ContextForPhase
from shared.contracts.phase import GetTicket, GetWorkflow
from shared.contracts.task import ClaimedTask, GetTask

log = structlog.get_logger()

CONTEXT_SECONDS = 3.0
"""How long the context is waited for: a task is better begun without it than not at all."""


@dataclass(frozen=True)
class Briefing:
    """The brief, and the outputs that will be measured."""

    brief: Brief
    expected_outputs: tuple[dict[str, Any], ...]


async def briefing(client: Client, claimed: ClaimedTask) -> Briefing:
    """Ask phase for the ticket and its phase's definition, the scheduler for the task's story, context for
    what is known so far, and memory for what was learnt elsewhere."""
    ticket = await client.query(GetTicket(ticket_id=claimed.ticket_id))
    task = await client.query(GetTask(task_id=claimed.task_id))
    workflow = await client.query(GetWorkflow(name=ticket["workflow"], version=ticket["workflow_version"]))
    phase: dict[str, Any] = next(
        (p for p in workflow["document"]["phases"] if p["id"] == claimed.phase_id), {}
    )
    context, memory = await asyncio.gather(_context(client, claimed), remembered(client, claimed))
    brief = {
        "task": claimed.model_dump(mode="json", exclude={"context"}),
        "ticket": {"ticket_id": claimed.ticket_id, "title": ticket["title"], "priority": ticket["priority"]}
        | {name: ticket["details"].get(name) for name in ("description", "tags", "repository")},
        "visit": claimed.visit,
        "phase_prompt": phase.get("phase_prompt", ""),
        "done_definitions": phase.get("done_definitions", []),
        "expected_outputs": phase.get("expected_outputs", []),
        "next_steps": phase.get("next_steps_guide", ""),
        "blocking_reasons": task.get("blocking_reasons", []),
        "context": context,
        "memory": memory,
    }
    return Briefing(brief, tuple(phase.get("expected_outputs", [])))


async def _context(client: Client, claimed: ClaimedTask) -> str:
    """What was done before, in words.

    Context knows what the tasks of this very visit found, too; the claim knows what it was told when the
    ticket came into the phase, and serves while context is away.
    """
    query = ContextForPhase(ticket_id=claimed.ticket_id, phase_id=claimed.phase_id, visit=claimed.visit)
    try:
        return str((await client.query(query, patience=CONTEXT_SECONDS))["summary"])
    except ClientError as error:
        log.warning("brief_without_context", task_id=claimed.task_id, error=str(error))
        return claimed.context
