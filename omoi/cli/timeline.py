"""`omoi ticket timeline`: what happened to a ticket, in words."""

from typing import Annotated, Any

import typer

from omoi.cli.console import Json, out, print_table, tell
from omoi.cli.graph import At, point
from omoi.cli.ids import TicketId
from omoi.cli.tickets import moment
from shared.contracts.projection import Timeline


def timeline(
    ticket_id: TicketId,
    at: At = None,
    after: Annotated[int, typer.Option(metavar="SEQUENCE", help="Go on behind this one.")] = 0,
    as_json: Json = False,
) -> None:
    """What happened to a ticket, who did it, and what led to it; oldest first."""

    def show(found: dict[str, Any]) -> None:
        rows = [
            (moment(e["at"]), e["text"], e["actor"], f"since: {e['cause']}" if e["cause"] else "")
            for e in found["entries"]
        ]
        print_table("", ("at", "what happened", "by", ""), rows, "Nothing has happened.")
        if found["next"] is not None:
            out.print(f"There is more: --after {found['next']}")

    tell(Timeline(ticket_id=ticket_id, as_of=point(at), after=after), as_json, show)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(timeline)
