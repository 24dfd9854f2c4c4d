"""`omoi graph`: a ticket's tasks, what they wait for, and what branched off them."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from omoi.cli.console import DONE, OPERATOR_NAME, Json, connected, err, out, print_json, run
from omoi.cli.ids import TicketId
from omoi.cli.tickets import moment, short
from omoi.drawing import mermaid, svg, terminal
from omoi.drawing.shape import shape
from omoi.drawing.strokes import ASCII, UNICODE, Strokes
from shared.client import Client
from shared.client.client import PATIENCE_SECONDS
from shared.contracts.projection import Graph, Point, TicketGraph

At = Annotated[
    str | None,
    typer.Option(
        metavar="TIME|SEQUENCE",
        help="As it was then: a time like 2026-03-01T12:00, or a sequence of the journal.",
    ),
]
Ascii = Annotated[bool, typer.Option("--ascii", help="Draw with ASCII alone.")]
WIDEST = 120


def graph(
    ticket_id: TicketId,
    *,
    at: At = None,
    as_mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid flowchart.")] = False,
    to_svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Write an SVG picture; - prints it.")
    ] = None,
    ascii_only: Ascii = False,
    as_json: Json = False,
) -> None:
    """Draw a ticket's tasks by phase: what they wait for, and what branched off them."""
    if sum((as_mermaid, to_svg is not None, as_json)) > 1:
        raise typer.BadParameter("ask for one of --mermaid, --svg and --json")

    def show(found: dict[str, Any]) -> None:
        answer = TicketGraph.model_validate(found)
        if as_mermaid:
            sys.stdout.write(mermaid.draw(shape(answer)))
        elif to_svg is not None:
            _write(svg.draw(shape(answer)), to_svg)
        else:
            show_graph(answer, ascii_only=ascii_only, then=at is not None)

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            found = await whole_graph(client, Graph(ticket_id=ticket_id, as_of=point(at)))
        (print_json if as_json else show)(found)
        return DONE

    run(work())


async def whole_graph(client: Client, query: Graph, patience: float = PATIENCE_SECONDS) -> dict[str, Any]:
    """All pages of a graph as one, as of the same point of the journal."""
    whole = page = await client.query(query, patience=patience)
    while page["next"]:
        further = {"as_of": whole["as_of"]["sequence"], "after": page["next"], "min_position": None}
        page = await client.query(query.model_copy(update=further), patience=patience)
        whole["nodes"] += page["nodes"]
        whole["edges"] += page["edges"]
    return {**whole, "next": None}


def show_graph(answer: TicketGraph, *, ascii_only: bool = False, then: bool = False) -> None:
    """Draw a graph for a person; `then` says what it is as of."""
    head = Text.assemble((" ".join(answer.title.split()), "bold"), f"  {short(answer.phase)}")
    if then:
        head.append(f"  {as_of(answer.as_of)}", "dim")
    drawn = terminal.draw(shape(answer), width=min(out.width, WIDEST), strokes=strokes(ascii_only))
    out.print(head, drawn, sep="\n", soft_wrap=True)


def as_of(at: Point) -> str:
    """What an answer is as of, for a person."""
    when = f", {moment(at.at.astimezone().isoformat())}" if at.at else ""
    return f"as of sequence {at.sequence}{when}"


def point(text: str | None) -> int | datetime | None:
    """A place in the journal as people name it; a time without a zone is this machine's."""
    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise typer.BadParameter(
            f"{text} is neither a time like 2026-03-01T12:00 nor a sequence of the journal"
        ) from None


def strokes(ascii_only: bool) -> Strokes:
    """What the output can show of a picture's characters."""
    return UNICODE if out.encoding.lower().startswith("utf") and not ascii_only else ASCII


def _write(document: str, path: Path) -> None:
    if str(path) == "-":
        sys.stdout.write(document)
        return
    try:
        path.write_text(document, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be written: {error.strerror}.") from error
    err.print(f"Wrote {path}.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(graph)
