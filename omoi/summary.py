"""What came of a ticket that was taken through: in words and as a graph, or as JSON."""

import shlex
from pathlib import Path
from time import monotonic
from typing import Any

from rich.text import Text

from omoi.cli.console import out, print_json
from omoi.cli.graph import show_graph, whole_graph
from omoi.cli.tickets import short
from omoi.watch import Watch
from shared.client import Client, ClientError
from shared.contracts.projection import Graph, Journal, TicketGraph

READ_MODEL_SECONDS = 5.0
"""How long a picture that only rounds things off is waited for."""


async def summarise(client: Client, watch: Watch, ended: str | None, repository: Path) -> None:
    """Tell what came of the ticket; `ended` is why it is not done."""
    summary = _summary(watch, ended, repository)
    summary["memories"] = await _memories(client, watch)
    if watch.as_json:
        print_json({"summary": summary})
        return
    _tell(watch, summary)
    await _draw(client, watch)
    _tell_more(watch.progress.ticket_id, watch.progress.title)


def _summary(watch: Watch, ended: str | None, repository: Path) -> dict[str, Any]:
    progress = watch.progress
    counts = {
        status: sum(work.status == status for work in progress.tasks.values())
        for status in ("completed", "failed", "cancelled")
    }
    return {
        "ticket_id": progress.ticket_id,
        "done": watch.done,
        "phase_path": [step.phase_id for step in progress.path],
        "regressions": [step.phase_id for step in progress.path if step.regression],
        "tasks": counts,
        "discoveries": {id_: status for id_, (_, status) in progress.discoveries.items()},
        "seconds": round(monotonic() - watch.began, 1),
        "repository": str(repository),
        "reason": ended,
    }


async def journal_head(client: Client) -> int | None:
    """The newest sequence of the journal; None while nobody tells it."""
    try:
        return int((await client.query(Journal(limit=1), patience=READ_MODEL_SECONDS))["head"])
    except ClientError:
        return None


async def _memories(client: Client, watch: Watch) -> dict[str, list[str]]:
    """The memories that each task of the ticket was given, by the task's id."""
    given: dict[str, list[str]] = {}
    after = watch.journal_from
    while after is not None:
        query = Journal(type="memory.context_suggested", after=after)
        try:
            found = await client.query(query, patience=READ_MODEL_SECONDS)
        except ClientError:
            return given
        for event in found["events"]:
            if event["data"]["task_id"] in watch.progress.tasks:
                given[event["data"]["task_id"]] = event["data"]["memory_ids"]
        after = found["next"]
    return given


def _tell(watch: Watch, summary: dict[str, Any]) -> None:
    progress = watch.progress
    out.print()
    if watch.done:
        out.print(Text.assemble((short(progress.phase_id), "green"), f": {progress.title}"))
    else:
        out.print(Text.assemble(("Not done", "red"), f": {progress.title}"))
        out.print(summary["reason"] or "", soft_wrap=True)
    out.print(f"Phases      {' -> '.join(str(step) for step in progress.path)}", soft_wrap=True)
    told = ", ".join(f"{count} {status}" for status, count in summary["tasks"].items() if count)
    out.print(f"Tasks       {told or 'none'} in {summary['seconds']} s")
    if progress.discoveries:
        found = ", ".join(f"{said} ({status})" for said, status in progress.discoveries.values())
        out.print(f"Found       {found}", soft_wrap=True)
    if given := summary["memories"]:
        count = len({memory_id for ids in given.values() for memory_id in ids})
        out.print(f"Memories    {count}, given to {len(given)} tasks")
    out.print(f"Repository  {summary['repository']}", soft_wrap=True)
    if progress.waiting:
        out.print(Text.assemble(("Waiting", "yellow"), f"     {progress.waiting}"), soft_wrap=True)


async def _draw(client: Client, watch: Watch) -> None:
    """The graph, as of the last event that was seen; nothing when it takes too long."""
    query = Graph(ticket_id=watch.progress.ticket_id, min_position=watch.seen)
    try:
        found = await whole_graph(client, query, READ_MODEL_SECONDS)
    except ClientError:
        return
    out.print()
    show_graph(TicketGraph.model_validate(found))


def _tell_more(ticket_id: str, title: str) -> None:
    out.print(f"\nLook back   omoi ticket history {ticket_id}", soft_wrap=True)
    for command in (
        f"graph {ticket_id} --svg graph.svg",
        f"events --ticket {ticket_id}",
        f"discover list --ticket {ticket_id}",
        f"memory search {shlex.quote(title)}",
        "board",
    ):
        out.print(f"            omoi {command}", soft_wrap=True)
    out.print("            (while `omoi up` runs; the data is kept)")
