"""The main job: tickets taken from opening to their terminal phase, with workers, in view of a person."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from omoi.cli.console import DONE, REFUSED, UNAVAILABLE, err, out
from omoi.connection import working
from omoi.host import hosting
from omoi.summary import journal_head, summarise
from omoi.watch import Watch, live, sentence
from omoi.worker.command_line import CommandLine
from omoi.worker.repository import RepositoryProblem, open_repository
from omoi.worker.settings import TIMEOUT_SECONDS, WorkerSettings, default_work_root
from omoi.worker.worker import Worker
from shared.client import Client
from shared.contracts.phase import GetWorkflow, LoadWorkflow, OpenTicket, Transition
from shared.contracts.workflow import Workflow
from shared.kernel.ending import end_all
from shared.kernel.settings import Settings
from shared.stack import OPERATOR, RunningStack


@dataclass(frozen=True)
class Plan:
    """What `omoi run` was asked to do."""

    tickets: tuple[OpenTicket, ...]
    """One after the other; a later one is begun when the one before it is done."""
    workflow: Workflow | None
    command: str
    repository: Path
    concurrency: int = 2
    timeout_seconds: float | None = None
    task_timeout_seconds: float = TIMEOUT_SECONDS
    passed: tuple[str, ...] = ()
    check: str | None = None
    as_json: bool = False


@dataclass(frozen=True)
class Signals:
    """What the person wants: an orderly end, and then an end at once."""

    stop: asyncio.Event
    hurry: asyncio.Event


async def run_tickets(plan: Plan, settings: Settings, stack: RunningStack | None, signals: Signals) -> int:
    """Take the tickets through; returns the exit code. Starts the embedded stack when nothing runs yet."""
    try:
        await open_repository(plan.repository)
    except RepositoryProblem as problem:
        err.print(str(problem), style="red")
        return REFUSED
    async with AsyncExitStack() as undo:
        nats_url = settings.nats_url or (stack.nats_url if stack else None)
        if nats_url is None:
            if not plan.as_json:
                out.print("Starting Postgres, NATS and the services.")
            host = await undo.enter_async_context(hosting(settings))
            await host.ready()
            nats_url = host.urls.nats
        client = await undo.enter_async_context(await Client.connect(nats_url, OPERATOR))
        if plan.workflow is not None:
            (await client.ask(LoadWorkflow(document=plan.workflow))).accepted()
        for place, ticket in enumerate(plan.tickets, start=1):
            code = await _take_through(ticket, plan, settings, client, signals)
            if code != DONE:
                _tell_left(plan, place)
                return code
    return DONE


def _tell_left(plan: Plan, taken: int) -> None:
    if left := plan.tickets[taken:]:
        err.print(f"Not begun: {', '.join(ticket.title for ticket in left)}.", style="red")


async def _take_through(
    ticket: OpenTicket, plan: Plan, settings: Settings, client: Client, signals: Signals
) -> int:
    found = await client.query(GetWorkflow(name=ticket.workflow))
    workflow = Workflow.model_validate(found["document"])
    watch = Watch(workflow, plan.as_json, journal_from=await journal_head(client))
    ticket_id = (await client.ask(ticket)).accepted().result["ticket_id"]
    at_work = _at_work(plan, settings, ticket_id, signals.hurry)
    async with at_work, _watching(client, watch, ticket_id):
        with live(watch):
            await _start(client, watch.workflow, ticket_id)
            ended = await _end(watch, signals.stop, plan.timeout_seconds)
    await summarise(client, watch, ended, plan.repository)
    return DONE if watch.done else REFUSED if ended else UNAVAILABLE


async def _start(client: Client, workflow: Workflow, ticket_id: str) -> None:
    """Move the ticket out of the phase where it waits for a person."""
    first = workflow.phase(workflow.initial_phase)
    if first is None or first.auto_advance or not first.allowed_transitions:
        return
    move = Transition(
        ticket_id=ticket_id,
        to_phase=first.allowed_transitions[0],
        reason="started by omoi run",
        expected_phase=first.id,
    )
    (await client.ask(move)).accepted()


async def _end(watch: Watch, stop: asyncio.Event, seconds: float | None) -> str | None:
    """Wait until the ticket is done, stuck, out of time or no longer wanted; returns why it is not done."""
    while not watch.done:
        if stop.is_set():
            return "Stopped by you. The ticket is kept; its open tasks go on with the next worker."
        if seconds and monotonic() - watch.began > seconds:
            return sentence(f"Not done within {seconds:g} s", watch.reasons)
        if reason := watch.stuck:
            return reason
        await asyncio.sleep(0.05)
    return None


@asynccontextmanager
async def _at_work(
    plan: Plan, settings: Settings, ticket_id: str, hurry: asyncio.Event
) -> AsyncIterator[None]:
    """A worker for this ticket beside the watch; other tickets' tasks are for other workers."""
    stop = asyncio.Event()
    name = f"local-{os.getpid()}"
    async with working(name, settings.nats_url, passing=True) as client:
        worker = Worker(
            client,
            WorkerSettings(
                agent_id=name,
                work_root=default_work_root(settings.home, plan.repository),
                concurrency=plan.concurrency,
                repository=plan.repository,
                tickets=(ticket_id,),
                timeout_seconds=plan.task_timeout_seconds,
                drain_seconds=0,
                check=plan.check,
            ),
            CommandLine(plan.command, plan.passed, {"OMOI_NATS_URL": client.url}),
        )
        task = asyncio.create_task(worker.work(stop, hurry))
        try:
            yield
        finally:
            stop.set()
            await task


@asynccontextmanager
async def _watching(client: Client, watch: Watch, ticket_id: str) -> AsyncIterator[None]:
    """Fold the ticket's events as they come."""

    async def follow() -> None:
        async for _, received in client.events(ticket_id=ticket_id):
            watch.see(received)

    task = asyncio.create_task(follow())
    try:
        yield
    finally:
        await end_all([task])
