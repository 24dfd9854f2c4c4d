"""The graph of a ticket's tasks: how many stand how, who waits for whom, and the longest way still to go."""

from collections import Counter
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any, TypedDict, get_args

from services.scheduler.task import Status

Row = Mapping[str, Any]
Edge = TypedDict("Edge", {"from": str, "to": str})
"""The task `from` comes before the task `to`."""


class Dag(TypedDict):
    """A ticket's tasks as a graph."""

    ticket_id: str
    counts: dict[str, int]
    nodes: list[dict[str, Any]]
    edges: list[Edge]
    critical_path: list[str]


def dag(ticket_id: str, rows: Sequence[Row], elsewhere: Sequence[Row] = ()) -> Dag:
    """The graph of a ticket's rows.

    `elsewhere` are tasks of other tickets that these wait for: nodes of the graph, but not counted.
    `critical_path` is the longest chain of the ticket's tasks that have not ended: so many are still to be
    done one after the other.
    """
    counted = Counter(row["status"] for row in rows)
    to_do = {row["task_id"]: row["depends_on"] for row in rows if not row["ended"]}
    return Dag(
        ticket_id=ticket_id,
        counts={status: counted[status] for status in get_args(Status)},
        nodes=[_node(row) for row in (*rows, *elsewhere)],
        edges=[Edge({"from": before, "to": row["task_id"]}) for row in rows for before in row["depends_on"]],
        critical_path=longest_chain(to_do),
    )


def _node(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "depends_on"}


def longest_chain(depends_on: Mapping[str, Sequence[str]]) -> list[str]:
    """The longest way through the tasks that are keys, first task first."""
    inside = {task: [other for other in others if other in depends_on] for task, others in depends_on.items()}
    length: dict[str, int] = {}
    for task in TopologicalSorter(inside).static_order():
        length[task] = 1 + max((length[other] for other in inside[task]), default=0)
    chain: list[str] = []
    further: Sequence[str] = list(length)
    while further:
        chain.append(max(further, key=lambda task: length[task]))
        further = inside[chain[-1]]
    return chain[::-1]
