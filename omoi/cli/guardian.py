"""`omoi guardian`: who has which authority."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from omoi.cli.console import DONE, OPERATOR_NAME, As, Json, connected, out, print_json, print_table, run, tell
from omoi.cli.tickets import moment
from shared.contracts.guardian import GrantAuthority, ListGrants, RevokeAuthority
from shared.contracts.messages import Authority, Command
from shared.contracts.policy import seconds_of

app = typer.Typer(no_args_is_help=True, help="Who may do what, interventions, and policies.")
Level = Annotated[
    str,
    typer.Argument(help=f"{', '.join(Authority.__members__)}; in any case.", metavar="LEVEL"),
]
Actor = Annotated[str, typer.Argument(help="Name under which the actor sends commands.")]
Reason = Annotated[str, typer.Option(help="Why; kept for good.")]


def seconds(text: str) -> float:
    """`90s`, `30m`, `2h` or `7d` as seconds."""
    found = seconds_of(text)
    if not isinstance(found, float):
        raise typer.BadParameter("a time is a number and s, m, h or d, as in 90s, 30m, 2h or 7d")
    return found


For = Annotated[
    float | None,
    typer.Option("--for", parser=seconds, metavar="TIME", help="The grant ends by itself: 90s, 30m, 2h, 7d."),
]


@app.command()
def grant(
    actor: Actor,
    level: Level,
    *,
    reason: Reason,
    lasting: For = None,
    sender: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Give an actor an authority, in place of one granted before; at most your own."""

    def told(result: dict[str, Any]) -> str:
        until = f" until {moment(result['expires_at'])}" if result["expires_at"] else ""
        return f"{actor} has {result['level']} authority{until}."

    if level.upper() not in Authority.__members__:
        raise typer.BadParameter(f"one of {', '.join(Authority.__members__)}", param_hint="LEVEL")
    command = GrantAuthority(
        actor=actor, level=Authority[level.upper()], reason=reason, expires_in_seconds=lasting
    )
    _send(command, sender, as_json, told)


@app.command()
def revoke(actor: Actor, *, reason: Reason, sender: As = OPERATOR_NAME, as_json: Json = False) -> None:
    """Take back what was granted to an actor; what configuration grants stays."""
    _send(
        RevokeAuthority(actor=actor, reason=reason), sender, as_json,
        lambda result: f"{result['level']} authority is taken back from {actor}.",
    )  # fmt: skip


def _send(command: Command, sender: str, as_json: bool, told: Callable[[dict[str, Any]], str]) -> None:
    async def work() -> int:
        async with connected(sender) as client:
            answer = (await client.ask(command)).accepted()
        if as_json:
            print_json(answer.raw)
        else:
            out.print(told(answer.result))
        return DONE

    run(work())


@app.command()
def grants(as_json: Json = False) -> None:
    """List what is granted, and until when."""

    def show(found: dict[str, Any]) -> None:
        rows = [
            (one["actor"], one["level"], moment(one["expires_at"]) if one["expires_at"] else "taken back",
             one["granted_by"], moment(one["granted_at"]), one["reason"])
            for one in found["grants"]
        ]  # fmt: skip
        columns = ("actor", "authority", "until", "granted by", "at", "reason")
        print_table("", columns, rows, "The guardian has granted nothing. OMOI_GRANTS may.")

    tell(ListGrants(), as_json, show)
