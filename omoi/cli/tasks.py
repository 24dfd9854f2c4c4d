"""`omoi tasks` and `omoi explain`: what there is to do, why it does not move, and moving it."""

from typing import Annotated, Any

import typer

from omoi.cli.assigning import assign
from omoi.cli.console import OPERATOR_NAME, As, Json, connected, out, print_json, print_table, run, tell
from omoi.cli.ids import TaskId, of
from omoi.cli.tickets import decide, moment, short
from shared.contracts.messages import Command, Priority
from shared.contracts.projection import ListTasks
from shared.contracts.task import CancelTask, Explain, GetTask, ListAttempts, ReprioritiseTask, RetryTask

app = typer.Typer(
    invoke_without_command=True, help="Look at tasks, and assign, cancel, retry and reprioritise them."
)
Status = Annotated[
    str | None,
    typer.Option(help="waiting, ready, claimed, running, completed, failed or cancelled."),
]


def register(root: typer.Typer) -> None:
    """Let people ask why, wherever they are."""
    root.command()(explain)


@app.callback()
@app.command("list")
def list_(
    context: typer.Context,
    *,
    ticket: Annotated[
        str | None, typer.Option(help="Only those of this ticket.", callback=of("ticket"))
    ] = None,
    status: Status = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: Json = False,
) -> None:
    """List tasks, newest first."""

    if context.invoked_subcommand is not None:
        return

    async def work() -> int:
        wanted = ListTasks.model_validate({"ticket_id": ticket, "status": status, "limit": limit})
        async with connected(OPERATOR_NAME) as client:
            found = await client.query(wanted)
        if as_json:
            print_json(found)
            return 0
        rows = [
            (t["task_id"], t["status"], t["priority"], short(t["phase_id"]), t["agent_id"], t["title"])
            for t in found["tasks"]
        ]
        columns = ("task", "status", "priority", "phase", "agent", "title")
        print_table("", columns, rows, "There are no such tasks.")
        return 0

    run(work())


@app.command()
def show(task_id: TaskId, as_json: Json = False) -> None:
    """Show one task with its attempts."""
    tell(GetTask(task_id=task_id), as_json, _show)


def _show(task: dict[str, Any]) -> None:
    out.print(f"{task['task_id']}  {task['title']}", style="bold")
    why = f": {task['reason']}" if task["reason"] else ""
    lines = {
        "ticket": f"{task['ticket_id']}, visit {task['visit']} of {short(task['phase_id'])}",
        "status": task["status"] + why,
        "type": task["task_type"],
        "priority": task["priority"],
        "agent": task["agent_id"],
        "not assigned": task["status"] == "ready" and task["assignment"] and task["assignment"]["reason"],
        "claimed until": task["lease_expires_at"] and moment(task["lease_expires_at"]),
        "next attempt": task["not_before"] and moment(task["not_before"]),
        "needs": ", ".join(task["required_capabilities"]),
        "locks": ", ".join(task["resources"]),
        "waits for": ", ".join(task["waits_for"]),
        "deadline": task["deadline"] and moment(task["deadline"]),
        "cancelled": task["cancelled"] and f"{moment(task['cancelled']['at'])} by {task['cancelled']['by']}",
    }
    for name, value in lines.items():
        if value:
            out.print(f"  {name:<14}{value}")
    if task["description"]:
        out.print(f"\n{task['description']}\n")
    rows = [(a["attempt"], a["agent_id"], a["status"], *_times(a), a["error"]) for a in task["attempts"]]
    columns = ("attempt", "agent", "status", *TIMES, "error")
    print_table("", columns, rows, "Nobody has claimed it yet.")


TIMES = ("claimed", "started", "ended")


def _times(attempt: dict[str, Any]) -> list[str]:
    return [moment(at) if (at := attempt[f"{name}_at"]) else "" for name in TIMES]


