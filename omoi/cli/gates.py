"""`omoi gate`: what gates wait for, and handing in, reviewing and approving by hand."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from omoi.cli.console import (
    OPERATOR_NAME,
    REFUSED,
    As,
    Json,
    connected,
    out,
    print_json,
    print_table,
    run,
    tell,
)
from omoi.cli.ids import TicketId, of
from omoi.cli.tickets import decide, moment, short
from shared.contracts.gate import (
    Approve,
    GetArtifact,
    GetGate,
    PendingApprovals,
    PendingReviews,
    Reject,
    SubmitArtifact,
    SubmitReview,
    ValidateGate,
)
from shared.contracts.messages import Command

app = typer.Typer(no_args_is_help=True, help="Look at gates, and hand in, review and approve by hand.")
PhaseId = Annotated[str | None, typer.Option("--phase", help="The ticket's current phase when absent.")]
VisitNumber = Annotated[int | None, typer.Option("--visit", min=1, help="The last visit when absent.")]
RequestId = Annotated[
    str | None,
    typer.Option("--request", help="Refuse unless it is this request, as `gate reviews` shows it."),
]

Shown = dict[str, Any]


def register(ticket: typer.Typer) -> None:
    """Let people decide where they look at tickets."""
    ticket.command()(approve)
    ticket.command()(reject)


@app.command()
def show(
    ticket_id: TicketId, phase: PhaseId = None, visit: VisitNumber = None, as_json: Json = False
) -> None:
    """Show how a gate stands, and all that rests on."""
    tell(GetGate(ticket_id=ticket_id, phase_id=phase, visit=visit), as_json, _show)


def _show(gate: Shown) -> None:
    out.print(f"{short(gate['phase_id'])}, visit {gate['visit']}: {gate['status']}")
    for reason in gate["blocking_reasons"]:
        out.print(f"- {reason}")
    tables = (
        (("expected", "met", "why not"), [_output(output) for output in gate["outputs"]]),
        (("task", "type", "status", "error"), [_task(task) for task in gate["tasks"]]),
        (("artifact", "evidence", "by", "path"), [_artifact(one) for one in gate["artifacts"]]),
        (("round", "review", "status", "by", "says"), [_review(one) for one in gate["reviews"]]),
        (
            ("approval", "status", "needs", "expires", "decisions"),
            [_approval(one) for one in gate["approvals"]],
        ),
    )
    for columns, rows in tables:
        if rows:
            out.print()
            print_table("", columns, rows, "")


def _output(output: Shown) -> tuple[str, ...]:
    rules = ", ".join(output["rules"])
    name = f"{output['artifact_type']} ({rules})" if rules else output["artifact_type"]
    return name, "yes" if output["met"] else "no", "; ".join(output["reasons"])


def _task(task: Shown) -> tuple[str, ...]:
    return task["task_id"], task["task_type"], task["status"], task["error"]


def _artifact(artifact: Shown) -> tuple[str, ...]:
    evidence = "measured" if artifact["measured"] else "claimed"
    counts = f"{evidence}, superseded" if artifact["superseded"] else evidence
    return artifact["artifact_type"], counts, artifact["collected_by"], artifact["artifact_path"] or ""


def _review(review: Shown) -> tuple[str, ...]:
    says = review["problem"] or review["feedback"] or ""
    by = review["reviewed_by"] or review["reviewer_kind"]
    return str(review["round"]), review["request_id"], review["status"], by, says


def _approval(approval: Shown) -> tuple[str, ...]:
    said = [_decision(decision) for decision in approval["decisions"]]
    if approval["status"] in ("withdrawn", "expired"):
        said.append(approval["reason"])
    expires = moment(approval["expires_at"] or "")
    return approval["request_id"], approval["status"], str(approval["required"]), expires, "; ".join(said)


def _decision(decision: Shown) -> str:
    word = "approved" if decision["approved"] else "rejected"
    return f"{decision['actor']} {word}{': ' if decision['reason'] else ''}{decision['reason']}"


@app.command()
def validate(
    ticket_id: TicketId, phase: PhaseId = None, actor: As = OPERATOR_NAME, as_json: Json = False
) -> None:
    """Judge the current visit now; leaves with 1 where the gate does not let the ticket pass."""

    async def work() -> int:
        async with connected(actor) as client:
            answer = (await client.ask(ValidateGate(ticket_id=ticket_id, phase_id=phase))).accepted()
        verdict = answer.result
        if as_json:
            print_json(answer.raw)
        else:
            _say(verdict)
        return 0 if verdict["status"] in ("passed", "not_configured") else REFUSED

    run(work())


def _say(verdict: Shown) -> None:
    out.print(f"{short(verdict['phase_id'])}, visit {verdict['visit']}: {verdict['status']}")
    for reason in verdict["blocking_reasons"]:
        out.print(f"- {reason}")


@app.command()
def artifacts(
    ticket_id: TicketId,
    phase: PhaseId = None,
    visit: VisitNumber = None,
    content: Annotated[str | None, typer.Option(metavar="ID", help="Print the content of one.")] = None,
    as_json: Json = False,
) -> None:
    """List what was handed in for a visit, or print one of them."""

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            where = {"ticket_id": ticket_id, "phase_id": phase, "visit": visit}
            if content is not None:
                found = await client.query(GetArtifact(**where, artifact_id=content))
            else:
                found = await client.query(GetGate(**where))
        if content is not None:
            _print_content(found, as_json)
        elif as_json:
            print_json({"artifacts": found["artifacts"]})
        else:
            rows = [(one["artifact_id"], *_artifact(one), _unmet(one)) for one in found["artifacts"]]
            columns = ("id", "artifact", "evidence", "by", "path", "criteria not met")
            print_table("", columns, rows, "Nothing was handed in.")
        return 0

    run(work())


def _print_content(artifact: Shown, as_json: bool) -> None:
    content = artifact["content"]
    if as_json:
        print_json(artifact)
    elif isinstance(content, str):
        out.print(content)
    else:
        print_json(content)


def _unmet(artifact: Shown) -> str:
    unmet = [finding["reason"] for finding in artifact["findings"] if finding["reason"]]
    return artifact["unreadable"] or "; ".join(unmet)


@app.command()
def submit(
    ticket_id: TicketId,
    artifact_type: Annotated[str, typer.Argument(help="For example `requirements_document`.")],
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What to hand in.")],
    *,
    phase: PhaseId = None,
    path: Annotated[
        str | None, typer.Option(help="Its path in the repository; as given when absent.")
    ] = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Hand in a file by hand; it counts as claimed, never as measured."""
    content = file.read_bytes()
    command = SubmitArtifact(
        ticket_id=ticket_id,
        phase_id=phase,
        artifact_type=artifact_type,
        artifact_path=path or str(file),
        content=_content(file, content),
        sha256=sha256(content).hexdigest(),
    )
    _decide(command, actor, as_json, "Handed in {artifact_id} for {phase_id}, visit {visit}.")


