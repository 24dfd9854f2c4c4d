"""`omoi up`, `serve`, `migrate` and `doctor`: the system itself."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omoi.cli.console import UNAVAILABLE, Json, err, find_stack, out, print_json, print_table, run, settings
from omoi.services import service_names
from shared.client import Client, ClientError
from shared.kernel import logs

if TYPE_CHECKING:
    from omoi.process import Host

HEALTH_SECONDS = 2.0


def up(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the services' logs.")] = False,
) -> None:
    """Start every service, with Postgres and NATS beneath, until Ctrl-C."""
    from omoi.host import hosting
    from omoi.process import until_signal

    logs.configure("info" if verbose else "warning", json=False)

    async def work() -> int:
        stop = until_signal()
        async with hosting(settings()) as host:
            await host.ready()
            _greet(host)
            if folder := settings().workflows:
                out.print(f"Watching  {folder} for workflow files")
            await stop.wait()
            out.print("Stopping.")
        return 0

    run(work())


def _greet(host: "Host") -> None:
    names = ", ".join(runtime.service.name for runtime in host.runtimes)
    out.print(f"Ready     {names}")
    out.print(
        f"NATS      {host.urls.nats.rpartition('@')[2]} (`omoi doctor --json` tells the URL with credentials)"
    )
    out.print(
        "Next      omoi run TICKET.md --repo DIR --exec CMD, or omoi ticket open 'A title'. Ctrl-C stops."
    )


def serve(
    services: Annotated[list[str], typer.Argument(help="Names of services, for example phase scheduler.")],
) -> None:
    """Run services against the servers named by OMOI_DATABASE_URL and OMOI_NATS_URL, until SIGTERM."""
    from omoi.host import beside, hosting
    from omoi.process import until_signal

    unknown = sorted(set(services) - set(service_names()))
    if unknown:
        raise typer.BadParameter(
            f"there is no service {', '.join(unknown)}; there are {', '.join(service_names())}"
        )
    config = settings()
    logs.configure(config.log_level)
    urls = None
    if not (config.database_url and config.nats_url):
        stack = find_stack(config)
        if stack is None:
            err.print("Set OMOI_DATABASE_URL and OMOI_NATS_URL, or start `omoi up` first.")
            raise typer.Exit(UNAVAILABLE)
        urls = beside(stack, config.home.resolve())

    async def work() -> int:
        stop = until_signal()
        async with hosting(config, services, urls):
            await stop.wait()
        return 0

    run(work())


def migrate(
    credentials: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", envvar="OMOI_CREDENTIALS", help="Give every service's role its password."
        ),
    ] = None,
) -> None:
    """Bring the database schemas of all services to their newest revision."""
    from omoi.credentials import CredentialsProblem, read
    from shared.kernel.schema import migrate as migrate_schemas

    logs.configure("warning", json=False)
    config = settings()
    stack = find_stack(config)
    url = config.database_url or (stack.database_url if stack else None)
    if url is None:
        err.print("Set OMOI_DATABASE_URL, or start `omoi up`, which migrates by itself.")
        raise typer.Exit(UNAVAILABLE)

    async def work() -> int:
        try:
            passwords = read(credentials).of_services(service_names()) if credentials else None
            revisions = await migrate_schemas(url, service_names(), passwords)
        except (RuntimeError, CredentialsProblem) as lacking:
            err.print(str(lacking), style="red", soft_wrap=True)
            return UNAVAILABLE
        for service, revision in revisions.items():
            out.print(f"{service:<12} {revision}")
        return 0

    run(work())


def doctor(as_json: Json = False) -> None:
    """Say whether the system is ready, where it is, and what is wrong."""

    async def work() -> int:
        report = await examine()
        if as_json:
            print_json(report)
        else:
            _show(report)
        return 0 if report["ready"] else UNAVAILABLE

    run(work())


async def examine() -> dict[str, Any]:
    """What `omoi doctor --json` prints."""
    config = settings()
    stack = find_stack(config)
    nats_url = config.nats_url or (stack.nats_url if stack else None)
    report: dict[str, Any] = {
        "ready": False,
        "nats_url": nats_url,
        "database_url": config.database_url or (stack.database_url if stack else None),
        "gateway_url": None,
        "services": {},
    }
    if nats_url is None:
        report["problem"] = f"No stack is running in {config.home}. `omoi up` starts one."
        return report
    try:
        async with await Client.connect(nats_url, "operator") as client:
            found = await asyncio.gather(*(_health(client, name) for name in service_names()))
    except ClientError as error:
        report["problem"] = str(error)
        return report
    report["services"] = dict(found)
    report["ready"] = all(service["ready"] for service in report["services"].values())
    return report


async def _health(client: Client, service: str) -> tuple[str, dict[str, Any]]:
    try:
        health = await client.query_raw(service, "health", patience=HEALTH_SECONDS)
    except ClientError as error:
        return service, {"ready": False, "lag": None, "problems": [str(error)]}
    return service, {name: value for name, value in health.items() if name != "service"}


def _show(report: dict[str, Any]) -> None:
    if "problem" in report:
        err.print(report["problem"])
        return
    rows = [
        (name, "ready" if s["ready"] else "not ready", s["lag"], "; ".join(s["problems"]))
        for name, s in report["services"].items()
    ]
    print_table("", ("service", "state", "lag", "problems"), rows, "There are no services.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (up, serve, migrate, doctor):
        app.command()(command)
