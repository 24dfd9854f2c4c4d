"""`omoi messages handoff`: give a task to another agent, or take one over."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from omoi.cli.collaboration import Before, Limit, act, decide
from omoi.cli.console import DONE, OPERATOR_NAME, REFUSED, As, Json, out, print_json, print_table
from omoi.cli.ids import HandoffId, of
from omoi.cli.tickets import moment
from shared.client import Client
from shared.contracts.collaboration import (
    AcceptHandoff,
    AwaitHandoff,
    DeclineHandoff,
    GetHandoff,
    ListHandoffs,
    RequestHandoff,
    WithdrawHandoff,
)

app = typer.Typer(no_args_is_help=True, help="Give a task to another agent, or take one over.")

Wait = Annotated[float, typer.Option(help="Seconds to wait for its end.", min=0, max=60)]
ENDINGS = {
    "pending": "{to_agent} has not answered yet.",
    "accepted": "{to_agent} agreed; the scheduler has not moved the claim yet.",
    "completed": "Task {task_id} has moved from {from_agent} to {to_agent}: claim epoch {claim_epoch}, "
    "lease until {lease_expires_at}.",
    "declined": "{to_agent} declined: {reason}",
    "withdrawn": "{from_agent} asks no longer: {reason}",
    "expired": "{to_agent} did not answer in time; {from_agent} keeps task {task_id}.",
    "failed": "Nothing moved: {reason}",
}


@app.command()
def request(
    to: Annotated[str, typer.Argument(help="Agent who shall take over.")],
    *,
    task: Annotated[
        str, typer.Option(help="Task whose claim you hold.", envvar="OMOI_TASK_ID", callback=of("task"))
    ],
    reason: Annotated[str, typer.Option(help="Why somebody else should go on.")] = "",
    context: Annotated[
        str | None, typer.Option(help="What the next holder must know: JSON, a text, or @FILE.")
    ] = None,
    wait: Wait = 0,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Ask another agent to take over a task."""
    command = RequestHandoff(to=to, task_id=task, reason=reason, context=context_of(context))
    if not wait:
        told = (
            "Asked {to_agent} to take over task {task_id}: handoff {handoff_id}. "
            "`omoi messages handoff wait {handoff_id}` tells the answer."
        )
        decide(actor, command, as_json, lambda ref: told.format(**ref))
        return

    async def work(client: Client) -> int:
        asked = (await client.ask(command)).accepted().result
        return await _ending(client, asked["handoff_id"], wait, as_json)

    act(actor, work)


def context_of(text: str | None) -> Any:
    """What a handoff tells, as the contract takes it."""
    if text is None:
        return {}
    told = Path(text[1:]).read_text("utf-8") if text.startswith("@") else text
    try:
        value = orjson.loads(told)
    except orjson.JSONDecodeError:
        return told
    return value if isinstance(value, dict) else told


@app.command()
def accept(handoff_id: HandoffId, wait: Wait = 30, actor: As = OPERATOR_NAME, as_json: Json = False) -> None:
    """Take over, and learn the claim's epoch and lease once it has moved."""

    async def work(client: Client) -> int:
        (await client.ask(AcceptHandoff(handoff_id=handoff_id))).accepted()
        return await _ending(client, handoff_id, wait, as_json)

    act(actor, work)


async def _ending(client: Client, handoff_id: str, wait: float, as_json: bool) -> int:
    """Say how it ended; 1 when the claim has not moved."""
    command = AwaitHandoff(handoff_id=handoff_id, wait_seconds=wait)
    result = (await client.ask(command, patience=wait + 10)).accepted().result
    if as_json:
        print_json(result)
    else:
        out.print(_ended(result), soft_wrap=True)
        if result["status"] == "completed":
            out.print(f"`omoi messages handoff show {handoff_id}` has its context.", soft_wrap=True)
    return REFUSED if result["status"] in ("declined", "withdrawn", "expired", "failed") else DONE


def _ended(handoff: dict[str, Any]) -> str:
    told = handoff | {"lease_expires_at": moment(handoff["lease_expires_at"] or "")}
    return ENDINGS[handoff["status"]].format(**told | {"reason": handoff["reason"] or "no reason was given."})


@app.command()
def decline(
    handoff_id: HandoffId,
    reason: Annotated[str, typer.Option(help="Why; the requester is told.")] = "",
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Say no; the task stays where it is."""
    command = DeclineHandoff(handoff_id=handoff_id, reason=reason)
    decide(actor, command, as_json, lambda ref: f"Declined; {ref['next_step']}")


@app.command()
def withdraw(
    handoff_id: HandoffId,
    reason: Annotated[str, typer.Option(help="Why; the addressee is told.")] = "",
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Ask no longer, as long as nobody has answered; the task stays where it is."""
    command = WithdrawHandoff(handoff_id=handoff_id, reason=reason)
    decide(actor, command, as_json, lambda ref: f"Withdrawn; {ref['next_step']}")


@app.command("wait")
def wait_(handoff_id: HandoffId, wait: Wait = 30, actor: As = OPERATOR_NAME, as_json: Json = False) -> None:
    """Wait for the end of a handoff of yours."""

    async def work(client: Client) -> int:
        return await _ending(client, handoff_id, wait, as_json)

    act(actor, work)


@app.command()
def show(handoff_id: HandoffId, actor: As = OPERATOR_NAME, as_json: Json = False) -> None:
    """Show a handoff with its reason and context."""

    async def work(client: Client) -> None:
        handoff = await client.query(GetHandoff(handoff_id=handoff_id))
        if as_json:
            print_json(handoff)
            return
        out.print(
            f"Task {handoff['task_id']}: {handoff['from_agent']} -> {handoff['to_agent']}", style="bold"
        )
        out.print(f"Asked for {moment(handoff['requested_at'])}. {handoff['request_reason']}", soft_wrap=True)
        out.print(_ended(handoff), soft_wrap=True)
        if handoff["context"]:
            out.print_json(orjson.dumps(handoff["context"]).decode())

    act(actor, work)


@app.command("list")
def list_(
    *,
    pending: Annotated[bool, typer.Option("--pending", help="Only those that wait for an answer.")] = False,
    everybody: Annotated[bool, typer.Option("--all", help="Also those between others.")] = False,
    task: Annotated[str | None, typer.Option(help="Only of this task.", callback=of("task"))] = None,
    before: Before = None,
    limit: Limit = 50,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """List the handoffs from and to you, newest first."""
    query = ListHandoffs(
        agent_id=None if everybody else actor, task_id=task, pending_only=pending, before=before, limit=limit
    )

    async def work(client: Client) -> None:
        found = await client.query(query)
        if as_json:
            print_json(found)
            return
        rows = [
            (h["handoff_id"], h["task_id"], h["from_agent"], h["to_agent"], h["status"],
             moment(h["expires_at"]) if h["status"] == "pending" else "", h["outcome"] or h["reason"])
            for h in found["handoffs"]
        ]  # fmt: skip
        columns = ("handoff", "task", "from", "to", "status", "answer before", "why")
        print_table("", columns, rows, "There are no such handoffs.")
        if found["next_before"]:
            out.print(f"More: --before {found['next_before']}")

    act(actor, work)
