"""What the commands share: the connection, the output for people and for scripts, the exit codes."""

import asyncio
import re
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Annotated, Any

import orjson
import typer
import uvloop
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from omoi.connection import connected as connected  # noqa: PLC0414 - the commands find it here
from shared.client import ClientError, RefusedByService, TooLarge, Unreachable
from shared.contracts.messages import Query
from shared.kernel.settings import Settings
from shared.kernel.wire import KEY
from shared.stack import OPERATOR, RunningStack, StackError, running_stack

DONE, REFUSED, USAGE, UNAVAILABLE = 0, 1, 2, 3
INTERRUPTED = 130
"""As shells tell of a program that Ctrl-C ended."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def actor_name(name: str) -> str:
    """A name that can be a token of a subject."""
    if not KEY.match(name):
        raise typer.BadParameter("a name is 1 to 64 letters, digits, - and _")
    return name


As = Annotated[
    str,
    typer.Option(
        "--as",
        metavar="NAME",
        envvar="OMOI_AGENT_ID",
        callback=actor_name,
        help="Act under this name; inside a task it is the agent's.",
    ),
]
OPERATOR_NAME = OPERATOR

WIDE = 200
"""Columns of output that no terminal shows, so that lines stay whole for whoever reads them later."""

COMMANDING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys rather than shows: it moves the cursor, rings, or turns the order of letters."""


class Screen(Console):
    """A console that obeys only us: what agents and people wrote is shown, never carried out."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is shown; only those that rich made itself may be commands."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=COMMANDING.sub("", segment.text))


out = Screen(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDE)
err = Screen(stderr=True, highlight=False, markup=False, width=None if sys.stderr.isatty() else WIDE)


def settings() -> Settings:
    """The settings of this process."""
    return Settings()


def find_stack(config: Settings) -> RunningStack | None:
    """The embedded stack that runs in this home, if one does."""
    return running_stack(config.home.resolve())


def run(work: Coroutine[Any, Any, int | None]) -> None:
    """Run a command to its end and leave with its exit code."""
    try:
        code = uvloop.run(work)
    except RefusedByService as refused:
        err.print(Text.assemble((refused.answer.code, "red"), f": {refused.answer.message}"))
        raise typer.Exit(REFUSED) from None
    except TooLarge as large:
        err.print(str(large), style="red")
        raise typer.Exit(USAGE) from None
    except (Unreachable, StackError, OSError) as away:
        err.print(str(away), style="red")
        raise typer.Exit(UNAVAILABLE) from None
    except ClientError as error:
        err.print(str(error), style="red")
        raise typer.Exit(REFUSED) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(code or DONE)


def tell(query: Query, as_json: bool, show: Callable[[dict[str, Any]], None]) -> None:
    """Ask one question, print the answer for scripts or show it to a person, and leave."""

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            found = await client.query(query)
        (print_json if as_json else show)(found)
        return DONE

    run(work())


def print_json(value: Any) -> None:
    """Print one JSON document on a line of its own."""
    sys.stdout.write(orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode() + "\n")
    sys.stdout.flush()


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str) -> None:
    """Print rows for people; a sentence when there are none."""
    if not rows:
        out.print(empty)
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column != columns[-1])
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    out.print(table)


def parse_json(text: str) -> bytes:
    """A JSON argument, or the file named by `@file`, or standard input for `-`."""
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        with open(text[1:], encoding="utf-8") as file:
            text = file.read()
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise typer.BadParameter(f"not JSON: {error}") from error
    return text.encode()
