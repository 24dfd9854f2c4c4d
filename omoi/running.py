"""The main job: a ticket taken from opening to its terminal phase, with workers, in view of a person."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from omoi.cli.console import REFUSED, UNAVAILABLE, out, print_json
from omoi.drawing.signs import sign
from omoi.host import hosting
from omoi.progress import Progress, evolve
from omoi.worker.command_line import CommandLine
from omoi.worker.repository import RepositoryProblem, open_repository
from omoi.worker.settings import TIMEOUT_SECONDS, WorkerSettings, default_work_root
from omoi.worker.worker import Worker
from shared.client import Client
from shared.contracts.phase import GetWorkflow, LoadWorkflow, OpenTicket, Transition
from shared.contracts.workflow import Workflow
from shared.kernel.ending import end_all
from shared.kernel.received import Received
from shared.kernel.settings import Settings
from shared.stack import OPERATOR, RunningStack

STUCK_SECONDS = 5.0
"""How long nothing may be open or happen before a ticket counts as stuck."""


@dataclass(frozen=True)
class Plan:
    """What `omoi run` was asked to do."""

    ticket: OpenTicket
    workflow: Workflow | None
    command: str
    repository: Path
    concurrency: int = 2
    timeout_seconds: float | None = None
    task_timeout_seconds: float = TIMEOUT_SECONDS
    passed: tuple[str, ...] = ()
    check: str | None = None
    as_json: bool = False


@dataclass
class Watch:
    """What is seen of the ticket so far."""

    workflow: Workflow
    as_json: bool
    progress: Progress = field(default_factory=Progress)
    began: float = field(default_factory=monotonic)
    changed: float = field(default_factory=monotonic)

    def see(self, received: Received) -> None:
        """Fold one event and tell of it."""
        event = received.event()
        if event is None:
            return
        self.progress, told = evolve(self.progress, event)
        self.changed = monotonic()
        if self.as_json:
            print_json(received.as_json())
        elif told:
            out.print(f"{received.at[11:19]}  {told}", markup=False, soft_wrap=True)

    @property
    def done(self) -> bool:
        """Whether the ticket is in a terminal phase."""
        phase = self.workflow.phase(self.progress.phase_id)
        return phase is not None and phase.is_terminal

    @property
    def reasons(self) -> list[str]:
        """What stands in the way: why the gate failed, and which tasks did."""
        failed = [work for work in self.progress.tasks.values() if work.status == "failed"]
        return [*self.progress.reasons, *(f"{work.task_type} {work.note}" for work in failed)]

    @property
    def stuck(self) -> str | None:
        """Why the ticket will not move by itself any more; None while it may."""
        if self.done or self.progress.moving or monotonic() - self.changed < STUCK_SECONDS:
            return None
        where = self.progress.phase_id
        reasons = self.reasons
        if where == self.workflow.blocked_phase:
            return _sentence("The ticket is blocked", reasons or ["no reason was given"])
        if reasons:
            return _sentence(f"The ticket cannot leave {where}", reasons)
        return f"Nothing is left to do in {where}, and nothing moves the ticket on."


def _sentence(what: str, reasons: list[str]) -> str:
    return f"{what}:\n" + "\n".join(f"  - {reason}" for reason in reasons) if reasons else f"{what}."


async def run_ticket(plan: Plan, settings: Settings, stack: RunningStack | None, stop: asyncio.Event) -> int:
    """Take the ticket through; returns the exit code. Starts the embedded stack when nothing runs yet."""
    try:
        await open_repository(plan.repository)
    except RepositoryProblem as problem:
        out.print(str(problem), style="red")
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
        return await _take_through(plan, settings, client, nats_url, stop)


async def _take_through(
    plan: Plan, settings: Settings, client: Client, nats_url: str, stop: asyncio.Event
) -> int:
    if plan.workflow is not None:
        (await client.ask(LoadWorkflow(document=plan.workflow))).accepted()
    found = await client.query(GetWorkflow(name=plan.ticket.workflow))
    watch = Watch(Workflow.model_validate(found["document"]), plan.as_json)
    ticket_id = (await client.ask(plan.ticket)).accepted().result["ticket_id"]
    async with _working(plan, settings, nats_url, ticket_id), _watching(client, watch, ticket_id):
        with _live(watch, plan.as_json):
            await _start(client, watch.workflow, ticket_id)
            ended = await _end(watch, stop, plan.timeout_seconds)
    _summarise(watch, ended, plan)
    return 0 if watch.done else REFUSED if ended else UNAVAILABLE


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
            return _sentence(f"Not done within {seconds:g} s", watch.reasons)
        if reason := watch.stuck:
            return reason
        await asyncio.sleep(0.05)
    return None


@asynccontextmanager
async def _working(plan: Plan, settings: Settings, nats_url: str, ticket_id: str) -> AsyncIterator[None]:
    """A worker for this ticket beside the watch; other tickets' tasks are for other workers."""
    stop = asyncio.Event()
    name = f"local-{os.getpid()}"
    async with await Client.connect(nats_url, name) as client:
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
            CommandLine(
                plan.command,
                plan.passed,
                {"OMOI_NATS_URL": nats_url, "OMOI_HOME": str(settings.home.resolve())},
            ),
        )
        task = asyncio.create_task(worker.work(stop))
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


