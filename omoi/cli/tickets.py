"""`omoi ticket`: open, look at and move tickets."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from omoi.cli.console import (
    DONE,
    OPERATOR_NAME,
    As,
    Json,
    connected,
    out,
    print_json,
    print_table,
    run,
)
from omoi.cli.ids import TicketId, of
from omoi.ticket_file import read_ticket
from shared.client import Answer, Client, RefusedByService, Unreachable
from shared.contracts.board import GetCard
from shared.contracts.messages import Command, Priority
from shared.contracts.phase import (
    AddComment,
    Block,
    Clearable,
    EditTicket,
    GetWorkflow,
    MigrateTicket,
    OpenTicket,
    OverrideTransition,
    PhaseHistory,
    Transition,
    Unblock,
)
from shared.contracts.projection import GetTicket, ListTickets

app = typer.Typer(no_args_is_help=True, help="Open, look at and move tickets.")
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A word to find it by; may be repeated.")]
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
    tag: Tags = None,
    deadline: Annotated[str | None, typer.Option(help="Until when, for example 2026-03-01T12:00.")] = None,
    blocked_by: Annotated[
        list[str] | None,
        typer.Option(help="Ticket that must be done first; may be repeated.", callback=of("ticket")),
    ] = None,
    parent: Annotated[
        str | None, typer.Option(help="Ticket that this one is part of.", callback=of("ticket"))
    ] = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Open a ticket."""
    repository = str(repo.resolve()) if repo else None
    more: dict[str, Any] = {
        "tags": tuple(tag or ()),
        "deadline": _deadline(deadline),
        "blocked_by": tuple(blocked_by or ()),
        "parent_ticket_id": parent,
    }
    if title.endswith(".md") and Path(title).is_file():
        command = read_ticket(Path(title), repository)
        command = command.model_copy(update={name: value for name, value in more.items() if value})
    else:
        command = OpenTicket(
            title=title,
            description=description,
            priority=_priority(priority),
            workflow=workflow,
            repository=repository,
            **more,
        )
    _run(command, actor, as_json, "Opened ticket {ticket_id}.")


@app.command()
def edit(
    ticket_id: TicketId,
    *,
    title: Annotated[str | None, typer.Option(help="What is wanted, in one line.")] = None,
    description: Annotated[str | None, typer.Option(help="What is wanted, in full.")] = None,
    priority: Annotated[str | None, typer.Option(help="LOW, MEDIUM, HIGH or CRITICAL.")] = None,
    tag: Tags = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Take all tags away.")] = False,
    deadline: Annotated[str | None, typer.Option(help="Until when, for example 2026-03-01T12:00.")] = None,
    no_deadline: Annotated[bool, typer.Option("--no-deadline", help="Take the deadline away.")] = False,
    repo: Annotated[Path | None, typer.Option(help="Repository the work is done in.")] = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Change what a ticket says; what is not named stays."""
    if (deadline and no_deadline) or (tag and no_tags):
        raise typer.BadParameter("set it or take it away, not both")
    clear: tuple[Clearable, ...] = ("deadline",) if no_deadline else ()
    command = EditTicket(
        ticket_id=ticket_id,
        title=title,
        description=description,
        priority=_priority(priority) if priority else None,
        tags=() if no_tags else tuple(tag) if tag else None,
        deadline=_deadline(deadline),
        repository=str(repo.resolve()) if repo else None,
        clear=clear,
    )

    async def work() -> int:
        async with connected(actor) as client:
            answer = (await client.ask(command)).accepted()
        if as_json:
            print_json(answer.raw)
        else:
            out.print(
                f"{ticket_id}: {'changed' if answer.events else 'nothing to change, it says that already'}."
            )
        return 0

    run(work())


@app.command()
def comment(ticket_id: TicketId, text: str, actor: As = OPERATOR_NAME, as_json: Json = False) -> None:
    """Say something about a ticket."""
    _run(
        AddComment(ticket_id=ticket_id, text=text), actor, as_json, "{ticket_id}: comment {comment_id} added."
    )


@app.command()
def migrate(
    ticket_id: TicketId,
    to: Annotated[
        str | None, typer.Option(help="The version; the one that new tickets pin when absent.")
    ] = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Pin a ticket to another version of its workflow; its phase and history stay."""

    async def work() -> int:
        async with connected(actor) as client:
            version = to
            if version is None:
                workflow = (await client.query(GetTicket(ticket_id=ticket_id)))["workflow"]
                version = str((await client.query(GetWorkflow(name=workflow)))["version"])
            command = MigrateTicket(ticket_id=ticket_id, workflow_version=version)
            answer = (await client.ask(command)).accepted()
        if as_json:
            print_json(answer.raw)
        else:
            done = "is now under" if answer.events else "is already under"
            out.print(f"{ticket_id} {done} version {version}.")
        return 0

    run(work())


def _deadline(text: str | None) -> datetime | None:
    """A time as people write it; one without a zone is this machine's."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except ValueError:
        raise typer.BadParameter(f"{text} is no time: write it like 2026-03-01T12:00") from None


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
            ticket["place_in_line"] = await _place_in_line(client, ticket_id)
        (print_json if as_json else _show)(ticket)
        return DONE

    run(work())


async def _place_in_line(client: Client, ticket_id: str) -> str | None:
    """What the ticket waits for on its board; nothing where there is no board, or it has not heard of it."""
    try:
        found = await client.query(GetCard(ticket_id=ticket_id))
    except (RefusedByService, Unreachable):
        return None
    return str(found["place_in_line"]) if found["place_in_line"] else None


def _show(ticket: dict[str, Any]) -> None:
    """One ticket for a person: what is set, the phases as a way, the artifacts as a list."""
    artifacts, comments = ticket.pop("artifacts", []), ticket.pop("comments", [])
    ticket["path"] = " -> ".join(short(phase) for phase in ticket.get("path", []))
    if paused := ticket.get("paused"):
        ticket["paused"] = f"by {paused['by']} since {moment(paused['since'])}: {paused['reason']}"
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
    if comments:
        out.print()
        said = [(moment(comment["at"]), comment["actor"], comment["text"]) for comment in comments]
        print_table("", ("at", "by", "comment"), said, "")


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
        moves = [
            (h["at"], short(h.get("from_phase") or ""), short(h["to_phase"]), h["visit"], h["actor"], _why(h))
            for h in found["history"]
        ]
        moves += [
            (
                m["at"],
                short(m["phase_id"]),
                short(m["phase_id"]),
                "",
                m["actor"],
                f"migrated to {m['workflow_version']}",
            )
            for m in found["migrations"]
        ]
        rows = [(moment(at), *rest) for at, *rest in sorted(moves, key=lambda row: str(row[0]))]
        print_table("", ("at", "from", "to", "visit", "by", "reason"), rows, "Nothing has happened.")
        return 0

    run(work())


def _why(move: dict[str, Any]) -> str:
    """The reason of a move, and whether it was forced."""
    return f"forced: {move.get('reason', '')}" if move.get("forced") else str(move.get("reason", ""))
