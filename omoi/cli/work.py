"""`omoi worker` and `omoi run`: doing the work of tickets."""

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from omoi.cli.console import (
    INTERRUPTED,
    REFUSED,
    Json,
    err,
    find_stack,
    out,
    run,
    settings,
)
from omoi.cli.workflows import read as read_workflow
from omoi.connection import working
from omoi.names import NameTaken, free_name
from omoi.ticket_file import read_ticket
from shared.kernel import logs

HURRY_SECONDS = 3.0
"""How long the end of a run may take that was to end at once."""

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


Env = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Give the command this variable of yours too, for example ANTHROPIC_API_KEY or 'AWS_*'.",
    ),
]
TaskTimeout = Annotated[
    float, typer.Option(help="Seconds one attempt may take where the task and its workflow set none.", min=1)
]
Check = Annotated[
    str | None,
    typer.Option(
        metavar="CMD",
        help="Tests work again that was merged with others' before it lands; reports go to $OMOI_REPORTS.",
    ),
]


def until_signals(first: str, console: Console) -> tuple[asyncio.Event, asyncio.Event]:
    """Events that the first and the second SIGINT or SIGTERM set; what they mean is said."""
    stop, hurry = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        said = "Ending at once." if stop.is_set() else f"{first} Ctrl-C again ends at once."
        (hurry if stop.is_set() else stop).set()
        console.print(said, markup=False, soft_wrap=True)

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signalled)
    return stop, hurry


async def _leave(hurry: asyncio.Event) -> None:
    """End a run that was to end at once and does not; guards end its commands and its servers."""
    await hurry.wait()
    await asyncio.sleep(HURRY_SECONDS)
    os._exit(INTERRUPTED)


def named(name: str | None) -> str | None:
    """A worker's name, if it was given one that nobody else has."""
    if name:
        try:
            return free_name(name)
        except NameTaken as taken:
            raise typer.BadParameter(str(taken)) from None
    return None


async def unfit(folder: Path) -> str | None:
    """Why no work can be done in a folder; None when it can."""
    from omoi.worker.repository import RepositoryProblem, open_repository

    try:
        await open_repository(folder)
    except RepositoryProblem as problem:
        return str(problem)
    return None


def default_agent() -> str:
    """A name for a worker that was given none."""
    host = "".join(letter if letter.isalnum() else "-" for letter in socket.gethostname())[:40]
    return f"worker-{host}-{os.getpid()}"


def worker(
    command: Exec,
    *,
    agent: Annotated[str | None, typer.Option(help="Name of the agent.", callback=named)] = None,
    capabilities: Annotated[str | None, typer.Option(help="Comma-separated; anything when absent.")] = None,
    concurrency: Concurrency = 1,
    repo: Annotated[
        Path | None,
        typer.Option(
            help="Git repository to work in when the ticket names none.", exists=True, file_okay=False
        ),
    ] = None,
    phases: Annotated[str | None, typer.Option(help="Comma-separated; every phase when absent.")] = None,
    env: Env = None,
    task_timeout: TaskTimeout = 3600,
    check: Check = None,
    drain: Annotated[float, typer.Option(help="Seconds running tasks may go on after SIGTERM.", min=0)] = 10,
    verbose: Annotated[bool, typer.Option("--verbose", "-v")] = False,
) -> None:
    """Claim tasks and have a command do them, until SIGTERM or Ctrl-C; a second one does not wait."""
    from omoi.worker.command_line import CommandLine
    from omoi.worker.settings import WorkerSettings, default_work_root
    from omoi.worker.worker import Worker

    logs.configure("info" if verbose else "warning", json=False)
    name = agent or default_agent()

    async def work() -> int:
        if repo is not None and (problem := await unfit(repo)):
            err.print(problem, style="red")
            return REFUSED
        stop, hurry = until_signals(f"Stopping: what runs may go on for {drain:g} s.", out)
        async with working(name, passing=agent is None) as client:
            await Worker(
                client,
                WorkerSettings(
                    agent_id=name,
                    work_root=default_work_root(settings().home, repo),
                    capabilities=_listed(capabilities),
                    concurrency=concurrency,
                    repository=repo.resolve() if repo else None,
                    phases=_listed(phases),
                    timeout_seconds=task_timeout,
                    drain_seconds=drain,
                    check=check,
                ),
                CommandLine(command, env or (), {"OMOI_NATS_URL": client.url}),
                told=lambda sentence: out.print(sentence, markup=False),
            ).work(stop, hurry)
        return 0

    run(work())


def _listed(text: str | None) -> tuple[str, ...] | None:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text is not None else None


def run_(
    tickets: Annotated[
        list[Path],
        typer.Argument(
            metavar="TICKET...",
            help="Markdown file of a ticket; of several, one after the other.",
            exists=True,
            dir_okay=False,
        ),
    ],
    *,
    command: Exec,
    repo: Annotated[
        Path, typer.Option(help="Git repository the work is done in.", exists=True, file_okay=False)
    ],
    workflow: Annotated[
        Path | None, typer.Option(help="Workflow document to load first.", exists=True)
    ] = None,
    concurrency: Concurrency = 2,
    timeout: Annotated[
        float | None, typer.Option(help="Give a ticket up after so many seconds.", min=1)
    ] = None,
    env: Env = None,
    task_timeout: TaskTimeout = 3600,
    check: Check = None,
    as_json: Json = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the services' logs.")] = False,
) -> None:
    """Take tickets through their workflow, from opening to DONE; starts what is not running."""
    from omoi.running import Plan, Signals, run_tickets

    logs.configure("info" if verbose else "critical", json=False)
    document = read_workflow(workflow) if workflow else None
    named = {"workflow": document.name} if document is not None else {}
    opened = [read_ticket(ticket, str(repo.resolve())).model_copy(update=named) for ticket in tickets]
    plan = Plan(
        tickets=tuple(opened),
        workflow=document,
        command=command,
        repository=repo.resolve(),
        concurrency=concurrency,
        timeout_seconds=timeout,
        task_timeout_seconds=task_timeout,
        passed=tuple(env or ()),
        check=check,
        as_json=as_json,
    )

    async def work() -> int:
        signals = until_signals("Stopping: what runs is ended and handed back.", err if as_json else out)
        leaving = asyncio.create_task(_leave(signals[1]))
        config = settings()
        try:
            return await run_tickets(plan, config, find_stack(config), Signals(*signals))
        finally:
            leaving.cancel()

    run(work())


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(worker)
    app.command("run")(run_)
