"""What phase answers about tickets and workflows."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, select

from services.phase.blocker import BlockedBy
from services.phase.done import Task, checked, ticket_of
from services.phase.journey import Standing
from services.phase.tables import blocked_tickets, comments, workflows
from services.phase.ticket import Ticket, not_found
from services.phase.workflow import NamedWorkflow, UnknownWorkflow, WorkflowNames, WorkflowVersion, unknown
from shared.contracts.messages import moment_text
from shared.contracts.phase import (
    DoneCheck,
    GetTicket,
    GetWorkflow,
    ListWorkflows,
    PhaseHistory,
    PhaseTransitioned,
    TicketMigrated,
    TicketOpened,
    TicketView,
    ValidateDone,
    ValidTransitions,
)
from shared.contracts.workflow import Workflow
from shared.kernel.reading import Reading

Answered = Mapping[str, Any]
Gate = Literal["pending", "passed", "failed", "not_configured"]
COMMENTS_SHOWN = 100


async def get_ticket(query: GetTicket, reading: Reading) -> TicketView:
    """The ticket as rules see it; `details` holds what it was opened with and how it got where it is."""
    ticket, standing = await _standing(query.ticket_id, reading)
    journey = ticket.journey
    verdict = journey.verdicts.get(journey.phase_id)
    return TicketView(
        ticket_id=ticket.ticket_id,
        title=ticket.title,
        phase_id=journey.phase_id,
        visit=journey.visits[journey.phase_id],
        workflow=ticket.workflow,
        workflow_version=ticket.workflow_version,
        priority=ticket.priority,
        gate=_gate(standing),
        blocking_reasons=verdict.blocking_reasons if verdict else journey.blocking_reasons,
        details={
            "description": ticket.description,
            "tags": list(ticket.tags),
            "parent_ticket_id": ticket.parent_ticket_id,
            "blocked_by": list(ticket.blocked_by),
            "deadline": _moment(ticket.deadline),
            "repository": ticket.repository,
            "opened_by": ticket.opened_by,
            "opened_at": _moment(ticket.opened_at),
            "reason": journey.reason,
            "forced": journey.forced,
            "blocked_from": journey.came_from if standing.on_hold else None,
            "visits": journey.visits,
            "regressions": journey.regressions,
            **await _comments(ticket.ticket_id, reading),
        },
    )


async def _comments(ticket_id: str, reading: Reading) -> Answered:
    """The last comments, oldest first, and how many there are."""
    of_ticket = select(comments).where(comments.c.ticket_id == ticket_id)
    last = of_ticket.order_by(comments.c.at.desc(), comments.c.comment_id.desc()).limit(COMMENTS_SHOWN)
    [counted] = await reading.rows(
        select(func.count().label("count")).select_from(comments).where(comments.c.ticket_id == ticket_id)
    )
    shown = [
        {
            "comment_id": row["comment_id"],
            "text": row["text"],
            "actor": row["actor"],
            "at": _moment(row["at"]),
        }
        for row in await reading.rows(last)
    ]
    return {"comments": shown[::-1], "comment_count": counted["count"]}


def _moment(at: datetime | None) -> str | None:
    """A time as the wire has it."""
    return None if at is None else moment_text(at)


async def validate_done(query: ValidateDone, reading: Reading) -> DoneCheck:
    """What `record_done_claim` would answer, without recording it."""
    task = await reading.state(Task, query.task_id) or Task()
    _, standing = await _standing(ticket_of(query, task), reading)
    return checked(query, task, standing)


async def blocked_by(lookup: BlockedBy, reading: Reading) -> tuple[str, ...]:
    """One page of the tickets that wait for one."""
    table = blocked_tickets.c
    waiting = select(table.ticket_id).where(
        table.blocked_by.contains([lookup.blocker_id]), table.ticket_id > lookup.after
    )
    rows = await reading.rows(waiting.order_by(table.ticket_id).limit(lookup.limit))
    return tuple(row["ticket_id"] for row in rows)


async def phase_history(query: PhaseHistory, reading: Reading) -> Answered:
    """`{ticket_id, history: [...], migrations: [...]}`, oldest first; the opening comes from nowhere."""
    events = [recorded.event for recorded in await reading.events(Ticket, query.ticket_id)]
    if not events:
        raise not_found(query.ticket_id)
    history = [_entry(event) for event in events if isinstance(event, TicketOpened | PhaseTransitioned)]
    migrations = [
        event.model_dump(mode="json", exclude={"ticket_id"})
        for event in events
        if isinstance(event, TicketMigrated)
    ]
    return {"ticket_id": query.ticket_id, "history": history, "migrations": migrations}


async def valid_transitions(query: ValidTransitions, reading: Reading) -> Answered:
    """Every phase the table allows, with the gates and reasons that still stand before it."""
    _, standing = await _standing(query.ticket_id, reading)
    return {
        "ticket_id": query.ticket_id,
        "phase_id": standing.phase.id,
        "visit": standing.journey.visits[standing.phase.id],
        "transitions": [_way(standing, to_phase) for to_phase in standing.phase.allowed_transitions],
    }


async def get_workflow(query: GetWorkflow, reading: Reading) -> Answered:
    """`{name, version, versions, document}`; the adopted version unless one is named."""
    named = await reading.state(NamedWorkflow, query.name)
    if named is None:
        raise unknown(query.name, await workflow_names(WorkflowNames(), reading))
    version = query.version or named.version
    if version not in named.versions:
        raise UnknownWorkflow(
            f"Workflow {query.name} has no version {version}. It has: {', '.join(named.versions)}.",
            name=query.name,
            version=version,
            versions=list(named.versions),
        )
    document = await _document(version, reading)
    return {
        "name": query.name,
        "version": version,
        "versions": list(named.versions),
        "document": document.model_dump(mode="json"),
    }


async def list_workflows(_: ListWorkflows, reading: Reading) -> Answered:
    """`{workflows: [{name, version}]}` in the order of their names; the version is the adopted one."""
    return {"workflows": await reading.rows(select(workflows).order_by(workflows.c.name))}


async def workflow_names(_: WorkflowNames, reading: Reading) -> tuple[str, ...]:
    """The names in the index."""
    return tuple(
        row["name"] for row in await reading.rows(select(workflows.c.name).order_by(workflows.c.name))
    )


async def _standing(ticket_id: str, reading: Reading) -> tuple[Ticket, Standing]:
    ticket = await reading.state(Ticket, ticket_id)
    if ticket is None:
        raise not_found(ticket_id)
    workflow = await _document(ticket.workflow_version, reading)
    return ticket, Standing(ticket_id, ticket.journey, workflow, ticket.migrations)


async def _document(version: str, reading: Reading) -> Workflow:
    pinned = await reading.state(WorkflowVersion, version)
    assert pinned is not None, f"version {version} is known, so it was loaded"
    assert pinned.document is not None
    return pinned.document


def _gate(standing: Standing) -> Gate:
    verdict = standing.journey.verdicts.get(standing.phase.id)
    if verdict:
        return "passed" if verdict.passed else "failed"
    return "pending" if standing.phase.gated else "not_configured"


def _entry(event: TicketOpened | PhaseTransitioned) -> Answered:
    if isinstance(event, TicketOpened):
        began = PhaseTransitioned(
            ticket_id=event.ticket_id,
            from_phase=event.phase_id,
            to_phase=event.phase_id,
            reason="",
            visit=1,
            actor=event.opened_by,
            at=event.opened_at,
        )
        return {**_entry(began), "from_phase": None}
    return event.model_dump(mode="json", exclude={"ticket_id"})


def _way(standing: Standing, to_phase: str) -> Answered:
    unpassed = standing.unpassed(to_phase)
    return {
        "to_phase": to_phase,
        "open": not unpassed,
        "waits_for": [
            {"phase_id": phase.id, "blocking_reasons": list(standing.waits_for(phase))} for phase in unpassed
        ],
    }
