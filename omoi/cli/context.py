"""`omoi context`: what is known of a ticket, phase by phase or in words."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from omoi.cli.console import OPERATOR_NAME, As, Json, connected, out, print_json, print_table, run
from omoi.cli.ids import TicketId
from omoi.cli.tickets import decide, short
from shared.contracts.context import MAX_TOKENS, ContextForPhase, GetContext, GetSummary, UpdateContext

app = typer.Typer(no_args_is_help=True, help="What is known of a ticket, phase by phase or in words.")
SAID = (
    ("decisions", "decision"),
    ("risks", "open risk"),
    ("clarifications", "clarified"),
    ("discoveries", "discovered"),
)


@app.command()
def show(
    ticket_id: TicketId,
    phase: Annotated[str | None, typer.Option(help="Only this phase, for example PHASE_DESIGN.")] = None,
    as_json: Json = False,
) -> None:
    """Show what each phase decided, feared and handed in."""

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            if phase is not None:  # refused here when the workflow has no such phase
                await client.query(ContextForPhase(ticket_id=ticket_id, phase_id=phase, max_tokens=0))
            found = await client.query(GetContext(ticket_id=ticket_id))
        phases = {
            key: part
            for key, part in found.items()
            if isinstance(part, dict) and phase in (None, part["phase_id"])
        }
        if as_json:
            print_json(found if phase is None else phases)
        else:
            _show(phases)
        return 0

    run(work())


def _show(phases: dict[str, Any]) -> None:
    visits = [visit for part in phases.values() for visit in [*reversed(part["earlier_visits"]), part]]
    if not visits:
        out.print("Nothing has happened there.")
    for number, visit in enumerate(visits):
        out.print(Text.assemble("\n" if number else "", (_name(visit), "bold"), f"  {_state(visit)}"))
        rows = list(_rows(visit))
        if rows:
            print_table("", ("what", "says"), rows, "")


def _name(visit: dict[str, Any]) -> str:
    again = f", visit {visit['visit']}" if visit["visit"] > 1 else ""
    return f"{short(visit['phase_id'])}{again}"


def _state(visit: dict[str, Any]) -> str:
    gate = visit["gate"]
    judged = f"gate {'passed' if gate['passed'] else 'failed'}" if gate else ""
    return ", ".join(word for word in (judged, "left" if visit["left_at"] else "open") if word)


def _rows(visit: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a visit holds, a line each."""
    if visit["prose"]:
        yield "in words", visit["prose"]
    for reason in (visit["gate"] or {}).get("blocking_reasons", ()):
        yield "gate says", reason
    for task in visit["tasks"]:
        said = task["error"] or task["summary"]
        yield task["status"], f"{task['title']}{': ' if said else ''}{said}"
    for kind, label in SAID:
        for one in visit[kind]:
            yield label, one["text"]
    for one in visit["artifacts"]:
        evidence = "measured" if one["measured"] else "claimed"
        path = f" {one['path']}" if one["path"] else ""
        yield "artifact", f"{one['type']}{path} ({', '.join(w for w in (one['summary'], evidence) if w)})"
    for kind, count in visit["left_out"].items():
        if count:
            yield "left out", f"{count} {kind}"
    for note in visit["notes"]:
        yield "note", note


@app.command()
def summary(
    ticket_id: TicketId,
    phase: Annotated[
        str | None, typer.Option(help="As an agent in this phase is told it, for example PHASE_TESTING.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=0, help="Most tokens of it.")] = MAX_TOKENS,
    as_json: Json = False,
) -> None:
    """Say in words what is known of a ticket."""
    query: GetSummary | ContextForPhase = GetSummary(ticket_id=ticket_id, max_tokens=max_tokens)
    if phase is not None:
        query = ContextForPhase(ticket_id=ticket_id, phase_id=phase, max_tokens=max_tokens)

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            found = await client.query(query)
        if as_json:
            print_json(found)
            return 0
        nothing = "Nothing fits into so few tokens." if found["left_out"] else "Nothing is known yet."
        out.print(found["summary"] or nothing, soft_wrap=True)
        left_out = ", ".join(f"{count} {kind}" for kind, count in found["left_out"].items())
        tail = f"; left out: {left_out}" if left_out else ""
        out.print(f"\n{found['tokens']} of {found['max_tokens']} tokens{tail}", style="dim")
        return 0

    run(work())


@app.command()
def update(
    ticket_id: TicketId,
    phase: Annotated[str, typer.Argument(help="For example PHASE_DESIGN.")],
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Sum up the last visit of a phase now; a model that is configured is asked again."""

    async def work() -> int:
        command = UpdateContext(ticket_id=ticket_id, phase_id=phase)
        async with connected(actor) as client:
            await decide(client, command, as_json, "{ticket_id}: {phase_id} summed up in {tokens} tokens.")
        return 0

    run(work())