@app.command()
def attempts(
    *,
    task: Annotated[str | None, typer.Option(help="Only those at this task.", callback=of("task"))] = None,
    agent: Annotated[str | None, typer.Option(help="Only this agent's.")] = None,
    ticket: Annotated[
        str | None, typer.Option(help="Only those at tasks of this ticket.", callback=of("ticket"))
    ] = None,
    outcome: Annotated[
        str | None,
        typer.Option(
            help="open, completed, failed, timed_out, lease_expired, cancelled, handed_over or returned."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    after: Annotated[str, typer.Option(help="Go on behind this attempt.")] = "",
    as_json: Json = False,
) -> None:
    """List attempts at tasks, the newest claim first."""
    wanted = {"task_id": task, "agent_id": agent, "ticket_id": ticket, "outcome": outcome}
    tell(ListAttempts.model_validate({**wanted, "limit": limit, "after": after}), as_json, _attempts)


def _attempts(found: dict[str, Any]) -> None:
    rows = [
        (a["task_id"], a["attempt"], a["agent_id"], a["outcome"] or "open", *_times(a), a["error"])
        for a in found["attempts"]
    ]
    columns = ("task", "attempt", "agent", "outcome", *TIMES, "error")
    print_table("", columns, rows, "There were no such attempts.")
    if found["next"]:
        out.print(f"There are more: --after {found['next']}")


def explain(task_id: TaskId, as_json: Json = False) -> None:
    """Say why a task does not move, and what would move it."""
    tell(Explain(task_id=task_id), as_json, _explain)


app.command("explain")(explain)
app.command()(assign)


def _explain(explained: dict[str, Any]) -> None:
    if explained["dispatchable"]:
        out.print(f"Task {explained['task_id']} is ready: the next agent that can do it gets it.")
        _remark(explained)
        return
    unless = ", but not handed out" if explained["status"] == "ready" else ""
    out.print(f"Task {explained['task_id']} is {explained['status']}{unless}.")
    for reason in explained["reasons"]:
        out.print(f"- {reason['message']}")
        for line in _details(reason):
            out.print(f"    {line}")
        out.print(f"  What moves it: {reason['way_out']}")
    _remark(explained)


def _remark(explained: dict[str, Any]) -> None:
    for remark in explained.get("remarks", []):
        out.print(f"Note: {remark['message']} {remark['way_out']}")


def _details(reason: dict[str, Any]) -> list[str]:
    """Who and until when, where the sentence does not say it."""
    lines = [f"{task['task_id']}: {task['title']}, {task['status']}" for task in reason.get("tasks", ())]
    until = [(reason["agent_id"], reason["until"])] if reason.get("until") else []
    until += [(one["agent_id"], one["until"]) for one in reason.get("held_by", ()) if one["until"]]
    return lines + [f"{agent_id} until {moment(at)}" for agent_id, at in until]


def _run(command: Command, actor: str, as_json: bool, sentence: str) -> None:
    async def work() -> int:
        async with connected(actor) as client:
            await decide(client, command, as_json, sentence)
        return 0

    run(work())


@app.command()
def cancel(
    task_id: TaskId,
    reason: Annotated[str, typer.Option(help="Why; its agent is told.")] = "",
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Stop a task for good; whoever has it is told on its next beat."""
    _run(CancelTask(task_id=task_id, reason=reason), actor, as_json, "Task {task_id} is {status}.")


@app.command()
def retry(task_id: TaskId, actor: As = OPERATOR_NAME, as_json: Json = False) -> None:
    """Try a failed or cancelled task again, as often as a new one."""
    _run(RetryTask(task_id=task_id), actor, as_json, "Task {task_id} is {status}.")


@app.command()
def reprioritise(
    task_id: TaskId,
    priority: Annotated[str, typer.Argument(help="LOW, MEDIUM, HIGH or CRITICAL.")],
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Give a task another priority."""
    try:
        wanted = Priority(priority)
    except ValueError:
        raise typer.BadParameter(f"{priority} is no priority: LOW, MEDIUM, HIGH or CRITICAL") from None
    command = ReprioritiseTask(task_id=task_id, priority=wanted, reason=reason)
    _run(command, actor, as_json, f"Task {{task_id}} is {wanted.value} now, and {{status}}.")
