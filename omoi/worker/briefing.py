"""What an agent must know about a claimed task, gathered from the services."""

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog

from omoi.worker.brief import Brief
from omoi.worker.remembering import noted, remembered
from shared.client import Client, ClientError
from shared.contracts import projection
from shared.contracts.context import ContextForPhase
from shared.contracts.phase import GetTicket, GetWorkflow
from shared.contracts.task import ClaimedTask, GetTask

log = structlog.get_logger()

THERE_SECONDS = 1.0
"""How long a sign of life is waited for."""
BRIEF_SECONDS = 10.0
BRIEF_TOKENS = 32_000
"""A small part of what agents can read; most briefs are far below."""
CONTEXT_SECONDS = 3.0
"""How long the context is waited for: a task is better begun without it than not at all."""


@dataclass(frozen=True)
class Briefing:
    """The brief, and the outputs that will be measured."""

    brief: Brief
    expected_outputs: tuple[dict[str, Any], ...]


async def briefing(client: Client, claimed: ClaimedTask) -> Briefing:
    """Ask the projection, which knows all of it; whoever owns the parts while it is away."""
    brief = await _from_projection(client, claimed) or await _from_owners(client, claimed)
    return Briefing(brief, tuple(brief["expected_outputs"]))


async def _from_projection(client: Client, claimed: ClaimedTask) -> dict[str, Any] | None:
    """The brief once the projection has heard all that the scheduler has said; None while it is away."""
    try:
        await client.query_raw("projection", "position", patience=THERE_SECONDS)
        said = await client.query_raw("scheduler", "position", patience=THERE_SECONDS)
        marks = {"scheduler": said["position"]}
        query = projection.Brief(task_id=claimed.task_id, max_tokens=BRIEF_TOKENS, min_position=marks)
        told = await client.query(query, patience=BRIEF_SECONDS)
    except ClientError as error:
        log.warning("brief_without_projection", task_id=claimed.task_id, error=str(error))
        return None
    task = claimed.model_dump(mode="json", exclude={"context"})
    return {
        **told,
        "task": {**task, "description": told["task"].get("description", "")},
        "context": told["context"] or claimed.context,
        "memory": await noted(client, claimed, told["memory"]),
    }


async def _from_owners(client: Client, claimed: ClaimedTask) -> dict[str, Any]:
    """Ask phase for the ticket and its phase's definition, the scheduler for the task's story, context for
    what is known so far, and memory for what was learnt elsewhere."""
    ticket = await client.query(GetTicket(ticket_id=claimed.ticket_id))
    task = await client.query(GetTask(task_id=claimed.task_id))
    workflow = await client.query(GetWorkflow(name=ticket["workflow"], version=ticket["workflow_version"]))
    phase: dict[str, Any] = next(
        (p for p in workflow["document"]["phases"] if p["id"] == claimed.phase_id), {}
    )
    context, memory = await asyncio.gather(_context(client, claimed), remembered(client, claimed))
    return {
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
