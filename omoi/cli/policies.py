"""`omoi guardian policy`, `triggers` and `backtest`: what the guardian does by itself, and would do."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from omoi import policy_file
from omoi.cli.console import (
    DONE,
    OPERATOR_NAME,
    REFUSED,
    As,
    Json,
    connected,
    err,
    out,
    print_json,
    print_table,
    run,
    tell,
)
from omoi.cli.graph import point
from omoi.cli.tickets import moment
from omoi.policy_file import PolicyFileFlawed
from shared.contracts.guardian import (
    Backtest,
    GetPolicy,
    ListPolicies,
    ListTriggers,
    LoadPolicy,
    RemovePolicy,
)
from shared.contracts.policy import Policy

app = typer.Typer()
policy_app = typer.Typer(no_args_is_help=True, help="Check, load and remove policies.")
app.add_typer(policy_app, name="policy")

Files = Annotated[
    list[str], typer.Argument(help="YAML files, or names of policies that ship.", metavar="FILE|NAME")
]
Name = Annotated[str, typer.Argument(help="Name of the policy.", metavar="NAME")]


def document(given: str) -> Policy:
    """A policy by its file, or by the name under which it ships; flaws are printed, and end the command."""
    try:
        return policy_file.read(_path(given))
    except PolicyFileFlawed as flawed:
        for line in flawed.lines:
            err.print(line, markup=False, soft_wrap=True)
        raise typer.Exit(REFUSED) from flawed
    except OSError as error:
        there = ", ".join(policy_file.shipped())
        raise typer.BadParameter(f"{given} cannot be read: {error}. Policies that ship: {there}") from error


def _path(given: str) -> Path:
    if given in policy_file.shipped() and not Path(given).exists():
        return Path(str(policy_file.SHIPPED / f"{given}.yaml"))
    return Path(given)


def _fields(policy: Policy) -> dict[str, Any]:
    return policy.model_dump(mode="json", exclude_defaults=True)


@policy_app.command()
def validate(files: Files, as_json: Json = False) -> None:
    """Check policies whole; nothing has to run."""
    told: dict[str, Any] = {}
    for given in files:
        try:
            policy = policy_file.read(_path(given))
            told[given] = {"name": policy.name, "version": policy.version}
        except PolicyFileFlawed as flawed:
            told[given] = {"problems": flawed.flaws, "lines": flawed.lines}
        except OSError as error:
            raise typer.BadParameter(f"{given} cannot be read: {error}") from error
    flawed_files = [each for each in told.values() if "problems" in each]
    if as_json:
        print_json({given: {k: v for k, v in each.items() if k != "lines"} for given, each in told.items()})
    else:
        for given, each in told.items():
            lines = each.get("lines") or [f"{given}: {each['name']} {each['version']} is sound."]
            for line in lines:
                (err if "lines" in each else out).print(line, markup=False, soft_wrap=True)
    raise typer.Exit(REFUSED if flawed_files else DONE)


@policy_app.command()
def load(files: Files, actor: As = OPERATOR_NAME, as_json: Json = False) -> None:
    """Have policies watched from now on, in place of those of the same names."""
    policies = [document(given) for given in files]

    async def work() -> int:
        async with connected(actor) as client:
            for policy in policies:
                answer = (await client.ask(LoadPolicy(document=_fields(policy)))).accepted()
                if as_json:
                    print_json(answer.raw)
                else:
                    how = "is watched" if answer.events else "was watched already"
                    shadow = " in shadow" if policy.shadow else ""
                    out.print(f"{policy.name} {policy.version} {how}{shadow}.")
        return DONE

    run(work())


@policy_app.command()
def remove(
    name: Name,
    *,
    reason: Annotated[str, typer.Option(help="Why; kept for good.")],
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Watch a policy no more; what it is to undo is still undone."""

    async def work() -> int:
        async with connected(actor) as client:
            answer = (await client.ask(RemovePolicy(name=name, reason=reason))).accepted()
        if as_json:
            print_json(answer.raw)
        else:
            out.print(f"{name} is watched no more.")
        return DONE

    run(work())


@policy_app.command("list")
def list_(as_json: Json = False) -> None:
    """List the policies that are watched."""

    def show(found: dict[str, Any]) -> None:
        rows = [
            (each["name"], each["version"], _mode(each), str(each["triggers"]), each["loaded_by"],
             moment(each["loaded_at"]))
            for each in found["policies"]
        ]  # fmt: skip
        columns = ("policy", "version", "mode", "triggers", "loaded by", "at")
        none = f"No policy is loaded. Those that ship: {', '.join(policy_file.shipped())}."
        print_table("", columns, rows, none)

    tell(ListPolicies(), as_json, show)


def _mode(policy: dict[str, Any]) -> str:
    if not policy["enabled"]:
        return "off"
    return "shadow" if policy["shadow"] else "acts"


@policy_app.command()
def show(name: Name) -> None:
    """Print a policy that is watched, as JSON."""
    tell(GetPolicy(name=name), True, print_json)


@policy_app.command()
def schema(
    to: Annotated[Path | None, typer.Option(help="File to write; standard output when absent.")] = None,
) -> None:
    """Print the JSON Schema of policies, for editors."""
    if to:
        to.write_text(policy_file.schema_text(), encoding="utf-8")
    else:
        out.file.write(policy_file.schema_text())


@app.command()
def triggers(
    policy: Annotated[str | None, typer.Option(help="Only of this policy.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 100,
    as_json: Json = False,
) -> None:
    """List when policies were triggered and what they did, newest first."""
    tell(ListTriggers(policy=policy, limit=limit), as_json, _shown)


@app.command()
def backtest(
    policy: Annotated[str, typer.Argument(help="A YAML file, or a policy that ships.", metavar="POLICY")],
    begin: Annotated[
        str | None, typer.Option("--from", help="A time, or a position in the guardian's log.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="A time, or a position in the log.")] = None,
    as_json: Json = False,
) -> None:
    """List what a policy would have done, with the events that made it; nothing is done or loaded."""
    first, last = point(begin), point(end)
    query = Backtest(
        document=_fields(document(policy)),
        first=first if isinstance(first, int) else 1,
        last=last if isinstance(last, int) else None,
        since=first if isinstance(first, datetime) else None,
        until=last if isinstance(last, datetime) else None,
    )
    tell(query, as_json, _shown)


def _shown(found: dict[str, Any]) -> None:
    rows = [
        (moment(each["at"]), f"{each['policy']}/{each['trigger']}", f"{each['subject']} {each['subject_id']}",
         _done(each), ", ".join(each["cause"]))
        for each in found["triggers"]
    ]  # fmt: skip
    print_table("", ("at", "trigger", "of", "what", "because of"), rows, "Nothing was triggered.")
    if found["cut"]:
        out.print("There are more than are shown.", style="dim")


def _done(met: dict[str, Any]) -> str:
    if met["missed"]:
        return "missed: heard of too late"
    told = "; ".join(_action(action) for action in met["actions"])
    return f"would: {told}" if met["shadow"] else told


def _action(action: dict[str, Any]) -> str:
    if action["problem"]:
        return f"{action['kind']} not possible: {action['problem']}"
    aim = {k: v for k, v in (action["intended"] or {}).items() if v is not None and k != "kind"}
    return " ".join([action["kind"], *(f"{name}={value}" for name, value in aim.items())])
