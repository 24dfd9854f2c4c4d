"""`omoi discover`: say what was found at a task, branch off because of it, and look at what others found."""

from typing import Annotated, Any, cast

import orjson
import typer
from typer.core import TyperGroup

from omoi.cli.collaboration import Before, Limit, act, decide, one_of
from omoi.cli.console import OPERATOR_NAME, As, Json, out, parse_json, print_json, print_table, tell
from omoi.cli.ids import DiscoveryId, of
from omoi.cli.tickets import moment
from shared.client import Client
from shared.contracts.discovery import (
    TYPES,
    WAIT_SECONDS,
    Analytics,
    Branch,
    DiscoveryStatus,
    Dismiss,
    GetDiscovery,
    ListDiscoveries,
    Record,
    Resolve,
)

STATUSES = ("open", "in_progress", "resolved", "invalid")


class Verbs(TyperGroup):
    """What is no verb is the type of a discovery: `omoi discover bug "..."`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command, which is `record` where none is named."""
        known = self.get_command(ctx, args[0]) is not None
        return super().resolve_command(ctx, args if known else ["record", *args])


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    context_settings={"ignore_unknown_options": True},
    help='Say what you found at a task: `omoi discover bug "The parser drops the last line"`. '
    f"Types: {', '.join(TYPES)}, and those that the workflow adds.",
)

Describe = Annotated[
    str, typer.Option(metavar="TEXT", help="What the task is to do; the description when absent.")
]
Boost = Annotated[
    bool, typer.Option("--boost", help="The task gets one priority more than the one it was found at.")
]
Capability = Annotated[
    list[str] | None, typer.Option(help="What an agent must be able to do; may be repeated.")
]
Task = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="TASK",
        envvar="OMOI_TASK_ID",
        help="The task at which it was found; inside a task its own.",
        callback=of("task"),
    ),
]
Ticket = Annotated[
    str | None,
    typer.Option(
        metavar="TICKET",
        envvar="OMOI_TICKET_ID",
        help="Only of this ticket; inside a task its own.",
        callback=of("ticket"),
    ),
]
Everything = Annotated[bool, typer.Option("--all", help="Of all tickets, also inside a task.")]
Reason = Annotated[str, typer.Option(help="Why, for the history.")]


