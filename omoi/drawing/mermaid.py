"""A ticket's graph as a Mermaid flowchart, which GitHub and most editors of Markdown draw."""

from collections.abc import Iterator

from omoi.drawing.shape import Edge, Shape, short
from omoi.drawing.signs import SIGNS, sign

LABEL_CHARACTERS = 60


def draw(shape: Shape) -> str:
    """The text of the flowchart."""
    return "\n".join(_lines(shape)) + "\n"


def _lines(shape: Shape) -> Iterator[str]:
    yield "flowchart LR"
    for index, (phase, nodes) in enumerate(shape.phases):
        yield f'  subgraph p{index}["{_escaped(short(phase))}"]'
        yield "    direction TB"
        for node in nodes:
            agent = f"<br/>{_escaped(node.agent)}" if node.agent else ""
            name = f"{sign(node.status).symbol} {node.number}. {_shortened(node.label)}"
            yield f'    n{node.number}["{_escaped(name)}{agent}"]:::{_class(node.status)}'
        yield "  end"
    yield from (f"  n{edge.source} {_arrow(edge)} n{edge.target}" for edge in shape.edges)
    for name in dict.fromkeys(_class(node.status) for node in shape.nodes):
        yield f"  classDef {name} stroke:{sign(name).colour},stroke-width:2px"


def _class(status: str) -> str:
    return status if status in SIGNS else "unknown"


def _arrow(edge: Edge) -> str:
    if edge.kind == "discovery":
        return f'-. "{_escaped(_shortened(edge.label))}" .->'
    return '-. "part" .->' if edge.kind == "parent" else "-->"


def _shortened(text: str) -> str:
    return text if len(text) <= LABEL_CHARACTERS else text[: LABEL_CHARACTERS - 1].rstrip() + "…"


def _escaped(text: str) -> str:
    """Only letters, digits and harmless marks stand as they are: Mermaid has no other quoting."""
    return "".join(
        letter if letter.isalnum() or letter in " .,:()/+-_'?!…" or letter in _SYMBOLS else f"#{ord(letter)};"
        for letter in text
        if letter.isprintable()
    )


_SYMBOLS = frozenset(look.symbol for look in SIGNS.values())
