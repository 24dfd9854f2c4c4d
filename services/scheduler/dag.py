"""The graph of a ticket's tasks: how many stand how, who waits for whom, and the longest way still to go."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, get_args

from services.scheduler.task import Status

Row = Mapping[str, Any]
Edge = TypedDict("Edge", {"from": str, "to": str})
"""The task `from` comes before the task `to`."""


class Dag(TypedDict):
    """A ticket's tasks as a graph; `nodes` and the edges to them are a page."""

    ticket_id: str
    counts: dict[str, int]
    nodes: list[dict[str, Any]]
    edges: list[Edge]
    critical_path: list[str]
    next: str | None
    """Ask again with this as `after`; None at the end."""


ANSWER_BYTES = 700_000
"""Of nodes and edges; the broker takes no message over 1 MiB, and the critical path comes on top."""
NODE_BYTES, EDGE_BYTES = 400, 120
"""What they have as JSON at most, beside the title."""


def fitting_one_message(rows: Sequence[Row], known: Mapping[str, Any]) -> Sequence[Row]:
    """As many of the rows as an answer can hold, at least one.

    A task of another ticket that one waits for is a node as well, and not `known`.
    """
    filled = 0
    for number, row in enumerate(rows):
        elsewhere = sum(before not in known for before in row["depends_on"])
        edges = EDGE_BYTES * len(row["depends_on"])
        filled += NODE_BYTES * (1 + 2 * elsewhere) + edges + len(row["title"].encode())
        if filled > ANSWER_BYTES and number:
            return rows[:number]
    return rows


def dag(
    ticket_id: str,
    counts: Mapping[str, int],
    to_do: Mapping[str, Sequence[str]],
    page: Sequence[Row],
    elsewhere: Sequence[Row] = (),
    *,
    more: bool = False,
) -> Dag:
    """The graph of a ticket's tasks, of which `page` is drawn and `to_do` have not ended.

    `elsewhere` are tasks of other tickets that these wait for: nodes of the graph, but not counted.
    `critical_path` is the longest chain of the ticket's tasks that have not ended: so many are still to be
    done one after the other.
    """
    return Dag(
        ticket_id=ticket_id,
        counts={status: counts.get(status, 0) for status in get_args(Status)},
        nodes=[_node(row) for row in (*page, *elsewhere)],
        edges=[Edge({"from": before, "to": row["task_id"]}) for row in page for before in row["depends_on"]],
        critical_path=longest_chain(to_do),
        next=page[-1]["task_id"] if more and page else None,
    )


def _node(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "depends_on"}


def longest_chain(depends_on: Mapping[str, Sequence[str]]) -> list[str]:
    """The longest way through the tasks that are keys, first task first; in time linear in tasks and edges.

    Kahn's order: a task is looked at once all that come before it have been.
    """
    dependents: defaultdict[str, list[str]] = defaultdict(list)
    open_ = dict.fromkeys(depends_on, 0)
    for task, others in depends_on.items():
        for other in others:
            if other in open_:
                dependents[other].append(task)
                open_[task] += 1
    length = dict.fromkeys(depends_on, 1)
    behind: dict[str, str] = {}
    free = [task for task, count in open_.items() if not count]
    for task in free:
        for dependent in dependents.get(task, ()):
            if length[dependent] <= length[task]:
                length[dependent], behind[dependent] = length[task] + 1, task
            open_[dependent] -= 1
            if not open_[dependent]:
                free.append(dependent)
    chain = [max(length, key=length.__getitem__)] if length else []
    while chain and chain[-1] in behind:
        chain.append(behind[chain[-1]])
    return chain[::-1]
