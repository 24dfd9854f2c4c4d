"""Ids as people write them: the end of one is enough where no other ends so."""

import re
from collections.abc import Callable
from typing import Annotated, Any

import orjson
import typer
import uvloop

from omoi.cli.console import OPERATOR_NAME, REFUSED, connected, err
from shared.client import Unreachable

OWNERS = {
    "ticket": "phase",
    "task": "scheduler",
    "discovery": "discovery",
    "memory": "memory",
    "handoff": "collaboration",
    "intervention": "guardian",
}
"""Who knows which of these there are."""
WHOLE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PATIENCE_SECONDS = 2.0
"""How long the owner is waited for; without it an id is taken as it stands."""
SHOWN = 10

Given = str | list[str] | None
Completed = Callable[[typer.Context, typer.CallbackParam, Given], Given]


def completed(noun: str, text: str) -> str:
    """The id that `text` is, or is the end of; nobody is asked about a whole one."""
    if WHOLE.fullmatch(text):
        return text
    try:
        ids = uvloop.run(_ending(noun, text))
    except Unreachable:
        return text
    if not ids:
        err.print(f"{noun}_not_found: No {noun} has the id {text}, nor one that ends so.", style="red")
        raise typer.Exit(REFUSED)
    if len(ids) > 1:
        more = ", ..." if len(ids) > SHOWN else ""
        raise typer.BadParameter(
            f"{text} is the end of several {noun} ids: {', '.join(ids[:SHOWN])}{more}. Write more of it."
        )
    return ids[0]


async def _ending(noun: str, text: str) -> list[str]:
    body = orjson.dumps({"noun": noun, "ending": text, "limit": SHOWN + 1})
    async with connected(OPERATOR_NAME) as client:
        found = await client.query_raw(OWNERS[noun], "ids", body, patience=PATIENCE_SECONDS)
    return [str(id_) for id_ in found["ids"]]


def of(noun: str) -> Completed:
    """The callback of a parameter that takes ids; those of a task's surroundings are whole."""

    def complete(context: typer.Context, parameter: typer.CallbackParam, given: Given) -> Given:
        source = context.get_parameter_source(parameter.name or "")
        if not given or (source and source.name == "ENVIRONMENT"):
            return given
        return completed(noun, given) if isinstance(given, str) else [completed(noun, one) for one in given]

    return complete


def _argument(noun: str) -> Any:
    return typer.Argument(help=f"The {noun}'s id, or the end of it.", callback=of(noun))


TicketId = Annotated[str, _argument("ticket")]
TaskId = Annotated[str, _argument("task")]
DiscoveryId = Annotated[str, _argument("discovery")]
MemoryId = Annotated[str, _argument("memory")]
HandoffId = Annotated[str, _argument("handoff")]
InterventionId = Annotated[str, _argument("intervention")]
