"""Tickets with their gates and their tasks in numbers."""

from typing import Any, get_args

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    case,
    distinct,
    func,
    literal_column,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.sql.selectable import LateralFromClause

from services.projection.queries.page import page
from services.projection.queries.point import TODAY, Source, point, present, ticket_at, when
from services.projection.tables import IN_WORK, histories, tickets, workflows
from shared.contracts.projection import (
    Comment,
    GetTicket,
    ListTickets,
    PhaseHistory,
    PhasePath,
    Point,
    Stay,
    TaskStatus,
    Tickets,
    TicketSummary,
    TicketView,
)
from shared.kernel.decider import Refused
from shared.kernel.reading import Reading

COMMENTS_SHOWN = 50
NONE: ColumnClause[Any] = literal_column("'[]'::jsonb")
NULL: ColumnClause[Any] = literal_column("'null'::jsonb")


class TicketNotFound(Refused):
    """The read models hold no ticket of that id."""


async def get_ticket(query: GetTicket, reading: Reading) -> TicketView:
    """One ticket, whole, as it is or as it was."""
    if query.as_of is None:
        found = (
            _tickets(TicketView, TODAY).add_columns(present()).where(tickets.c.ticket_id == query.ticket_id)
        )
        rows = await reading.rows(found)
        if not rows:
            raise not_found(query.ticket_id)
        return TicketView.model_validate(rows[0])
    at = await point(query.as_of, reading)
    rows = await reading.rows(_tickets(TicketView, ticket_at(query.ticket_id, at.sequence)))
    if not rows:
        raise not_found(query.ticket_id, at)
    return TicketView.model_validate({**rows[0], "as_of": at})


async def list_tickets(query: ListTickets, reading: Reading) -> Tickets:
    """A page, newest first."""
    age = tuple_(tickets.c.opened_at, tickets.c.ticket_id)
    found = (
        _tickets(TicketSummary, TODAY)
        .order_by(tickets.c.opened_at.desc(), tickets.c.ticket_id.desc())
        .limit(query.limit + 1)
    )
    if query.phase:
        found = found.where(tickets.c.phase_id == query.phase)
    if query.workflow:
        found = found.where(tickets.c.workflow == query.workflow)
    if query.after:
        found = found.where(age < tuple_(_opened_at(query.after).scalar_subquery(), query.after))
    rows = await reading.rows(found)
    if not rows and query.after and not await reading.rows(_opened_at(query.after)):
        raise not_found(query.after)
    kept, following = page(rows, query.limit, "ticket_id")
    return Tickets(tickets=tuple(TicketSummary.model_validate(row) for row in kept), next=following)


async def phase_history(query: PhaseHistory, reading: Reading) -> PhasePath:
    """Each move with the time at which the stay that it began was over."""
    rows = await reading.rows(select(histories.c.transitions).where(histories.c.ticket_id == query.ticket_id))
    if not rows:
        raise not_found(query.ticket_id)
    moves = rows[0]["transitions"]
    ends = [*(move["at"] for move in moves[1:]), None]
    stays = tuple(Stay(**move, left_at=end) for move, end in zip(moves, ends, strict=True))
    return PhasePath(ticket_id=query.ticket_id, history=stays)


def _tickets(view: type[TicketSummary], source: Source) -> Select[Any]:
    """Tickets with the columns that `view` has fields for."""
    tickets, gates, pauses = source.tickets, source.gates, source.pauses
    work = _work(source)
    judged = gates.c.status.in_(("passed", "failed"))
    ends = workflows.c.terminal.has_key(tickets.c.phase_id)
    gated = workflows.c.gated.has_key(tickets.c.phase_id)
    joined: dict[str, ColumnElement[Any]] = {
        "gate": case((judged, gates.c.status), (gated, "pending"), else_="not_configured"),
        "blocking_reasons": case((judged, gates.c.blocking_reasons), else_=tickets.c.blocking_reasons),
        "paused": func.nullif(pauses.c.paused, NULL),
        "judged_at": gates.c.judged_at,
        "artifacts": func.coalesce(gates.c.artifacts, NONE),
        "waits_for": gates.c.waits_for,
        "decisions": func.coalesce(gates.c.decisions, NONE),
        "tasks": work.c.tasks,
        "agents": work.c.agents,
        "updated_at": func.greatest(tickets.c.changed_at, work.c.updated_at, gates.c.updated_at),
        "closed_at": case((ends, tickets.c.entered_at)),
        "comments": func.coalesce(_comments(source), NONE),
    }
    columns: dict[str, ColumnElement[Any]] = dict(tickets.c.items()) | joined
    shown = [name for name in view.model_fields if name in columns]
    return (
        select(*(columns[name].label(name) for name in shown))
        .select_from(tickets)
        .join(work, true())
        .outerjoin(workflows, workflows.c.version == tickets.c.workflow_version)
        .outerjoin(gates, _is_of_present_visit(source))
        .outerjoin(pauses, pauses.c.ticket_id == tickets.c.ticket_id)
    )


def _comments(source: Source) -> ScalarSelect[Any]:
    """The last comments on a ticket, oldest first."""
    comments, tickets = source.comments, source.tickets
    of_ticket = select(comments).where(comments.c.ticket_id == tickets.c.ticket_id)
    last = (
        of_ticket.order_by(comments.c.at.desc(), comments.c.comment_id.desc())
        .limit(COMMENTS_SHOWN)
        .correlate(tickets)
        .subquery("last")
    )
    told = func.jsonb_build_object(
        *(part for name in Comment.model_fields for part in (literal_column(f"'{name}'"), last.c[name]))
    )
    in_time = aggregate_order_by(told, last.c.at, last.c.comment_id)
    return select(func.jsonb_agg(in_time)).scalar_subquery()


def _is_of_present_visit(source: Source) -> ColumnElement[bool]:
    gates, tickets = source.gates, source.tickets
    return and_(
        gates.c.ticket_id == tickets.c.ticket_id,
        gates.c.phase_id == tickets.c.phase_id,
        gates.c.visit == tickets.c.visit,
    )


def _work(source: Source) -> LateralFromClause:
    """A ticket's tasks in numbers."""
    tasks, tickets = source.tasks, source.tickets
    counts: list[ColumnElement[Any]] = []
    for status in get_args(TaskStatus):
        counts += [literal_column(f"'{status}'"), func.count().filter(tasks.c.status == status)]
    in_work = tasks.c.status.in_(IN_WORK)
    return (
        select(
            func.jsonb_build_object(*counts).label("tasks"),
            func.coalesce(func.jsonb_agg(distinct(tasks.c.agent_id)).filter(in_work), NONE).label("agents"),
            func.max(tasks.c.updated_at).label("updated_at"),
        )
        .where(tasks.c.ticket_id == tickets.c.ticket_id, tasks.c.shown)
        .lateral("work")
    )


def _opened_at(ticket_id: str) -> Select[Any]:
    return select(tickets.c.opened_at).where(tickets.c.ticket_id == ticket_id)


def not_found(ticket_id: str, at: Point | None = None) -> TicketNotFound:
    """There is, or was, no such ticket."""
    if at is None:
        return TicketNotFound(f"There is no ticket {ticket_id}. Check the id.", ticket_id=ticket_id)
    return TicketNotFound(
        f"There was no ticket {ticket_id} {when(at)}. Check the id, or ask for a later time.",
        ticket_id=ticket_id,
        as_of=at.sequence,
    )