def _content(file: Path, content: bytes) -> Any:
    """A JSON object as such, other text as text, nothing of what is no text."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    try:
        parsed = orjson.loads(text) if file.suffix == ".json" else None
    except orjson.JSONDecodeError:
        return text
    return parsed if isinstance(parsed, dict) else text


@app.command()
def reviews(
    ticket: Annotated[str | None, typer.Option(help="Only of this ticket.", callback=of("ticket"))] = None,
    as_json: Json = False,
) -> None:
    """List the reviews and approvals that gates wait for, oldest first."""

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            waiting = await client.query(PendingReviews(ticket_id=ticket))
            consent = await client.query(PendingApprovals(ticket_id=ticket))
        requests = sorted(waiting["requests"] + consent["requests"], key=lambda one: one["requested_at"])
        if as_json:
            print_json({"requests": requests})
            return 0
        columns = ("request", "ticket", "phase", "visit", "asked", "for", "of", "so far")
        print_table("", columns, [_request(one) for one in requests], "No gate waits for anybody.")
        return 0

    run(work())


def _request(request: Shown) -> tuple[Any, ...]:
    if request["kind"] == "review":
        what, of = f"review {request['round']}", request["reviewer_kind"]
        so_far = request["problem"] or ""
    else:
        what, of = f"{request['required']} to approve", ", ".join(request["approvers"]) or "MONITOR"
        so_far = ", ".join(request["approved_by"])
    place = (request["request_id"], request["ticket_id"], short(request["phase_id"]), request["visit"])
    return *place, moment(request["requested_at"]), what, of, so_far


@app.command()
def review(
    ticket_id: TicketId,
    feedback: Annotated[str, typer.Argument(help="Why; what to do when it failed.")],
    *,
    passed: Annotated[bool, typer.Option("--passed/--failed", help="Your verdict.")],
    phase: PhaseId = None,
    request: RequestId = None,
    evidence: Annotated[list[str] | None, typer.Option(help="What you rest on; may be repeated.")] = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Give the review that a gate waits for."""
    command = SubmitReview(
        ticket_id=ticket_id,
        phase_id=phase,
        request_id=request,
        passed=passed,
        feedback=feedback,
        evidence=tuple(evidence or ()),
    )
    _settle(command, actor, as_json)


def approve(
    ticket_id: TicketId,
    *,
    comment: Annotated[str, typer.Option(help="For the history.")] = "",
    phase: PhaseId = None,
    request: RequestId = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Consent to what the gate has collected."""
    _settle(Approve(ticket_id=ticket_id, phase_id=phase, request_id=request, comment=comment), actor, as_json)


def reject(
    ticket_id: TicketId,
    reason: Annotated[str, typer.Argument(help="Why; it is handed to whoever goes on.")],
    *,
    phase: PhaseId = None,
    request: RequestId = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Refuse consent: the gate fails."""
    _settle(Reject(ticket_id=ticket_id, phase_id=phase, request_id=request, reason=reason), actor, as_json)


def _settle(command: Command, actor: str, as_json: bool) -> None:
    """Have a decision taken, and say how the gate stands after it."""

    async def work() -> int:
        async with connected(actor) as client:
            answer = (await client.ask(command)).accepted()
        if as_json:
            print_json(answer.raw)
        else:
            _say(answer.result)
        return 0

    run(work())


def _decide(command: Command, actor: str, as_json: bool, sentence: str) -> None:
    async def work() -> int:
        async with connected(actor) as client:
            await decide(client, command, as_json, sentence)
        return 0

    run(work())
