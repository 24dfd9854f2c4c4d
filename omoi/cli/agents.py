"""`omoi agents`: who there is, who fits, and who is let work."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from omoi.cli.console import OPERATOR_NAME, As, Json, actor_name, connected, out, print_json, print_table, run
from omoi.cli.tickets import moment
from shared.client import Answer
from shared.contracts.agent import (
    BestFit,
    Deregister,
    GetAgent,
    ListAgents,
    Quarantine,
    Release,
    Search,
    SetAvailability,
)
from shared.contracts.messages import Command

app = typer.Typer(invoke_without_command=True, help="Who there is, who fits a task, and who is let work.")
AgentId = Annotated[str, typer.Argument(help="The agent's id.", callback=actor_name)]
Words = Annotated[str, typer.Option(help="Comma-separated.")]
HIDDEN = ("record", "tasks", "missed", "health")


def _run(command: Command, actor: str, as_json: bool, changed: str, unchanged: str) -> None:
    """Have a command decided and say what came of it."""

    async def work() -> int:
        async with connected(actor) as client:
            answer: Answer = (await client.ask(command)).accepted()
        if as_json:
            print_json(answer.raw)
        else:
            out.print(changed if answer.events else unchanged)
        return 0

    run(work())


@app.callback()
@app.command("list")
def list_(
    context: typer.Context,
    *,
    left: Annotated[bool, typer.Option("--all", help="Those who have left, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    as_json: Json = False,
) -> None:
    """List agents, newest first."""

    if context.invoked_subcommand is not None:
        return

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            found = await client.query(ListAgents(include_terminated=left, limit=limit))
        if as_json:
            print_json(found)
            return 0
        rows = [
            (a["agent_id"], _status(a), f"{a['running']}/{a['capacity']}", _ago(a["last_seen_at"]),
             ", ".join(a["tags"]), ", ".join(a["capabilities"]))
            for a in found["agents"]
        ]  # fmt: skip
        columns = ("agent", "status", "tasks", "seen", "tags", "capabilities")
        print_table("", columns, rows, "There are no agents. `omoi worker` starts one.")
        return 0

    run(work())


@app.command()
def show(agent_id: AgentId, as_json: Json = False) -> None:
    """Show one agent, and how it has done."""

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            agent = await client.query(GetAgent(agent_id=agent_id))
        if as_json:
            print_json(agent)
            return 0
        told = {**agent, "status": _status(agent), "has": agent["tasks"]}
        told |= {name: moment(at) for name, at in agent.items() if name.endswith("_at") and at}
        rows = [(name, _plain(value)) for name, value in told.items() if name not in HIDDEN and _says(value)]
        print_table("", ("field", "value"), rows, "")
        if agent["record"]:
            out.print()
            done = [(r["task_type"], r["completed"], r["failed"]) for r in agent["record"]]
            print_table("", ("type of task", "completed", "failed"), done, "")
        return 0

    run(work())


@app.command()
def search(
    *,
    require: Words = "",
    prefer: Words = "",
    task_type: Annotated[str | None, typer.Option(help="Judge success by tasks of this type.")] = None,
    phase: Annotated[str | None, typer.Option(help="Only who works in this phase.")] = None,
    tags: Words = "",
    everybody: Annotated[
        bool, typer.Option("--all", help="Also who would fit but is offered no work, and why not.")
    ] = False,
    best: Annotated[bool, typer.Option("--best", help="Only the best; refused when there is none.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 10,
    as_json: Json = False,
) -> None:
    """Find agents for a task, best first."""
    wanted: dict[str, Any] = {
        "required_capabilities": _listed(require),
        "preferred_capabilities": _listed(prefer),
        "task_type": task_type,
        "phase": phase,
        "tags": _listed(tags),
    }

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            if best:
                found = await client.query(BestFit(**wanted))
            else:
                found = await client.query(Search(**wanted, include_unavailable=everybody, limit=limit))
        if as_json:
            print_json(found)
        else:
            _show_matches([found] if best else found["agents"], found.get("lacking", ()))
        return 0

    run(work())


def _show_matches(matches: list[dict[str, Any]], lacking: list[str]) -> None:
    rows = [
        (m["agent_id"], f"{m['score']:.3f}", *(f"{m['parts'][part]:.2f}" for part in m["parts"]),
         f"{m['running']}/{m['capacity']}", m["reason"] or m["status"].lower(), ", ".join(m["capabilities"]))
        for m in matches
    ]  # fmt: skip
    parts = tuple(matches[0]["parts"]) if matches else ()
    columns = ("agent", "score", *parts, "tasks", "status", "capabilities")
    why = f"None that is offered work has {', '.join(lacking)}." if lacking else "`--all` shows who would."
    print_table("", columns, rows, f"No agent fits. {why}")


@app.command()
def quarantine(
    agent_id: AgentId,
    reason: Annotated[str, typer.Option(help="Why, for the history.")],
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Take an agent's tasks away and give it no more; needs GUARDIAN."""
    _run(
        Quarantine(agent_id=agent_id, reason=reason), actor, as_json,
        f"{agent_id} is quarantined; its tasks go to others. `omoi agents release {agent_id}` lets it back.",
        f"{agent_id} was quarantined already.",
    )  # fmt: skip


@app.command()
def release(
    agent_id: AgentId,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Let a quarantined agent have work again; needs GUARDIAN."""
    _run(
        Release(agent_id=agent_id, reason=reason), actor, as_json,
        f"{agent_id} may have work again.", f"{agent_id} was not quarantined.",
    )  # fmt: skip


@app.command()
def available(
    agent_id: AgentId,
    on: Annotated[bool, typer.Option("--on/--off", help="Offer it work, or none.")] = True,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Offer an agent work, or stop offering; what it has it keeps."""
    told = "is offered work" if on else "is offered no more work; it keeps what it has"
    _run(
        SetAvailability(agent_id=agent_id, available=on), actor, as_json,
        f"{agent_id} {told}.", f"{agent_id} was so already.",
    )  # fmt: skip


@app.command()
def deregister(
    agent_id: AgentId,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Let an agent leave; its tasks go to others."""
    _run(
        Deregister(agent_id=agent_id, reason=reason), actor, as_json,
        f"{agent_id} has left; its tasks go to others.", f"{agent_id} had left already.",
    )  # fmt: skip


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _status(agent: dict[str, Any]) -> str:
    """The status with what a person should see beside it."""
    status = str(agent["status"]).lower()
    if agent["missed"] == 1:
        status += ", 1 beat missed"
    return status if agent["available"] else f"{status}, not available"


def _ago(at: str | None) -> str:
    """How long ago, roughly."""
    if at is None:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} s ago"


def _says(value: object) -> bool:
    return value is not None and value not in ("", [], {})


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
