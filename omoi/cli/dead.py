"""`omoi dead`: messages that could not be handled, and what becomes of them."""

from typing import Annotated, Any

import orjson
import typer

from omoi.cli.console import OPERATOR_NAME, As, Json, connected, out, print_json, print_table, run
from omoi.services import service_names
from shared.client import Client, ClientError

app = typer.Typer(no_args_is_help=True, help="Messages that could not be handled, and what becomes of them.")
ServiceName = Annotated[str, typer.Argument(help="Service that parked it.")]
Number = Annotated[int, typer.Argument(help="Number of the message in `omoi dead list`.")]


async def _parked(client: Client, service: str, number: int | None = None) -> list[dict[str, Any]]:
    try:
        found = await client.query_raw(service, "dead", orjson.dumps({"id": number}), patience=2)
    except ClientError:
        return []
    return [{"service": service, **one} for one in found["dead"]]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List parked messages: those that broke, and those that wait behind them."""

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            found = [one for service in service_names() for one in await _parked(client, service)]
        if as_json:
            print_json({"dead": found})
            return 0
        rows = [
            (d["service"], d["id"], d["consumer"], d["key"], d["message"].get("type"), d["attempts"],
             d["error"] or "waits behind the one before")
            for d in found
        ]  # fmt: skip
        columns = ("service", "number", "consumer", "key", "message", "attempts", "error")
        print_table("", columns, rows, "Nothing is parked.")
        return 0

    run(work())


@app.command()
def show(service: ServiceName, number: Number) -> None:
    """Print one parked message whole."""

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            found = await _parked(client, service, number)
        if not found:
            out.print(f"{service} has no parked message {number}.")
            return 1
        print_json(found[0])
        return 0

    run(work())


def _decide(operation: str, service: str, number: int, actor: str, told: str) -> None:
    async def work() -> int:
        async with connected(actor) as client:
            answer = await client.ask_raw(service, operation, orjson.dumps({"id": number}), patience=5)
            answer.accepted()
        out.print(told.format(**answer.result))
        return 0

    run(work())


@app.command()
def retry(service: ServiceName, number: Number, actor: As = OPERATOR_NAME) -> None:
    """Handle a parked message again, and then those that wait behind it."""
    _decide("retry_dead", service, number, actor, "{key} is tried again within seconds.")


@app.command()
def drop(service: ServiceName, number: Number, actor: As = OPERATOR_NAME) -> None:
    """Give a parked message up, and handle those that wait behind it."""
    _decide(
        "drop_dead", service, number, actor, "The message is dropped; what waits behind it in {key} goes on."
    )
