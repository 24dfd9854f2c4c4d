"""What context answers about a ticket, whole or in words."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from services.context.aggregation import VISITS_TOLD, summary_of
from services.context.tables import unwritten
from services.context.ticket import Place, Ticket, check_phase, context_id, not_found, not_known_yet
from services.context.visit import Visit, Work
from services.context.workflow import WorkflowVersion
from shared.contracts.context import ContextForPhase, GetContext, GetSummary, PhaseSummary, Summary
from shared.kernel.reading import Reading

Answered = Mapping[str, Any]

WRITTEN_WITHIN = timedelta(days=1)
"""A model that is configured later, or away for long, is not asked about every old ticket."""


async def get_context(query: GetContext, reading: Reading) -> Answered:
    """`{requirements_phase: {...}, design_phase: {...}, ..., summary, tokens, ticket_id}`.

    A phase holds its last visit, and under `earlier_visits` those before it, the latest first.
    """
    ticket = await _ticket(query.ticket_id, reading)
    visits = await _visits(ticket, ticket.places, reading)
    phases: dict[str, dict[str, Any]] = {}
    for place, visit in sorted(visits, key=lambda one: one[0].visit, reverse=True):
        key = phase_key(place.phase_id)
        if phases.get(key, {}).get("phase_id", place.phase_id) != place.phase_id:
            key = f"{place.phase_id.lower()}_phase"
        if key in phases:
            phases[key]["earlier_visits"].append(_shown(place, visit))
        else:
            phases[key] = {**_shown(place, visit), "earlier_visits": []}
    begun = [phase_key(place.phase_id) for place in ticket.places]
    ordered = sorted(phases, key=lambda key: begun.index(key) if key in begun else len(begun))
    summary = summary_of([visit for _, visit in visits])
    whole = {"summary": summary.text, "tokens": summary.tokens, "ticket_id": query.ticket_id}
    return {key: phases[key] for key in ordered} | whole


async def get_summary(query: GetSummary, reading: Reading) -> Summary:
    """Of every visit, the newest first."""
    ticket = await _ticket(query.ticket_id, reading)
    visits = await _visits(ticket, ticket.places, reading)
    summary = summary_of([visit for _, visit in visits], query.max_tokens)
    return Summary(
        ticket_id=query.ticket_id,
        summary=summary.text,
        tokens=summary.tokens,
        max_tokens=query.max_tokens,
        left_out=summary.left_out,
    )


async def context_for_phase(query: ContextForPhase, reading: Reading) -> PhaseSummary:
    """The visits that began before this one, and what its own tasks have brought forth so far."""
    ticket = await _ticket(query.ticket_id, reading)
    workflow = await reading.state(WorkflowVersion, ticket.workflow_version)
    if workflow is None:
        raise not_known_yet(ticket)
    check_phase(ticket, workflow, query.phase_id)
    number = query.visit or ticket.last_visit(query.phase_id) or 1
    own = ticket.place(query.phase_id, number)
    before = [place for place in ticket.places if own is None or not own.entered or place.at <= own.at]
    visits = await _visits(ticket, before, reading)
    summary = summary_of([visit for _, visit in visits], query.max_tokens)
    return PhaseSummary(
        ticket_id=query.ticket_id,
        phase_id=query.phase_id,
        visit=number,
        summary=summary.text,
        tokens=summary.tokens,
        max_tokens=query.max_tokens,
        left_out=summary.left_out,
        sources=tuple({"phase_id": p.phase_id, "visit": p.visit} for p, visit in visits if visit.revision),
    )


async def unwritten_visits(reading: Reading, limit: int) -> list[tuple[str, int]]:
    """Visits that wait for a model, as context id and revision, the first that was left first."""
    since = func.now() - WRITTEN_WITHIN
    left_at = func.coalesce(unwritten.c.left_at, func.now())
    rows = await reading.rows(
        select(unwritten).where(left_at > since).order_by(left_at, unwritten.c.context_id).limit(limit)
    )
    return [(row["context_id"], row["revision"]) for row in rows]


def phase_key(phase_id: str) -> str:
    """`requirements_phase` of `PHASE_REQUIREMENTS`."""
    return f"{phase_id.removeprefix('PHASE_').lower()}_phase"


async def _ticket(ticket_id: str, reading: Reading) -> Ticket:
    ticket = await reading.state(Ticket, ticket_id)
    if ticket is None:
        raise not_found(ticket_id)
    return ticket


async def _visits(ticket: Ticket, places: Sequence[Place], reading: Reading) -> list[tuple[Place, Visit]]:
    """The newest visits, the newest first."""
    found = []
    for place in reversed(places[-VISITS_TOLD:]):
        key = context_id(ticket.ticket_id, place.phase_id, place.visit)
        visit = await reading.state(Visit, key)
        found.append((place, visit or Visit(ticket.ticket_id, place.phase_id, place.visit)))
    return found


def _shown(place: Place, visit: Visit) -> dict[str, Any]:
    tasks = sorted(visit.tasks.values(), key=lambda task: (task.at, task.task_id))
    return {
        "phase_id": place.phase_id,
        "visit": place.visit,
        "began_at": place.at.isoformat(),
        "left_at": visit.left_at and visit.left_at.isoformat(),
        "closed": visit.closed,
        "tasks": [_task(task) for task in tasks],
        "completed_tasks": visit.completed,
        "decisions": _said(tasks, "decisions"),
        "risks": _said(tasks, "risks"),
        "clarifications": _said(tasks, "clarifications"),
        "discoveries": [*_said(tasks, "discoveries"), *_discovered(visit)],
        "artifacts": [
            {
                "artifact_id": one.artifact_id,
                "type": one.artifact_type,
                "path": one.artifact_path,
                "sha256": one.sha256,
                "summary": one.summary,
                "measured": one.measured,
                "task_id": one.task_id,
            }
            for one in visit.artifacts
        ],
        "gate": visit.verdict
        and {"passed": visit.verdict.passed, "blocking_reasons": list(visit.verdict.blocking_reasons)},
        "left_out": {"tasks": visit.tasks_left_out, "artifacts": visit.artifacts_left_out},
        "notes": [f"{task.name}: {note}" for task in tasks for note in task.found.notes],
        "prose": visit.prose,
    }


def _task(task: Work) -> Answered:
    return {
        "task_id": task.task_id,
        "task_type": task.task_type,
        "title": task.name,
        "status": task.status,
        "agent_id": task.agent_id,
        "at": task.at.isoformat(),
        "summary": task.found.summary,
        "commit": task.found.commit,
        "error": task.error,
    }


def _discovered(visit: Visit) -> list[Answered]:
    return [
        {
            "text": found.text,
            "task_id": found.task_id,
            "discovery_id": found.discovery_id,
            "discovery_type": found.discovery_type,
        }
        for found in reversed(visit.discoveries)
    ]


def _said(tasks: Sequence[Work], kind: str) -> list[Answered]:
    return [
        {"text": text, "task_id": task.task_id, "task_type": task.task_type}
        for task in reversed(tasks)
        for text in getattr(task.found, kind)
    ]
