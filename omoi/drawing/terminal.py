"""A ticket's graph as lines of text: tasks under their phases, branches as lines at their left."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from omoi.drawing.shape import Edge, Kind, Node, Shape, short
from omoi.drawing.signs import sign
from omoi.drawing.strokes import UNICODE, Strokes, printable

MOST_LANES = 12
"""Branches drawn beside each other; those beyond are told in words alone."""


@dataclass(frozen=True)
class Row:
    """A line of the picture: a phase's name, a task, or what was found while doing the task above."""

    phase: str = ""
    node: Node | None = None
    edge: Edge | None = None


@dataclass(frozen=True)
class Lane:
    """A vertical line in a column at the left, from the row of a discovery to the row of its task."""

    column: int
    start: int
    end: int

    @property
    def rows(self) -> range:
        """The rows it touches."""
        return range(min(self.start, self.end), max(self.start, self.end) + 1)


def draw(shape: Shape, *, width: int = 80, strokes: Strokes = UNICODE) -> Text:
    """The whole picture, no line wider than `width`."""
    if not shape.nodes:
        return Text("There are no tasks.")
    rows = _rows(shape)
    lanes = _lanes(rows)
    page = _Page(shape, strokes, width, 1 + max((lane.column for lane in lanes), default=-1))
    return Text("\n").join(
        _cut(_gutter(index, lanes, page) + page.line(row), width, strokes) for index, row in enumerate(rows)
    )


def _rows(shape: Shape) -> list[Row]:
    found = defaultdict(list)
    for edge in shape.edges_of("discovery"):
        found[edge.source].append(edge)
    rows: list[Row] = []
    for phase, nodes in shape.phases:
        rows.append(Row(phase=phase))
        for node in nodes:
            rows.append(Row(node=node))
            rows += [Row(edge=edge) for edge in found[node.number]]
    return rows


def _lanes(rows: Sequence[Row]) -> list[Lane]:
    """The shortest lines nearest to the text; two that touch the same row have different columns."""
    of_node = {row.node.number: index for index, row in enumerate(rows) if row.node}
    spans = [(index, of_node[row.edge.target]) for index, row in enumerate(rows) if row.edge]
    taken: list[set[int]] = []
    lanes = []
    for start, end in sorted(spans, key=lambda span: abs(span[0] - span[1])):
        touched = set(range(min(start, end), max(start, end) + 1))
        column = next((c for c, used in enumerate(taken) if not used & touched), len(taken))
        if column >= MOST_LANES:
            continue
        if column == len(taken):
            taken.append(set())
        taken[column] |= touched
        lanes.append(Lane(column, start, end))
    return lanes


def _gutter(index: int, lanes: Sequence[Lane], page: "_Page") -> Text:
    """The part of a row in which lines run; column 0 is the one at the right."""
    if not page.columns:
        return Text()
    strokes = page.strokes
    here = [lane for lane in lanes if index in lane.rows]
    ends = [lane for lane in here if index in (lane.start, lane.end)]
    outermost = max((lane.column for lane in ends), default=-1)
    cells = []
    for column in reversed(range(page.columns)):
        lane = next((lane for lane in here if lane.column == column), None)
        if lane in ends and lane is not None:
            below = index == min(lane.rows)
            corner = strokes.from_below if below else strokes.from_above
            cells.append(corner)
        elif lane is not None:
            cells.append(strokes.cross if column < outermost else strokes.down)
        else:
            cells.append(strokes.across if column < outermost else " ")
    arrives = any(lane.end == index for lane in ends)
    tip = strokes.across + strokes.arrow if arrives else strokes.across + " " if ends else "  "
    return Text("".join(cells) + tip, style="magenta")


def _cut(line: Text, width: int, strokes: Strokes) -> Text:
    if line.cell_len > width:
        line.truncate(width - cell_len(strokes.more))
        line.append(strokes.more)
    line.rstrip()
    return line


class _Page:
    """What all lines have in common: how wide their parts are."""

    def __init__(self, shape: Shape, strokes: Strokes, width: int, columns: int) -> None:
        self.strokes = strokes
        self.columns = columns
        self._notes = _notes(shape)
        self._digits = len(str(len(shape.nodes)))
        self._here = shape.phase
        left = width - (columns + 2 if columns else 0) - self._digits - 3
        widest = max(cell_len(node.label) for node in shape.nodes)
        longest = min(max(map(cell_len, self._notes.values())), left // 3)
        self._label_width = min(widest, left - longest - 2)

    def line(self, row: Row) -> Text:
        """A row without its gutter."""
        if row.node:
            return self._task(row.node)
        if row.edge:
            told = f"{self.strokes.found} {self.strokes.to} {row.edge.target}  {row.edge.label}"
            return Text(" " * (self._digits + 3) + self._plain(told), style="magenta")
        here = " <" if row.phase == self._here else ""
        return Text.assemble((self._plain(short(row.phase)), "bold"), (here, "bold green"))

    def _task(self, node: Node) -> Text:
        look = sign(node.status)
        label = self._plain(node.label)
        if cell_len(label) > self._label_width:
            more = self.strokes.more
            label = set_cell_size(label, self._label_width - cell_len(more)).rstrip() + more
        return Text.assemble(
            (look.plain if self.strokes.ascii_only else look.symbol, look.style),
            (f" {node.number:>{self._digits}} ", "dim"),
            set_cell_size(label, self._label_width),
            (f"  {self._plain(self._notes[node.number])}", "dim"),
        )

    def _plain(self, text: str) -> str:
        return printable(text, self.strokes)


def _notes(shape: Shape) -> dict[int, str]:
    """What each task needs, whose part it is, and who has it."""
    sources: dict[Kind, dict[int, list[str]]] = {"dependency": {}, "parent": {}}
    for kind, found in sources.items():
        for edge in shape.edges_of(kind):
            found.setdefault(edge.target, []).append(str(edge.source))
    return {node.number: _note(node, sources["dependency"], sources["parent"]) for node in shape.nodes}


def _note(node: Node, needs: Mapping[int, list[str]], parents: Mapping[int, list[str]]) -> str:
    words = (
        f"after {', '.join(needs[node.number])}" if node.number in needs else "",
        f"part of {', '.join(parents[node.number])}" if node.number in parents else "",
        node.agent,
    )
    return "  ".join(word for word in words if word)
