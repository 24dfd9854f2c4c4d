"""`omoi board`: the columns with their cards, moving them, and how work flows."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from omoi.cli.console import (
    DONE,
    OPERATOR_NAME,
    REFUSED,
    As,
    Json,
    connected,
    out,
    print_json,
    print_table,
    run,
    tell,
)
from omoi.cli.graph import Ascii, At, as_of, point, strokes
from omoi.cli.ids import TicketId, of
from omoi.cli.tickets import Reason, decide
from omoi.drawing.board import age, bars, draw, flow
from shared.contracts.board import (
    BoardStats,
    BoardView,
    MoveCard,
    Percentiles,
    ReorderCard,
    Stats,
    View,
    WithdrawCard,
)
from shared.contracts.messages import Query
from shared.contracts.projection import Board, BoardAt

app = typer.Typer(
    invoke_without_command=True, help="The board: columns with their cards, moves, and how work flows."
)
Workflow = Annotated[str, typer.Option(help="Name of the workflow whose board it is.")]
From = Annotated[
    datetime | None,
    typer.Option(
        "--from", formats=["%Y-%m-%d"], metavar="DAY", help="First day; 29 before the last if absent."
    ),
]
To = Annotated[
    datetime | None,
    typer.Option("--to", formats=["%Y-%m-%d"], metavar="DAY", help="Last day; today if absent."),
]
DEFAULT = "software_development"
NARROWEST = 60


@app.callback()
def board(
    context: typer.Context,
    *,
    workflow: Workflow = DEFAULT,
    at: At = None,
    cards: Annotated[int, typer.Option(min=0, max=500, help="Most cards of each column.")] = 20,
    ascii_only: Ascii = False,
    as_json: Json = False,
) -> None:
    """Draw the board of a workflow: columns with their limits, cards in order."""
    if context.invoked_subcommand is not None:
        return

    def show(found: dict[str, Any]) -> None:
        now = datetime.now(UTC)
        if at is not None:
            then = BoardAt.model_validate(found).as_of
            now = then.at or now
            out.print(as_of(then), style="dim")
        out.print(_drawn(BoardView.model_validate(found), now, ascii_only), soft_wrap=True)

    query: Query = View(workflow=workflow, cards=cards)
    if at is not None:
        query = Board(workflow=workflow, cards=cards, as_of=point(at))
    tell(query, as_json, show)


def _drawn(view: BoardView, now: datetime, ascii_only: bool) -> Text:
    return draw(view, now, width=max(NARROWEST, out.width), strokes=strokes(ascii_only))


@app.command()
def move(
    ticket: TicketId,
    column: Annotated[
        str | None,
        typer.Argument(help="Column to move it to; where its own sends finished cards when absent."),
    ] = None,
    *,
    phase: Annotated[str | None, typer.Option(help="Phase of that column, where it has several.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Past the limit and past the line; needs MONITOR.")
    ] = False,
    reason: Reason = "",
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Move a card within the column's limit; before a full column it waits in line."""

    async def work() -> int:
        async with connected(actor) as client:
            command = MoveCard(ticket_id=ticket, to_column=column, to_phase=phase, force=force, reason=reason)
            answer = (await client.ask(command)).accepted()
        if as_json:
            print_json(answer.raw)
        else:
            out.print(_moved(answer.result))
        return REFUSED if answer.result["state"] == "returned" else DONE

    run(work())


def _moved(card: dict[str, Any]) -> str:
    """What came of a move, for a person."""
    ticket_id, column = card["ticket_id"], card["column"] or card["to_phase"]
    match card["state"]:
        case "moved":
            return f"{ticket_id} is in {column} ({card['to_phase']})."
        case "waiting":
            line = f"{card['place']} of {card['waiting']}" if card["waiting"] else f"{card['place']}"
            return f"{column} is full. {ticket_id} waits in line ({line}) and is pulled when a slot frees."
        case "returned":
            return f"{ticket_id} stays where it is: {card['reason']}"
        case _:
            return f"A slot of {column} is kept for {ticket_id}; phase has not answered yet."


