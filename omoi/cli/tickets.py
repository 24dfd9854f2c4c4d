"""`omoi ticket`: open, look at and move tickets."""

from pathlib import Path
from typing import Annotated, Any

import typer

from omoi.cli.console import OPERATOR_NAME, As, Json, connected, out, print_json, print_table, run
from omoi.ticket_file import read_ticket
from shared.client import Answer, Client
from shared.contracts.messages import Command, Priority
from shared.contracts.phase import Block, OpenTicket, OverrideTransition, PhaseHistory, Transition, Unblock
from shared.contracts.projection import GetTicket, ListTickets

app = typer.Typer(no_args_is_help=True, help="Open, look at and move tickets.")
TicketId = Annotated[str, typer.Argument(help="The ticket's id.")]
Reason = Annotated[str, typer.Option(help="Why, for the history.")]


async def decide(client: Client, command: Command, as_json: bool, sentence: str) -> Answer:
    """Have a command decided and say what came of it."""
    answer = (await client.ask(command)).accepted()
    if as_json:
        print_json(answer.raw)
    else:
        out.print(sentence.format(**answer.result))
    return answer


def _run(command: Command, actor: str, as_json: bool, sentence: str) -> None:
    async def work() -> int:
        async with connected(actor) as client:
            await decide(client, command, as_json, sentence)
        return 0

    run(work())


@app.command("open")
def open_(
    title: Annotated[str, typer.Argument(help="A title, or a Markdown file with front matter.")],
    *,
    description: Annotated[str, typer.Option()] = "",
    priority: Annotated[str, typer.Option(help="LOW, MEDIUM, HIGH or CRITICAL.")] = "MEDIUM",
    workflow: Annotated[str, typer.Option()] = "software_development",
    repo: Annotated[Path | None, typer.Option(help="Repository the work is done in.")] = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Open a ticket."""
    repository = str(repo.resolve()) if repo else None
    if title.endswith(".md") and Path(title).is_file():
        command = read_ticket(Path(title), repository)
    else:
        command = OpenTicket(
            title=title,
            description=description,
            priority=_priority(priority),
            workflow=workflow,
            repository=repository,
        )
    _run(command, actor, as_json, "Opened ticket {ticket_id}.")


def short(phase_id: str) -> str:
    """A phase as people call it."""
    return phase_id.removeprefix("PHASE_")


def moment(at: str) -> str:
    """A time to the second."""
    return at[:19].replace("T", " ")


def _priority(text: str) -> Priority:
    try:
        return Priority(text)
    except ValueError:
        raise typer.BadParameter(f"{text} is no priority: LOW, MEDIUM, HIGH or CRITICAL") from None


@app.command("list")
def list_(
    phase: Annotated[str | None, typer.Option(help="Only in this phase.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: Json = False,
) -> None:
    """List tickets, newest first."""

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            found = await client.query(ListTickets(phase=phase, limit=limit))
        if as_json:
            print_json(found)
            return 0
        rows = [
            (t["ticket_id"], short(t["phase_id"]), t["visit"], t["priority"], t["gate"], t["title"])
            for t in found["tickets"]
        ]
        print_table(
            "", ("ticket", "phase", "visit", "priority", "gate", "title"), rows, "There are no tickets."
        )
        return 0

    run(work())


@app.command()
def show(ticket_id: TicketId, as_json: Json = False) -> None:
    """Show one ticket."""

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            ticket = await client.query(GetTicket(ticket_id=ticket_id))
        if as_json:
            print_json(ticket)
        else:
            _show(ticket)
        return 0

    run(work())


def _show(ticket: dict[str, Any]) -> None:
    """One ticket for a person: what is set, the phases as a way, the artifacts as a list."""
    artifacts = ticket.pop("artifacts", [])
    ticket["path"] = " -> ".join(short(phase) for phase in ticket.get("path", []))
    ticket["tasks"] = ", ".join(f"{n} {status}" for status, n in ticket.get("tasks", {}).items() if n)
    shown = [
        (name, _plain(value)) for name, value in ticket.items() if value not in (None, "", [], {}, False)
    ]
    print_table("", ("field", "value"), shown, "")
    rows = [
        (a["artifact_type"], "measured" if a["measured"] else "claimed", a["summary"], a["artifact_path"])
        for a in artifacts
    ]
    if rows:
        out.print()
        print_table("", ("artifact", "evidence", "says", "path"), rows, "")


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@app.command()
def transition(
    ticket_id: TicketId,
    to_phase: str,
    reason: Reason = "",
    expected: Annotated[str | None, typer.Option(help="Refuse unless it is in this phase.")] = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Move a ticket to a phase its workflow allows."""
    command = Transition(ticket_id=ticket_id, to_phase=to_phase, reason=reason, expected_phase=expected)
    _run(command, actor, as_json, "{ticket_id}: {from_phase} -> {to_phase} (visit {visit}).")


@app.command()
def override(
    ticket_id: TicketId,
    to_phase: str,
    reason: Annotated[str, typer.Option(help="Why, for the audit.")],
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Move a ticket to any phase, past every gate; needs GUARDIAN."""
    command = OverrideTransition(ticket_id=ticket_id, to_phase=to_phase, reason=reason)
    _run(command, actor, as_json, "{ticket_id}: {from_phase} -> {to_phase} (visit {visit}), forced.")


@app.command()
def block(ticket_id: TicketId, reason: Reason = "", actor: As = OPERATOR_NAME, as_json: Json = False) -> None:
    """Put a ticket on hold."""
    _run(
        Block(ticket_id=ticket_id, reason=reason), actor, as_json, "{ticket_id}: {from_phase} -> {to_phase}."
    )


@app.command()
def unblock(
    ticket_id: TicketId,
    to_phase: Annotated[
        str | None, typer.Option(help="Where to go on; where it came from when absent.")
    ] = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Let a ticket go on."""
    _run(
        Unblock(ticket_id=ticket_id, to_phase=to_phase),
        actor,
        as_json,
        "{ticket_id}: {from_phase} -> {to_phase}.",
    )


@app.command()
def history(ticket_id: TicketId, as_json: Json = False) -> None:
    """Every transition of a ticket, oldest first."""

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            found = await client.query(PhaseHistory(ticket_id=ticket_id))
        if as_json:
            print_json(found)
            return 0
        rows = [
            (
                moment(h["at"]),
                short(h.get("from_phase") or ""),
                short(h["to_phase"]),
                h["visit"],
                h["actor"],
                h.get("reason", ""),
            )
            for h in found["history"]
        ]
        print_table("", ("at", "from", "to", "visit", "by", "reason"), rows, "Nothing has happened.")
        return 0

    run(work())
