"""Where the tasks of a graph stand on paper: phases from left to right, what needs others to their right.

Rows are on one grid, so that a line which has to pass other columns finds a free way between two rows.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from omoi.drawing.shape import Edge, Node, Shape

NODE_WIDTH, NODE_HEIGHT = 216, 50
ROW, COLUMN = 74, 272
"""Distance from one task to the next one, downwards and to the right."""
MARGIN, HEAD = 28, 104
TALLEST = 30
"""Tasks in one column; more are put into the next one."""
SWEEPS = 4


@dataclass(frozen=True)
class Box:
    """A task's place."""

    node: Node
    column: int
    row: int

    @property
    def left(self) -> int:
        """Its left side."""
        return MARGIN + 16 + self.column * COLUMN

    @property
    def right(self) -> int:
        """Its right side."""
        return self.left + NODE_WIDTH

    @property
    def top(self) -> int:
        """Its upper side."""
        return HEAD + self.row * ROW

    @property
    def middle(self) -> int:
        """Where lines meet its sides."""
        return self.top + NODE_HEIGHT // 2


@dataclass(frozen=True)
class Band:
    """The columns of a phase."""

    phase: str
    first: int
    columns: int


@dataclass(frozen=True)
class Layout:
    """Everything in its place."""

    boxes: Mapping[int, Box]
    """By the number of the task."""
    bands: tuple[Band, ...]
    columns: int
    rows: int


def layout(shape: Shape) -> Layout:
    """Place every task of a shape."""
    bands, columns = [], list[list[int]]()
    for phase, nodes in shape.phases:
        own = list(_columns(nodes, shape.edges_of("dependency")))
        bands.append(Band(phase, len(columns), len(own)))
        columns += own
    _uncross(columns, shape.edges)
    node = {each.number: each for each in shape.nodes}
    boxes = {
        number: Box(node[number], column, row)
        for column, numbers in enumerate(columns)
        for row, number in enumerate(numbers)
    }
    return Layout(boxes, tuple(bands), len(columns), max(map(len, columns), default=0))


def path(edge: Edge, boxes: Mapping[int, Box], shift: int = 0) -> tuple[str, int, int]:
    """The way of an edge in SVG's words, and where its label stands. `shift` parts lines on the same way."""
    source, target = boxes[edge.source], boxes[edge.target]
    y1, y2 = source.middle, target.middle
    if source.column == target.column:
        x, out = source.right, source.right + 30
        return f"M{x},{y1} C{out},{y1} {out},{y2} {x},{y2}", out - 8, (y1 + y2) // 2
    forward = source.column < target.column
    x1, x2 = (source.right, target.left) if forward else (source.left, target.right)
    if abs(source.column - target.column) == 1:
        half = (x1 + x2) // 2
        return f"M{x1},{y1} C{half},{y1} {half},{y2} {x2},{y2}", half, (y1 + y2) // 2
    gap = COLUMN - NODE_WIDTH
    step = gap if forward else -gap
    above = target.row if source.row >= target.row else target.row + 1
    way = HEAD + above * ROW - (ROW - NODE_HEIGHT) // 2 + shift
    a, b = x1 + step, x2 - step
    return (
        f"M{x1},{y1} C{x1 + step // 2},{y1} {x1 + step // 2},{way} {a},{way} "
        f"L{b},{way} C{x2 - step // 2},{way} {x2 - step // 2},{y2} {x2},{y2}",
        (a + b) // 2,
        way,
    )


def _columns(nodes: Sequence[Node], needs: Sequence[Edge]) -> Iterator[list[int]]:
    """Tasks by how long their chain of needs within the phase is."""
    depth: dict[int, int] = {}
    for node in nodes:  # each comes behind what it needs
        before = [depth[edge.source] for edge in needs if edge.target == node.number and edge.source in depth]
        depth[node.number] = 1 + max(before, default=-1)
    by_depth = defaultdict(list)
    for number, at in depth.items():
        by_depth[at].append(number)
    for at in sorted(by_depth):
        numbers = by_depth[at]
        yield from (numbers[start : start + TALLEST] for start in range(0, len(numbers), TALLEST))


def _uncross(columns: list[list[int]], edges: Sequence[Edge]) -> None:
    """Move each task near to the middle of its neighbours, from the left and from the right in turn.

    The barycentre method of Sugiyama, Tagawa and Toda, 1981.
    """
    neighbours = defaultdict(list)
    for edge in edges:
        neighbours[edge.source].append(edge.target)
        neighbours[edge.target].append(edge.source)
    row = {number: index for numbers in columns for index, number in enumerate(numbers)}
    for sweep in range(SWEEPS):
        for numbers in columns if sweep % 2 == 0 else reversed(columns):
            own = set(numbers)
            middle = {}
            for number in numbers:
                rows = [row[other] for other in neighbours[number] if other not in own]
                middle[number] = sum(rows) / len(rows) if rows else row[number]
            numbers.sort(key=lambda number: (middle[number], number))
            row |= {number: index for index, number in enumerate(numbers)}