@app.command()
def withdraw(ticket: TicketId, actor: As = OPERATOR_NAME, as_json: Json = False) -> None:
    """Take a card out of the line in which it waits; it stays where it is."""

    async def work() -> int:
        async with connected(actor) as client:
            command = WithdrawCard(ticket_id=ticket)
            await decide(client, command, as_json, "{ticket_id} waits for {column} no more.")
        return DONE

    run(work())


@app.command()
def reorder(
    ticket: TicketId,
    *,
    before: Annotated[
        str | None, typer.Option(metavar="TICKET", help="Put it before this card.", callback=of("ticket"))
    ] = None,
    after: Annotated[
        str | None, typer.Option(metavar="TICKET", help="Put it behind this card.", callback=of("ticket"))
    ] = None,
    position: Annotated[int | None, typer.Option(min=1, help="Put it there; 1 is the first.")] = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Put a card elsewhere in its column."""
    if sum(place is not None for place in (before, after, position)) != 1:
        raise typer.BadParameter("name exactly one of --before, --after and --position")

    async def work() -> int:
        async with connected(actor) as client:
            command = ReorderCard(
                ticket_id=ticket,
                before=before,
                after=after,
                position=position,
            )
            await decide(client, command, as_json, "{ticket_id} is number {position} in {column}.")
        return DONE

    run(work())


@app.command()
def stats(
    *,
    workflow: Workflow = DEFAULT,
    first: From = None,
    last: To = None,
    ascii_only: Ascii = False,
    as_json: Json = False,
) -> None:
    """Show throughput, lead and cycle times, what is ageing, and the cumulative flow."""
    query = Stats(workflow=workflow, from_day=_day(first), to_day=_day(last))
    tell(query, as_json, lambda found: _show_stats(BoardStats.model_validate(found), ascii_only))


def _day(at: datetime | None) -> date | None:
    return at.date() if at else None


def _show_stats(found: BoardStats, ascii_only: bool) -> None:
    out.print(f"{found.workflow}, {found.from_day} to {found.to_day} (UTC)", style="bold")
    done = bars([day.done for day in found.throughput], strokes(ascii_only))
    out.print(f"\nDone        {found.done}, {found.throughput_per_day:.2g} a day  {done}")
    out.print(f"Open        {found.open}")
    out.print(f"Cycle time  {_percentiles(found.cycle_time)}")
    out.print(f"Lead time   {_percentiles(found.lead_time)}\n")
    rows = [
        (
            column.name,
            f"{column.count}" if column.limit is None else f"{column.count}/{column.limit}",
            "" if column.utilisation is None else f"{column.utilisation:.0%}",
            column.waiting or "",
            "" if column.oldest_seconds is None else age(column.oldest_seconds),
            "" if column.mean_age_seconds is None else age(column.mean_age_seconds),
        )
        for column in found.columns
    ]
    columns = ("column", "cards", "used", "waiting", "oldest", "mean age")
    print_table("", columns, rows, "The workflow has no columns.")
    if found.ageing:
        old = [
            (
                card.ticket_id,
                card.column or "",
                age(card.age_seconds),
                age(card.in_column_seconds),
                card.title,
            )
            for card in found.ageing[:10]
        ]
        out.print()
        print_table("", ("oldest tickets", "column", "age", "in column", "title"), old, "")
    out.print()
    out.print(
        flow(found.cumulative_flow, [column.id for column in found.columns], width=min(out.width, 100)),
        soft_wrap=True,
    )


def _percentiles(found: Percentiles) -> str:
    if found.p50_seconds is None:
        return "nothing was done"
    shares = (("half within", found.p50_seconds), ("85 %", found.p85_seconds), ("95 %", found.p95_seconds))
    return ", ".join(f"{share} {age(seconds)}" for share, seconds in shares if seconds is not None)
