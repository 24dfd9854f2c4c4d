"""A ticket's graph as one SVG document that needs nothing beside it, for light and for dark pages."""

from collections.abc import Iterator
from xml.sax.saxutils import escape

from rich.cells import cell_len, set_cell_size

from omoi.drawing.layout import (
    COLUMN,
    HEAD,
    MARGIN,
    NODE_HEIGHT,
    NODE_WIDTH,
    ROW,
    Band,
    Box,
    Layout,
    layout,
    path,
)
from omoi.drawing.shape import Edge, Shape, short
from omoi.drawing.signs import sign

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
.page { fill: #ffffff } .band { fill: #f6f8fa; stroke: #d1d9e0 } .here { stroke: #1a7f37; stroke-width: 2 }
.node { fill: #ffffff; stroke: #d1d9e0 } .title { font-size: 18px; font-weight: 600 }
.phase { font-weight: 600; letter-spacing: .04em } .small { font-size: 11px; fill: #59636e }
.edge { fill: none; stroke: #8c959f; stroke-width: 1.5 } .part { stroke-dasharray: 2 4 }
.found { stroke: #8250df; stroke-width: 2; stroke-dasharray: 6 4 } .tip { fill: #8c959f }
.found-tip { fill: #8250df } .said { font-size: 11px; fill: #8250df; text-anchor: middle }
.pill { fill: #fbefff; stroke: #8250df }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .page { fill: #0d1117 } .band { fill: #151b23; stroke: #3d444d }
.here { stroke: #3fb950 } .node { fill: #212830; stroke: #3d444d } .small { fill: #9198a1 }
.found { stroke: #ab7df8 } .found-tip { fill: #ab7df8 } .said { fill: #d2a8ff }
.pill { fill: #271052; stroke: #ab7df8 }
}
""".strip()
MARKERS = "".join(
    f'<marker id="{name}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
    f'markerUnits="userSpaceOnUse" orient="auto"><path class="{name}" d="M0,0 L8,4 L0,8 z"/></marker>'
    for name in ("tip", "found-tip")
)


def draw(shape: Shape) -> str:
    """The whole document."""
    placed = layout(shape)
    width = 2 * MARGIN + max(1, placed.columns) * COLUMN
    height = HEAD + max(1, placed.rows) * ROW + MARGIN
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img">',
            f"<title>{_escaped(shape.title)}</title>",
            f"<style>{STYLE}</style><defs>{MARKERS}</defs>",
            f'<rect class="page" width="{width}" height="{height}"/>',
            f'<text class="title" x="{MARGIN}" y="38">{_escaped(_cut(shape.title, width // 10))}</text>',
            *(_band(band, placed, shape) for band in placed.bands),
            *_edges(shape, placed),
            *(_box(box) for box in placed.boxes.values()),
            "</svg>\n",
        )
    )


def _band(band: Band, placed: Layout, shape: Shape) -> str:
    x, y = MARGIN + band.first * COLUMN, HEAD - 44
    width, height = band.columns * COLUMN - 24, placed.rows * ROW + 44
    here = " here" if band.phase == shape.phase else ""
    name = _cut(short(band.phase), band.columns * 26)
    return (
        f'<rect class="band{here}" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>'
        f'<text class="phase" x="{x + 16}" y="{y + 25}">{_escaped(name)}</text>'
    )


def _box(box: Box) -> str:
    node = box.node
    look = sign(node.status)
    said = " · ".join(word for word in (f"{node.number}", node.status, node.agent) if word)
    text = box.left + 14
    return (
        f"<g><title>{_escaped(f'{node.label} ({node.status})')}</title>"
        f'<rect class="node" x="{box.left}" y="{box.top}" rx="6" width="{NODE_WIDTH}" '
        f'height="{NODE_HEIGHT}"/>'
        f'<rect fill="{look.colour}" x="{box.left}" y="{box.top}" width="5" '
        f'height="{NODE_HEIGHT}" rx="2.5"/>'
        f'<text x="{text}" y="{box.top + 21}">{_escaped(_cut(node.label, 27))}</text>'
        f'<text class="small" x="{text}" y="{box.top + 39}">'
        f'<tspan fill="{look.colour}">{look.symbol}</tspan> {_escaped(_cut(said, 33))}</text></g>'
    )


def _edges(shape: Shape, placed: Layout) -> Iterator[str]:
    for index, edge in enumerate(shape.edges):
        way, x, y = path(edge, placed.boxes, 4 * (index % 5 - 2))
        found = edge.kind == "discovery"
        kind = {"discovery": "edge found", "parent": "edge part", "dependency": "edge"}[edge.kind]
        tip = "found-tip" if found else "tip"
        yield f'<path class="{kind}" d="{way}" marker-end="url(#{tip})">{_hint(edge)}</path>'
        if found:
            yield _pill(_cut(edge.discovery_type, 24), x, y)


def _pill(word: str, x: int, y: int) -> str:
    width = 7 * cell_len(word) + 12
    return (
        f'<rect class="pill" x="{x - width // 2}" y="{y - 9}" width="{width}" height="18" rx="9"/>'
        f'<text class="said" x="{x}" y="{y + 4}">{_escaped(word)}</text>'
    )


def _hint(edge: Edge) -> str:
    return f"<title>{_escaped(edge.label)}</title>" if edge.label else ""


def _cut(text: str, cells: int) -> str:
    return text if cell_len(text) <= cells else set_cell_size(text, cells - 1).rstrip() + "…"


def _escaped(text: str) -> str:
    """XML holds no control characters, escaped or not."""
    return escape("".join(letter if letter.isprintable() else " " for letter in text))