@app.command()
def record(
    discovery_type: Annotated[str, typer.Argument(metavar="TYPE", help="What kind of thing it is.")],
    description: Annotated[str, typer.Argument(help="What was found.")],
    *,
    branch: Annotated[
        str | None,
        typer.Option("--branch", metavar="PHASE", help="Spawn a task in this phase because of it."),
    ] = None,
    describe: Describe = "",
    boost: Boost = False,
    capability: Capability = None,
    metadata: Annotated[str, typer.Option(metavar="JSON", help="For programs; @FILE and - are read.")] = "{}",
    task: Task = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Record a discovery, and with --branch spawn a task; also without the word `record`."""
    if task is None:
        raise typer.BadParameter("outside a task, say with --task at which one it was found")
    if branch is None and (describe or capability):
        raise typer.BadParameter("--describe and --capability are about the task that --branch PHASE spawns")
    found: dict[str, Any] = {
        "source_task_id": task,
        "discovery_type": discovery_type.replace("-", "_"),
        "description": description,
        "priority_boost": boost,
        "metadata": _object(metadata),
    }
    if branch is None:
        decide(actor, Record(**found), as_json, _recorded)
    spawn = {"spawn_phase_id": branch, "spawn_description": describe}
    _branch(Branch(**found, **spawn, spawn_capabilities=tuple(capability or ())), actor, as_json)


@app.command()
def branch(
    discovery_id: DiscoveryId,
    phase: Annotated[str, typer.Argument(help="Phase in which the task is spawned.")],
    *,
    describe: Describe = "",
    boost: Boost = False,
    capability: Capability = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Spawn a task because of a discovery that is on record."""
    command = Branch(
        discovery_id=discovery_id,
        spawn_phase_id=phase,
        spawn_description=describe,
        spawn_capabilities=tuple(capability or ()),
        priority_boost=boost,
    )
    _branch(command, actor, as_json)


def _branch(command: Branch, actor: str, as_json: bool) -> None:
    async def work(client: Client) -> None:
        answer = (await client.ask(command, patience=WAIT_SECONDS + 10)).accepted()
        if as_json:
            print_json(answer.raw)
        else:
            out.print(_branched(answer.result), soft_wrap=True)

    act(actor, work)


def _recorded(ref: dict[str, Any]) -> str:
    if ref["known"]:
        return f"Known as discovery {ref['discovery_id']}, which is {ref['status']}; linked to this task."
    return f"Recorded discovery {ref['discovery_id']}."


def _branched(told: dict[str, Any]) -> str:
    if told["known"]:
        return f"Task {told['spawned_task_id']} is open for it already, by discovery {told['discovery_id']}."
    return f"Spawned task {told['spawned_task_id']} by discovery {told['discovery_id']}."


def _object(text: str) -> Any:
    return orjson.loads(parse_json(text))


@app.command()
def resolve(
    discovery_id: DiscoveryId, reason: Reason = "", actor: As = OPERATOR_NAME, as_json: Json = False
) -> None:
    """Say that a discovery is dealt with; its tasks go on."""
    command = Resolve(discovery_id=discovery_id, reason=reason)
    decide(actor, command, as_json, lambda ref: f"Discovery {ref['discovery_id']} is {ref['status']}.")


@app.command()
def dismiss(
    discovery_id: DiscoveryId, reason: Reason = "", actor: As = OPERATOR_NAME, as_json: Json = False
) -> None:
    """Say that a discovery is none; its tasks go on."""
    command = Dismiss(discovery_id=discovery_id, reason=reason)
    decide(actor, command, as_json, lambda ref: f"Discovery {ref['discovery_id']} is {ref['status']}.")


@app.command("list")
def list_(
    *,
    ticket: Ticket = None,
    everything: Everything = False,
    status: Annotated[str | None, typer.Option(help=f"{', '.join(STATUSES[:-1])} or invalid.")] = None,
    discovery_type: Annotated[str | None, typer.Option("--type", help="Only of this type.")] = None,
    before: Before = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List discoveries, newest first."""
    query = ListDiscoveries(
        ticket_id=None if everything else ticket,
        status=cast(DiscoveryStatus | None, one_of(status, STATUSES)),
        discovery_type=discovery_type,
        before=before,
        limit=limit,
    )
    tell(query, as_json, _show_list)


def _show_list(page: dict[str, Any]) -> None:
    rows = [
        (one["discovery_id"], one["discovery_type"], one["status"], one["phase_id"],
         f"{one['open_branches']}/{one['branches']}", moment(one["recorded_at"]), one["description"])
        for one in page["discoveries"]
    ]  # fmt: skip
    columns = ("discovery", "type", "status", "found in", "open tasks", "recorded", "what")
    print_table("", columns, rows, "There are no such discoveries.")
    if page["next_before"]:
        out.print(f"More: --before {page['next_before']}")
    if page["under_way"]:
        out.print(f"Being branched: {page['under_way']}.")


@app.command()
def show(discovery_id: DiscoveryId, as_json: Json = False) -> None:
    """Show a discovery with the tasks that it spawned."""
    tell(GetDiscovery(discovery_id=discovery_id), as_json, _show)


def _show(one: dict[str, Any]) -> None:
    out.print(f"{one['discovery_type']}, {one['status']}: {one['description']}", style="bold", soft_wrap=True)
    out.print(
        f"Found by {one['recorded_by']} at task {one['source_task_id']} of ticket {one['ticket_id']} in "
        f"{one['phase_id']}, {moment(one['recorded_at'])}.",
        soft_wrap=True,
    )
    if one["linked_task_ids"]:
        out.print(f"Found again at {', '.join(one['linked_task_ids'])}.", soft_wrap=True)
    if one["closed_at"]:
        how = "by itself" if one["automatic"] else f"by {one['closed_by']}"
        out.print(f"Closed {how} {moment(one['closed_at'])}. {one['reason']}", soft_wrap=True)
    rows = [
        (b["spawned_task_id"], b["spawn_phase_id"], b["status"], b["priority"], b["depth"], b["title"])
        for b in one["branches"]
    ]
    print_table("", ("task", "phase", "status", "priority", "depth", "title"), rows, "It spawned no task.")


@app.command()
def stats(*, ticket: Ticket = None, everything: Everything = False, as_json: Json = False) -> None:
    """Show what is found how often, and how it ends."""
    tell(Analytics(ticket_id=None if everything else ticket), as_json, _show_stats)


def _show_stats(found: dict[str, Any]) -> None:
    if not found["total"]:
        out.print("Nothing was discovered.")
        return
    rows = [
        *((f"type {name}", count) for name, count in found["by_type"].items()),
        *((f"found in {name}", count) for name, count in found["by_phase"].items()),
        *((f"spawned in {name}", count) for name, count in found["branches_by_phase"].items()),
        *((name, count) for name, count in found["by_status"].items()),
    ]
    print_table(f"{found['total']} discoveries", ("", "how many"), rows, "")
    if found["resolution_rate"] is not None:
        out.print(f"Resolved: {found['resolution_rate']:.0%} of those not dismissed.")
    if found["resolution_seconds_mean"] is not None:
        mean, median = found["resolution_seconds_mean"], found["resolution_seconds_median"]
        out.print(f"Time to that: {mean:.0f} s in the mean, {median:.0f} s in the median.")
    if found["branches"]:
        mean, deepest = found["branch_depth_mean"], found["branch_depth_max"]
        out.print(f"Branches: {found['branches']}, {mean:.1f} deep in the mean, {deepest} at most.")