def _live(watch: Watch, as_json: bool) -> Live:
    """The board of the ticket, redrawn in place where there is a terminal."""
    return Live(
        get_renderable=lambda: _board(watch), console=out, refresh_per_second=8, transient=True,
        auto_refresh=out.is_terminal and not as_json,
    )  # fmt: skip


def _board(watch: Watch) -> Any:
    progress = watch.progress
    if not out.is_terminal or watch.as_json:
        return Text("")
    head = Text(f"{progress.title}  ", style="bold")
    head.append(" > ".join(str(step) for step in progress.path), style="cyan")
    table = Table(box=None, pad_edge=False, show_header=False)
    for work in [w for w in progress.tasks.values() if w.phase_id == progress.phase_id]:
        table.add_row(sign(work.status).symbol, work.task_type, work.status, work.agent_id, work.note)
    reasons = [Text(f"  {reason}", style="yellow") for reason in progress.reasons]
    seconds = Text(f"{monotonic() - watch.began:.0f} s", style="dim")
    return Group(head, table, *reasons, seconds)


def _summarise(watch: Watch, ended: str | None, plan: Plan) -> None:
    progress = watch.progress
    counts = {
        status: sum(work.status == status for work in progress.tasks.values())
        for status in ("completed", "failed", "cancelled")
    }
    summary = {
        "ticket_id": progress.ticket_id,
        "done": watch.done,
        "phase_path": [step.phase_id for step in progress.path],
        "regressions": [step.phase_id for step in progress.path if step.regression],
        "tasks": counts,
        "seconds": round(monotonic() - watch.began, 1),
        "repository": str(plan.repository),
        "reason": ended,
    }
    if plan.as_json:
        print_json({"summary": summary})
        return
    out.print()
    if watch.done:
        out.print(Text.assemble((progress.phase_id.removeprefix("PHASE_"), "green"), f": {progress.title}"))
    else:
        out.print(Text.assemble(("Not done", "red"), f": {progress.title}"))
        out.print(ended or "", markup=False, soft_wrap=True)
    out.print(f"Phases      {' -> '.join(str(step) for step in progress.path)}", markup=False, soft_wrap=True)
    told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    out.print(f"Tasks       {told or 'none'} in {summary['seconds']} s")
    out.print(f"Repository  {plan.repository}", markup=False, soft_wrap=True)
    if progress.waiting:
        out.print(Text.assemble(("Waiting", "yellow"), f"     {progress.waiting}"), soft_wrap=True)
    out.print(f"Look back   omoi ticket history {progress.ticket_id}", soft_wrap=True)
    out.print(f"            omoi events --ticket {progress.ticket_id}", soft_wrap=True)
    out.print("            (while `omoi up` runs; the data is kept)")
