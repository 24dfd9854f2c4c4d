"""`omoi ticket blocker`: which tickets must be done before another."""

from typing import Annotated

import typer

from omoi.cli.console import OPERATOR_NAME, As, Json, connected, out, print_json, print_table, run
from omoi.cli.ids import TicketId, of
from omoi.cli.tickets import short
from shared.contracts.phase import AddBlocker, RemoveBlocker
from shared.contracts.projection import GetTicket

app = typer.Typer(no_args_is_help=True, help="Which tickets must be done before this one.")
BlockerId = Annotated[str, typer.Argument(help="The ticket that must be done first.", callback=of("ticket"))]


@app.command("add")
def add(ticket_id: TicketId, blocker_id: BlockerId, actor: As = OPERATOR_NAME, as_json: Json = False) -> None:
    """Let a ticket wait: none of its tasks is handed out until the other is done."""
    _change(AddBlocker(ticket_id=ticket_id, blocker_id=blocker_id), actor, as_json)


@app.command("remove")
def remove(
    ticket_id: TicketId, blocker_id: BlockerId, actor: As = OPERATOR_NAME, as_json: Json = False
) -> None:
    """Let a ticket no longer wait for the other."""
    _change(RemoveBlocker(ticket_id=ticket_id, blocker_id=blocker_id), actor, as_json)


def _change(command: AddBlocker | RemoveBlocker, actor: str, as_json: bool) -> None:
    async def work() -> int:
        async with connected(actor) as client:
            answer = (await client.ask(command)).accepted()
        if as_json:
            print_json(answer.raw)
        else:
            waits = ", ".join(answer.result["blocked_by"])
            out.print(f"{command.ticket_id}: {f'waits for {waits}' if waits else 'waits for no ticket'}.")
        return 0

    run(work())


@app.command("list")
def list_(ticket_id: TicketId, as_json: Json = False) -> None:
    """Which tickets it still waits for, and where they are."""

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            waits = (await client.query(GetTicket(ticket_id=ticket_id)))["blocked_by"]
            found = [await client.query(GetTicket(ticket_id=blocker_id)) for blocker_id in waits]
        if as_json:
            print_json({"ticket_id": ticket_id, "blocked_by": found})
        else:
            rows = [(t["ticket_id"], short(t["phase_id"]), t["priority"], t["title"]) for t in found]
            print_table("", ("ticket", "phase", "priority", "title"), rows, "It waits for no ticket.")
        return 0

    run(work())
