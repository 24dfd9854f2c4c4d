"""The graph of a ticket: its tasks, what they wait for, and what branched off them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, ScalarSelect, Select, func, literal_column, select, true
from sqlalchemy.dialects.postgresql import aggregate_order_by

from services.projection.queries.page import PAGE_BYTES
from services.projection.queries.point import TODAY, Source, point, present, ticket_at
from services.projection.queries.task import not_found as task_not_found
from services.projection.queries.ticket import NONE, not_found
from services.projection.tables import tickets, workflows
from shared.contracts.projection import Graph, GraphEdge, GraphNode, TicketGraph
from shared.kernel.reading import Reading

NODE = {
    "id": "task_id",
    "phase": "phase_id",
    "status": "status",
    "title": "title",
    "agent": "agent_id",
    "visit": "visit",
    "attempt": "attempt",
    "task_type": "task_type",
    "priority": "priority",
    "held": "held",
    "created_at": "created_at",
    "depends_on": "depends_on",
    "parent": "parent_task_id",
}
"""What an answer says of a task -> column."""
DISCOVERY = ("discovery_id", "discovery_type", "description", "branches")
DESCRIPTION_CHARACTERS = 500

Row = Mapping[str, Any]


async def graph(query: Graph, reading: Reading) -> TicketGraph:
    """One statement reads all of it, so that no part is newer than another."""
    if query.as_of is None:
        found = _graph(TODAY).where(tickets.c.ticket_id == query.ticket_id)
        rows = await reading.rows(found.add_columns(present()))
        if not rows:
            raise not_found(query.ticket_id)
        return _answer(rows[0], query)
    at = await point(query.as_of, reading)
    rows = await reading.rows(_graph(ticket_at(query.ticket_id, at.sequence)))
    if not rows:
        raise not_found(query.ticket_id, at)
    return _answer({**rows[0], "as_of": at}, query)


def _graph(source: Source) -> Select[Any]:
    ticket, tasks, discoveries = source.tickets, source.tasks, source.discoveries
    age = (tasks.c.created_at, tasks.c.task_id)
    told = {name: tasks.c[column] for name, column in NODE.items()}
    found = {name: discoveries.c[name] for name in DISCOVERY}
    return (
        select(
            ticket.c.ticket_id,
            ticket.c.title,
            ticket.c.phase_id.label("phase"),
            ticket.c.workflow,
            func.coalesce(workflows.c.phases, NONE).label("phases"),
            listed_of_ticket(ticket, tasks, told, age).label("nodes"),
            listed_of_ticket(
                ticket, discoveries, found, (discoveries.c.recorded_at, discoveries.c.discovery_id)
            ).label("discoveries"),
        )
        .select_from(ticket)
        .outerjoin(workflows, workflows.c.version == ticket.c.workflow_version)
    )


def listed_of_ticket(
    ticket: FromClause,
    rows: FromClause,
    told: Mapping[str, Any],
    order: Sequence[ColumnElement[Any]],
    where: ColumnElement[bool] = true(),  # noqa: B008 - a constant
) -> ScalarSelect[Any]:
    """What is shown of the rows of a ticket, as one array of objects."""
    parts: list[ColumnElement[Any]] = []
    for name, column in told.items():
        parts += [literal_column(f"'{name}'"), column]
    listed = func.jsonb_agg(aggregate_order_by(func.jsonb_build_object(*parts), *order))
    wanted = (rows.c.ticket_id == ticket.c.ticket_id) & rows.c.shown & where
    return select(func.coalesce(listed, NONE)).where(wanted).correlate(ticket).scalar_subquery()


def _answer(row: Row, query: Graph) -> TicketGraph:
    ids = {node["id"]: place for place, node in enumerate(row["nodes"])}
    edges = [edge for edge in _edges(row) if {edge.source, edge.target} <= ids.keys()]
    if query.after is not None and query.after not in ids:
        raise task_not_found(query.after)
    begin = 0 if query.after is None else ids[query.after] + 1
    nodes = _page(row["nodes"][begin : begin + query.limit], edges)
    shown = {node.id for node in nodes}
    return TicketGraph(
        **{name: row[name] for name in ("ticket_id", "title", "phase", "workflow", "phases", "as_of")},
        nodes=nodes,
        edges=tuple(edge for edge in edges if edge.target in shown),
        total=len(ids),
        next=nodes[-1].id if nodes and begin + len(nodes) < len(ids) else None,
    )


def _page(rows: Sequence[Row], edges: Sequence[GraphEdge]) -> tuple[GraphNode, ...]:
    """As many as one message can hold together with what leads to them, at least one."""
    sizes: Counter[str] = Counter()
    for edge in edges:
        sizes[edge.target] += len(edge.model_dump_json())
    nodes: list[GraphNode] = []
    size = 0
    for node in map(GraphNode.model_validate, rows):
        size += len(node.model_dump_json()) + sizes[node.id]
        if nodes and size > PAGE_BYTES:
            break
        nodes.append(node)
    return tuple(nodes)


def _edges(row: Row) -> list[GraphEdge]:
    """A parent is told once where a discovery says the same."""
    edges = [*_branches(row["discoveries"]), *_dependencies(row["nodes"])]
    discovered = {(edge.source, edge.target) for edge in edges if edge.kind == "discovery"}
    parents = _parents(row["nodes"])
    return [*edges, *(edge for edge in parents if (edge.source, edge.target) not in discovered)]


def _branches(discoveries: Sequence[Row]) -> Iterator[GraphEdge]:
    for discovery in discoveries:
        for branch in discovery["branches"]:
            yield GraphEdge(
                source=branch["source_task_id"],
                target=branch["spawned_task_id"],
                kind="discovery",
                discovery_id=discovery["discovery_id"],
                discovery_type=discovery["discovery_type"],
                description=discovery["description"][:DESCRIPTION_CHARACTERS],
            )


def _dependencies(nodes: Sequence[Row]) -> Iterator[GraphEdge]:
    for node in nodes:
        for needed, outcome in sorted(node["depends_on"].items()):
            yield GraphEdge(source=needed, target=node["id"], kind="dependency", outcome=outcome)


def _parents(nodes: Sequence[Row]) -> Iterator[GraphEdge]:
    for node in nodes:
        if node["parent"]:
            yield GraphEdge(source=node["parent"], target=node["id"], kind="parent")
