"""`omoi worker` and `omoi run`: doing the work of tickets."""

import os
import socket
from pathlib import Path
from typing import Annotated

import typer

from omoi.cli.console import Json, connected, find_stack, out, run, settings
from omoi.cli.system import until_signal
from omoi.cli.workflows import read as read_workflow
from omoi.ticket_file import read_ticket
from shared.kernel import logs

Exec = Annotated[
    str,
    typer.Option(
        "--exec",
        metavar="CMD",
        help="Command that does one task: any agent CLI, or any program. It finds its brief at $OMOI_BRIEF.",
    ),
]
Concurrency = Annotated[
    int,
    typer.Option(
        min=1, max=256, envvar=["WORKER_CONCURRENCY", "MAX_CONCURRENT_TASKS"], help="Tasks at a time."
    ),
]


def default_agent() -> str:
    """A name for a worker that was given none."""
    host = "".join(letter if letter.isalnum() else "-" for letter in socket.gethostname())[:40]
    return f"worker-{host}-{os.getpid()}"


def worker(
    command: Exec,
    *,
    agent: Annotated[str | None, typer.Option(help="Name of the agent.")] = None,
    capabilities: Annotated[str | None, typer.Option(help="Comma-separated; anything when absent.")] = None,
    concurrency: Concurrency = 1,
    repo: Annotated[
        Path | None, typer.Option(help="Where to work when the ticket names no repository.")
    ] = None,
    phases: Annotated[str | None, typer.Option(help="Comma-separated; every phase when absent.")] = None,
    drain: Annotated[float, typer.Option(help="Seconds running tasks may go on after SIGTERM.", min=0)] = 10,
    verbose: Annotated[bool, typer.Option("--verbose", "-v")] = False,
) -> None:
    """Claim tasks and have a command do them, until SIGTERM."""
    from omoi.worker.worker import Worker, WorkerSettings, default_work_root

    logs.configure("info" if verbose else "warning", json=False)
    name = agent or default_agent()

    async def work() -> int:
        stop = until_signal()
        async with connected(name) as client:
            await Worker(
                client,
                WorkerSettings(
                    agent_id=name,
                    command=command,
                    work_root=default_work_root(settings().home, repo),
                    capabilities=_listed(capabilities),
                    concurrency=concurrency,
                    repository=repo.resolve() if repo else None,
                    phases=_listed(phases),
                    drain_seconds=drain,
                    environment=task_environment(client.url),
                ),
                told=lambda sentence: out.print(sentence, markup=False),
            ).work(stop)
        return 0

    run(work())


def task_environment(nats_url: str) -> dict[str, str]:
    """What an agent's command needs to talk back through the CLI."""
    return {"OMOI_NATS_URL": nats_url, "OMOI_HOME": str(settings().home.resolve())}


def _listed(text: str | None) -> tuple[str, ...] | None:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text is not None else None


def run_(
    ticket: Annotated[Path, typer.Argument(help="Markdown file of the ticket.", exists=True, dir_okay=False)],
    *,
    command: Exec,
    repo: Annotated[
        Path, typer.Option(help="Git repository the work is done in.", exists=True, file_okay=False)
    ],
    workflow: Annotated[
        Path | None, typer.Option(help="Workflow document to load first.", exists=True)
    ] = None,
    concurrency: Concurrency = 2,
    timeout: Annotated[float | None, typer.Option(help="Give up after so many seconds.", min=1)] = None,
    as_json: Json = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the services' logs.")] = False,
) -> None:
    """Take a ticket through its workflow, from opening it to DONE; starts what is not running."""
    from omoi.running import Plan, run_ticket

    logs.configure("info" if verbose else "critical", json=False)
    opened = read_ticket(ticket, str(repo.resolve()))
    document = read_workflow(workflow) if workflow else None
    if document is not None:
        opened = opened.model_copy(update={"workflow": document.name})
    plan = Plan(
        ticket=opened,
        workflow=document,
        command=command,
        repository=repo.resolve(),
        concurrency=concurrency,
        timeout_seconds=timeout,
        as_json=as_json,
    )

    async def work() -> int:
        stop = until_signal()
        config = settings()
        return await run_ticket(plan, config, find_stack(config), stop)

    run(work())


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(worker)
    app.command("run")(run_)
