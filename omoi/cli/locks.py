"""`omoi locks`: which resources are locked, by whom until when, and who waits."""

from typing import Annotated, Any

import typer

from omoi.cli.console import OPERATOR_NAME, Json, connected, print_json, print_table, run
from omoi.cli.ids import of
from omoi.cli.tickets import moment
from shared.contracts.lock import ListLocks


def register(root: typer.Typer) -> None:
    """Add the command."""
    root.command()(locks)


def locks(
    prefix: Annotated[str, typer.Argument(help="Only resources that begin so.")] = "",
    task: Annotated[
        str | None, typer.Option(help="Only those this task holds or waits for.", callback=of("task"))
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Only those this agent holds or waits for.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    as_json: Json = False,
) -> None:
    """List the locks that are held or waited for."""

    async def work() -> int:
        wanted = ListLocks(resource_prefix=prefix, task_id=task, agent_id=agent, limit=limit)
        async with connected(OPERATOR_NAME) as client:
            found = await client.query(wanted)
        if as_json:
            print_json(found)
            return 0
        rows = [row for lock in found["locks"] for row in _rows(lock)]
        columns = ("resource", "", "mode", "until", "token", "agent", "task")
        print_table("", columns, rows, "Nobody holds a lock.")
        return 0

    run(work())


def _rows(lock: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Who holds it, then who waits for it, in their order."""
    holders = [
        (
            lock["resource_key"],
            "held",
            one["mode"],
            moment(one["expires_at"]) if one["expires_at"] else "its claim ends",
            one["fencing_token"],
            one["agent_id"],
            one["task_id"],
        )
        for one in lock["holders"]
    ]
    waiting = [
        (
            lock["resource_key"],
            "waits",
            one["mode"],
            moment(one["wait_until"]),
            "",
            one["agent_id"],
            one["task_id"],
        )
        for one in lock["waiting"]
    ]
    return [*holders, *waiting]
