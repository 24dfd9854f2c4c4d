"""The shape of a ticket's graph: its tasks by phase, in the order in which they are read, numbered from 1."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.contracts.projection import GraphNode, TicketGraph

Kind = Literal["dependency", "discovery", "parent"]


@dataclass(frozen=True)
class Node:
    """A task."""

    number: int
    id: str
    phase: str
    status: str
    title: str
    agent: str = ""
    visit: int = 1

    @property
    def label(self) -> str:
        """The title on one line; a visit that is not the first is told."""
        again = f" (visit {self.visit})" if self.visit > 1 else ""
        return " ".join(self.title.split()) + again


@dataclass(frozen=True)
class Edge:
    """A line from one task to another, by their numbers."""

    source: int
    target: int
    kind: Kind
    discovery_type: str = ""
    description: str = ""

    @property
    def label(self) -> str:
        """`bug: the last line is lost`; nothing for an edge that is not a discovery's."""
        said = " ".join(self.description.split())
        return f"{self.discovery_type}: {said}" if self.discovery_type and said else self.discovery_type


@dataclass(frozen=True)
class Shape:
    """Tasks in reading order, and the edges between them."""

    title: str
    phase: str
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()

    @property
    def phases(self) -> tuple[tuple[str, tuple[Node, ...]], ...]:
        """Phases that have tasks, in workflow order, with their tasks."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            found.setdefault(node.phase, []).append(node)
        return tuple((phase, tuple(nodes)) for phase, nodes in found.items())

    def edges_of(self, kind: Kind) -> tuple[Edge, ...]:
        """Those of one kind."""
        return tuple(edge for edge in self.edges if edge.kind == kind)


def shape(graph: TicketGraph) -> Shape:
    """The shape of a graph as projection answers it.

    Edges to tasks that are not among the nodes are left out, and so is the parent where a discovery says
    the same.
    """
    needs: dict[str, set[str]] = defaultdict(set)
    for edge in graph.edges:
        if edge.kind == "dependency":
            needs[edge.target].add(edge.source)
    nodes = tuple(_node(number, node) for number, node in enumerate(_ordered(graph, needs), start=1))
    number = {node.id: node.number for node in nodes}
    discovered = {(edge.source, edge.target) for edge in graph.edges if edge.kind == "discovery"}
    edges = tuple(
        Edge(
            number[edge.source],
            number[edge.target],
            edge.kind,
            edge.discovery_type or "",
            edge.description or "",
        )
        for edge in graph.edges
        if {edge.source, edge.target} <= number.keys()
        and (edge.kind != "parent" or (edge.source, edge.target) not in discovered)
    )
    return Shape(graph.title, graph.phase, nodes, edges)


def short(phase_id: str) -> str:
    """A phase as people call it."""
    return phase_id.removeprefix("PHASE_")


def _ordered(graph: TicketGraph, needs: Mapping[str, set[str]]) -> Iterable[GraphNode]:
    """By phase in workflow order, then by visit, then each task behind those that it needs."""
    place = {phase: index for index, phase in enumerate(graph.phases)}
    groups: dict[tuple[int, str, int], list[GraphNode]] = defaultdict(list)
    for node in graph.nodes:
        groups[place.get(node.phase, len(place)), node.phase, node.visit].append(node)
    for key in sorted(groups):
        yield from _after_needs(groups[key], needs)


def _after_needs(nodes: Sequence[GraphNode], needs: Mapping[str, set[str]]) -> Iterable[GraphNode]:
    """As they come, but none before what it needs; of those that wait in a circle the first goes first."""
    left = {node.id: node for node in nodes}
    while left:
        free = (id_ for id_ in left if not needs.get(id_, set()) & left.keys())
        yield left.pop(next(free, next(iter(left))))


def _node(number: int, node: GraphNode) -> Node:
    return Node(number, node.id, node.phase, node.status, node.title, node.agent or "", node.visit)
