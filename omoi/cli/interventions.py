"""`omoi guardian`: intervene in what runs, and undo it."""

from collections.abc import Mapping
from typing import Annotated, Any, cast, get_args

import typer

from omoi.cli.console import DONE, OPERATOR_NAME, As, Json, connected, out, print_json, print_table, run, tell
from omoi.cli.ids import InterventionId, TaskId, TicketId, of
from omoi.cli.tickets import moment
from shared.contracts.guardian import (
    WAIT_SECONDS,
    Approve,
    CancelTask,
    GetIntervention,
    InterventionStatus,
    ListInterventions,
    OverridePriority,
    PauseTicket,
    QuarantineAgent,
    ReallocateCapacity,
    Reject,
    ResumeTicket,
    Revert,
)
from shared.contracts.messages import Command, Priority

app = typer.Typer()
STATUSES = get_args(InterventionStatus)

Reason = Annotated[str, typer.Option(help="Why; kept for good, and told to whom it concerns.")]
Agent = Annotated[str, typer.Argument(help="The agent's id.", metavar="AGENT")]
CausedBy = Annotated[str | None, typer.Option(help="Id of the event that made it necessary.")]


@app.command()
def cancel(
    task: TaskId,
    *,
    reason: Reason,
    caused_by: CausedBy = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Stop a task at once, with the process that works on it."""
    _act(CancelTask(task_id=task, reason=reason, caused_by=caused_by), actor, as_json)


@app.command()
def reallocate(
    source: Annotated[str, typer.Argument(help="Agent that gives.", metavar="FROM")],
    target: Annotated[str, typer.Argument(help="Agent that gets.", metavar="TO")],
    capacity: Annotated[int, typer.Argument(help="Tasks at a time.", metavar="N", min=1)],
    *,
    reason: Reason,
    caused_by: CausedBy = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Move capacity from one agent to another; the first keeps at least 1."""
    command = ReallocateCapacity(
        from_agent=source, to_agent=target, capacity=capacity, reason=reason, caused_by=caused_by
    )
    _act(command, actor, as_json)


@app.command()
def priority(
    task: TaskId,
    level: Annotated[str, typer.Argument(help=f"{', '.join(Priority)}; in any case.", metavar="LEVEL")],
    *,
    reason: Reason,
    caused_by: CausedBy = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Give a task another priority, and its place in the order at once."""
    if level.upper() not in Priority.__members__:
        raise typer.BadParameter(f"one of {', '.join(Priority)}", param_hint="LEVEL")
    command = OverridePriority(task_id=task, priority=Priority(level), reason=reason, caused_by=caused_by)
    _act(command, actor, as_json)


@app.command()
def quarantine(
    agent: Agent,
    *,
    reason: Reason,
    caused_by: CausedBy = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Give an agent no more work, and take what it has."""
    _act(QuarantineAgent(agent_id=agent, reason=reason, caused_by=caused_by), actor, as_json)


@app.command()
def pause(
    ticket: TicketId,
    *,
    reason: Reason,
    caused_by: CausedBy = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Hand out no task of a ticket; what runs goes on."""
    _act(PauseTicket(ticket_id=ticket, reason=reason, caused_by=caused_by), actor, as_json)


@app.command()
def resume(
    ticket: TicketId,
    *,
    reason: Reason,
    caused_by: CausedBy = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Hand out tasks of a paused ticket again."""
    _act(ResumeTicket(ticket_id=ticket, reason=reason, caused_by=caused_by), actor, as_json)


@app.command()
def revert(
    intervention: InterventionId, *, reason: Reason, actor: As = OPERATOR_NAME, as_json: Json = False
) -> None:
    """Restore what was before an intervention, unless the world has moved on."""
    _act(Revert(intervention_id=intervention, reason=reason), actor, as_json)


@app.command()
def approve(
    intervention: InterventionId, *, reason: Reason = "", actor: As = OPERATOR_NAME, as_json: Json = False
) -> None:
    """Let a proposed intervention happen."""
    _act(Approve(intervention_id=intervention, reason=reason), actor, as_json)


@app.command()
def reject(
    intervention: InterventionId, *, reason: Reason, actor: As = OPERATOR_NAME, as_json: Json = False
) -> None:
    """Drop a proposed intervention."""
    _act(Reject(intervention_id=intervention, reason=reason), actor, as_json)


def _act(command: Command, actor: str, as_json: bool) -> None:
    async def work() -> int:
        async with connected(actor) as client:
            answer = (await client.ask(command, patience=WAIT_SECONDS + 10)).accepted()
        if as_json:
            print_json(answer.raw)
        else:
            out.print(_told(answer.result), soft_wrap=True)
        return DONE

    run(work())


def _told(outcome: Mapping[str, Any]) -> str:
    told = f"Intervention {outcome['intervention_id']} ({outcome['kind']}) is {_words(outcome['status'])}"
    if not outcome["after"]:
        return f"{told}."
    return f"{told}.\n  was: {_shown(outcome['before'])}\n  is:  {_shown(outcome['after'])}"


def _words(status: str) -> str:
    return status.replace("_", " ")


def _shown(value: Any) -> str:
    """A value for people: nothing that is empty."""
    if isinstance(value, Mapping):
        parts = ((name, _shown(part)) for name, part in value.items() if part not in ("", {}, []))
        return ", ".join(f"{name} {part}" for name, part in parts) or "nothing"
    if isinstance(value, list):
        return " ".join(map(_shown, value))
    return "nothing" if value is None else str(value)


@app.command("list")
def list_(
    *,
    status: Annotated[str | None, typer.Option(help=f"{', '.join(STATUSES[:-1])} or {STATUSES[-1]}.")] = None,
    ticket: Annotated[str | None, typer.Option(help="Only about this ticket.", callback=of("ticket"))] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 50,
    as_json: Json = False,
) -> None:
    """List interventions, newest first."""
    if status is not None and status not in STATUSES:
        raise typer.BadParameter(f"one of {', '.join(STATUSES)}", param_hint="--status")
    wanted = cast(InterventionStatus | None, status)
    tell(ListInterventions(status=wanted, ticket_id=ticket, limit=limit), as_json, _show_list)


def _show_list(found: dict[str, Any]) -> None:
    rows = [
        (one["intervention_id"], one["intended"]["kind"], _words(one["status"]), _aim(one["intended"]),
         one["policy"] or one["actor"], moment(one["at"]), one["reason"])
        for one in found["interventions"]
    ]  # fmt: skip
    columns = ("intervention", "what", "status", "at whom", "by", "when", "reason")
    print_table("", columns, rows, "Nobody has intervened.")


def _aim(intended: Mapping[str, Any]) -> str:
    return _shown({name: part for name, part in intended.items() if name != "kind" and part is not None})


@app.command()
def show(intervention: InterventionId, as_json: Json = False) -> None:
    """Show an intervention: what was, what it made of it, and how it stands."""
    tell(GetIntervention(intervention_id=intervention), as_json, _show)


def _show(one: dict[str, Any]) -> None:
    out.print(f"{one['intended']['kind']}, {_words(one['status'])}: {_aim(one['intended'])}", style="bold")
    wanted = f"policy {one['policy']} for {one['actor']}" if one["policy"] else one["actor"]
    lines = [f"Wanted by {wanted} at {moment(one['at'])}: {one['reason']}"]
    if one["caused_by"]:
        lines.append(f"Because of event {one['caused_by']}.")
    if one["status"] == "proposed" and one["expires_at"]:
        lines.append(f"Waits for an approval until {moment(one['expires_at'])}.")
    if one["approver"]:
        lines.append(f"Approved by {one['approver']}.")
    if one["message"]:
        lines.append(f"{one['code'] or _words(one['status'])}: {one['message']}")
    if one["in_effect_at"]:
        lines += [
            f"Was: {_shown(one['before'])}",
            f"Is since {moment(one['in_effect_at'])}: {_shown(one['after'])}",
        ]
    if undone := one["revert"]:
        lines.append(f"{undone['actor']} wanted it undone at {moment(undone['at'])}: {undone['reason']}")
        lines += [undone["message"]] if undone["message"] else []
    for line in lines:
        out.print(line, soft_wrap=True)
