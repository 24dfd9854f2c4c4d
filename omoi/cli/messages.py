"""`omoi send`, `ask`, `query` and `events`: the wire, by hand."""

from typing import Annotated

import typer

from omoi.cli.console import OPERATOR_NAME, As, Json, connected, out, parse_json, print_json, run
from omoi.cli.ids import of
from omoi.services import service_names
from shared.kernel.received import Received

Subject = Annotated[str, typer.Argument(help="SERVICE.NAME, for example phase.open_ticket.")]
AlwaysJson = Annotated[bool, typer.Option("--json", help="Changes nothing: the output is JSON anyway.")]
Body = Annotated[str, typer.Argument(help="A JSON object, @FILE, or - for standard input.")]


def split(subject: str) -> tuple[str, str]:
    """`phase.open_ticket`, with or without a lane in front."""
    parts = subject.split(".")
    if parts and parts[0] in {"cmd", "ask", "qry"}:
        parts = parts[1:]
    if len(parts) != 2 or not all(parts):
        raise typer.BadParameter("a subject is SERVICE.NAME, for example phase.open_ticket")
    if parts[0] not in service_names():
        raise typer.BadParameter(f"there is no service {parts[0]!r}; there are {', '.join(service_names())}")
    return parts[0], parts[1]


def send(
    subject: Subject,
    body: Body = "{}",
    actor: As = OPERATOR_NAME,
    command_id: Annotated[str | None, typer.Option("--id", help="Id; the same id takes effect once.")] = None,
    _: AlwaysJson = False,
) -> None:
    """Put a command on the durable lane: it is kept and executed, once."""

    async def work() -> int:
        service, name = split(subject)
        async with connected(actor) as client:
            print_json(
                {"command_id": await client.send_raw(service, name, parse_json(body), command_id=command_id)}
            )
        return 0

    run(work())


def ask(
    subject: Subject,
    body: Body = "{}",
    actor: As = OPERATOR_NAME,
    command_id: Annotated[str | None, typer.Option("--id", help="Id; the same id takes effect once.")] = None,
    _: AlwaysJson = False,
) -> None:
    """Have a command decided now and print its answer."""

    async def work() -> int:
        service, name = split(subject)
        async with connected(actor) as client:
            answer = await client.ask_raw(service, name, parse_json(body), command_id=command_id, patience=10)
        print_json(answer.raw)
        return exit_code(answer.ok, answer.code)

    run(work())


def query(subject: Subject, body: Body = "{}", _: AlwaysJson = False) -> None:
    """Ask a question and print what is answered."""

    async def work() -> int:
        service, name = split(subject)
        async with connected(OPERATOR_NAME) as client:
            print_json(await client.query_raw(service, name, parse_json(body), patience=10))
        return 0

    run(work())


def exit_code(ok: bool, code: str) -> int:
    """0 done, 1 refused, 3 unavailable."""
    if ok:
        return 0
    return 3 if code == "unavailable" else 1


def events(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come.")] = False,
    ticket: Annotated[str | None, typer.Option(help="Only of this ticket.", callback=of("ticket"))] = None,
    start: Annotated[
        int | None, typer.Option("--from", help="Begin at this place of the stream.", min=1)
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the events, oldest first."""

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            async for place, event in client.events(ticket_id=ticket, start=start, follow=follow):
                if as_json:
                    print_json({"sequence": place, **event.as_json()})
                else:
                    out.print(line(place, event), soft_wrap=True, markup=False)
        return 0

    run(work())


def line(place: int, event: Received) -> str:
    """One event on one line."""
    told = {
        name: value
        for name, value in event.data.items()
        if name != "ticket_id" and value not in (None, "", [])
    }
    words = ", ".join(f"{name}={short(value)}" for name, value in told.items())
    return f"{place:>6}  {event.at[11:23]}  {event.type:<24} {event.key:<38} {words}"


def short(value: object) -> str:
    """A value, cut to what fits on a line."""
    text = str(value).replace("\n", " ")
    return text if len(text) <= 60 else f"{text[:57]}..."


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (send, ask, query, events):
        app.command()(command)
