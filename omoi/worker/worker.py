"""A worker: it claims tasks, has a command do each in a worktree of its own, and reports what it measured."""

import asyncio
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

import orjson
import structlog

from omoi.worker.assignment import Assignment
from omoi.worker.brief import write_brief
from omoi.worker.briefing import briefing
from omoi.worker.environment import environment
from omoi.worker.evidence import Artifact, measure
from omoi.worker.git import GitFailed
from omoi.worker.merge import Landing, MergeConflict, land, settle
from omoi.worker.process import Cancelled, Command, Finished, Run, TimedOut, run
from omoi.worker.repository import Repository, RepositoryProblem, open_repository
from omoi.worker.worktree import Worktree, checked_out, prune
from shared.client import Answer, Client, ClientError
from shared.contracts.agent import Deregister, Heartbeat, Register
from shared.contracts.task import (
    ClaimedTask,
    ClaimTask,
    CompleteTask,
    ExtendClaim,
    FailTask,
    StartTask,
)

log = structlog.get_logger()

CLAIM_WAIT_SECONDS = 5.0
RETRY_SECONDS = 1.0
BEAT_SHARE = 0.6
"""Beat well inside the interval, so that one lost beat is not a missed one."""
REPORT_BYTES = 900_000
"""Most of a report's size: the broker takes 1 MiB."""
TIMEOUT_GRACE_SECONDS = 5.0
"""The scheduler ends an attempt that runs too long; the worker does so a little later, if it cannot."""


@dataclass(frozen=True)
class WorkerSettings:
    """How one worker works."""

    agent_id: str
    command: str
    """Command line of the agent, run by `sh -c` in the task's worktree."""
    work_root: Path
    capabilities: tuple[str, ...] | None = None
    """What it can do; None means anything."""
    concurrency: int = 1
    repository: Path | None = None
    """Where to work when the ticket names no repository."""
    phases: tuple[str, ...] | None = None
    drain_seconds: float = 10.0
    """How long running tasks may go on after the worker was told to stop."""
    beat_seconds: float | None = None
    """Interval of heartbeats; what the registry asks for when None."""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Running:
    """A task in work."""

    claimed: ClaimedTask
    cancel: asyncio.Event = field(default_factory=asyncio.Event)
    lost: str | None = None
    """Why the claim is no longer ours."""


def default_work_root(home: Path, repository: Path | None) -> Path:
    """A folder for worktrees: beside the stack's data, unless that lies inside the repository itself."""
    place = (home / "work").resolve()
    if repository is None or not place.is_relative_to(repository.resolve()):
        return place
    name = sha256(str(place).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"omoi-{os.getuid()}-{name}"


class Worker:
    """Runs until `stop` is set: registers, beats, claims, works, reports, and leaves nothing behind."""

    def __init__(
        self, client: Client, settings: WorkerSettings, told: Callable[[str], None] = lambda _: None
    ) -> None:
        self._client = client
        self._settings = settings
        self._told = told
        self._running: dict[str, Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[Path, Repository] = {}
        """Repositories where work waits for the person's checkout."""
        self._session = 0
        self._interval = 5.0
        self._freed = asyncio.Event()
        self._begun = asyncio.Event()

    async def work(self, stop: asyncio.Event) -> None:
        """Work until `stop`; then finish or hand back what is running."""
        self._settings.work_root.mkdir(parents=True, exist_ok=True)
        await prune(self._settings.work_root)
        await self._register()
        beating = asyncio.create_task(self._beat())
        try:
            while not stop.is_set():
                await self._claim_more(stop)
            await self._drain()
        finally:
            beating.cancel()
            await self._leave()

    async def _register(self) -> None:
        answer = await self._client.ask(
            Register(
                agent_id=self._settings.agent_id,
                name=self._settings.agent_id,
                capabilities=self._settings.capabilities or (),
                capacity=self._settings.concurrency,
                phases=self._settings.phases,
            )
        )
        session = answer.accepted().result
        self._session = session["session"]
        self._interval = self._settings.beat_seconds or session["heartbeat_seconds"] * BEAT_SHARE

    async def _claim_more(self, stop: asyncio.Event) -> None:
        free = self._settings.concurrency - len(self._running)
        if free <= 0:
            self._freed.clear()
            await _first(self._freed.wait(), stop.wait())
            return
        try:
            claims = await self._claim(free)
        except ClientError as error:
            log.warning("claim_failed", agent=self._settings.agent_id, error=str(error))
            await asyncio.sleep(RETRY_SECONDS)
            return
        for claimed in claims:
            self._begin(claimed)
        if not claims:
            await self._settle()

    async def _settle(self) -> None:
        """Bring work to the target branch that had to wait for the person's checkout."""
        for root, repository in list(self._waiting.items()):
            try:
                if await settle(repository) is None:
                    del self._waiting[root]
            except (RepositoryProblem, GitFailed, OSError) as problem:
                log.warning("work_waits", repository=str(root), error=str(problem))

    async def _claim(self, count: int) -> list[ClaimedTask]:
        answer = await self._client.ask(
            ClaimTask(
                agent_id=self._settings.agent_id,
                capabilities=self._settings.capabilities,
                phases=self._settings.phases,
                max_tasks=count,
                wait_seconds=CLAIM_WAIT_SECONDS,
            ),
            patience=CLAIM_WAIT_SECONDS + 10,
        )
        return [ClaimedTask.model_validate(task) for task in answer.accepted().result["tasks"]]

    def _begin(self, claimed: ClaimedTask) -> None:
        running = self._running[claimed.task_id] = Running(claimed)
        self._begun.set()
        task = asyncio.create_task(self._attend(running))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, running: Running) -> None:
        """Work on one task; whatever goes wrong becomes a failed attempt with its reason."""
        claimed = running.claimed
        self._told(f"{self._settings.agent_id} took {claimed.task_type} (attempt {claimed.attempt})")
        try:
            await self._perform(running)
        except ClientError as error:
            log.warning("report_failed", task_id=claimed.task_id, error=str(error))
        except MergeConflict as conflict:
            await self._fail(running, f"{conflict}\n\n{conflict.diff}")
        except (RepositoryProblem, GitFailed, OSError) as problem:
            await self._fail(running, str(problem))
        except Exception as error:
            log.exception("task_broke", task_id=claimed.task_id)
            await self._fail(running, f"The worker met a fault of its own: {error!r}")
        finally:
            del self._running[claimed.task_id]
            self._freed.set()

    async def _perform(self, running: Running) -> None:
        claimed = running.claimed
        place = claimed.repository or self._settings.repository
        if place is None:
            raise RepositoryProblem("Neither the ticket nor the worker names a repository. Give --repo.")
        repository = await open_repository(Path(place))
        told = await briefing(self._client, claimed)
        async with checked_out(
            repository, _assignment(claimed, self._settings.agent_id), self._settings.work_root
        ) as tree:
            brief = write_brief(told.brief, tree.home)
            started = await self._report(StartTask(task_id=claimed.task_id, claim_epoch=claimed.claim_epoch))
            if not started.ok:
                return  # the claim was lost meanwhile: the task is somebody else's
            command = Command(
                self._settings.command,
                tree.path,
                environment(tree, brief, self._settings.environment),
                tree.log,
            )
            seconds = claimed.timeout_seconds + TIMEOUT_GRACE_SECONDS if claimed.timeout_seconds else None
            ran = await run(command, cancel=running.cancel, timeout_seconds=seconds)
            await self._conclude(running, tree, ran, told.expected_outputs)

    async def _conclude(self, running: Running, tree: Worktree, ran: Run, outputs: Any) -> None:
        match ran.outcome:
            case Cancelled():
                self._told(f"{running.claimed.task_type} stopped: {running.lost or 'the worker is stopping'}")
            case TimedOut():
                await self._fail(running, f"The command ran longer than {ran.seconds:.0f} s.\n\n{ran.tail}")
            case Finished(0):
                artifacts = await measure(tree, outputs)
                await self._extend(running)  # a claim that was lost meanwhile must not land
                if running.lost is None:
                    landing = await land(tree)
                    if landing.waiting:
                        self._waiting[tree.repository.root] = tree.repository
                    await self._complete(running, landing, artifacts, ran)
            case Finished(code):
                await self._fail(running, f"The command ended with exit code {code}.\n\n{ran.tail}")

    async def _complete(
        self, running: Running, landing: Landing, artifacts: list[Artifact], ran: Run
    ) -> None:
        claimed = running.claimed
        result = {
            "summary": ran.tail.strip()[-2000:],
            "artifacts": artifacts,
            "commit": landing.commit,
            "branch": landing.branch,
            "landed": landing.how,
            "waiting": landing.waiting,
            "exit_code": 0,
            "seconds": round(ran.seconds, 3),
        }
        await self._report(
            CompleteTask(task_id=claimed.task_id, claim_epoch=claimed.claim_epoch, result=fitted(result))
        )
        self._told(f"{claimed.task_type} completed in {ran.seconds:.1f} s")

    async def _fail(self, running: Running, error: str, *, retryable: bool = True) -> None:
        claimed = running.claimed
        self._told(f"{claimed.task_type} failed: {error.splitlines()[0] if error else 'no reason'}")
        try:
            await self._report(
                FailTask(
                    task_id=claimed.task_id,
                    claim_epoch=claimed.claim_epoch,
                    error=error[:20_000],
                    retryable=retryable,
                )
            )
        except ClientError as away:
            log.warning("report_failed", task_id=claimed.task_id, error=str(away))

    async def _report(self, command: Any) -> Answer:
        answer = await self._client.ask(command, patience=60)
        if not answer.ok:
            log.warning(
                "report_refused", command=command.wire_name(), code=answer.code, message=answer.message
            )
        return answer

    async def _beat(self) -> None:
        while True:
            began = monotonic()
            try:
                await self._beat_once()
            except (ClientError, TimeoutError) as error:
                log.warning("beat_failed", agent=self._settings.agent_id, error=str(error))
            await self._pause(max(0.05, self._interval - (monotonic() - began)))

    async def _pause(self, seconds: float) -> None:
        """Until the next beat is due, or work begins: then the interval is shorter."""
        try:
            async with asyncio.timeout(seconds):
                await self._begun.wait()
        except TimeoutError:
            return
        self._begun.clear()

    async def _beat_once(self) -> None:
        answer = await self._client.ask(
            Heartbeat(agent_id=self._settings.agent_id, session=self._session, running=len(self._running)),
            patience=self._interval,
        )
        if answer.ok:
            self._session = answer.result["session"]
            self._interval = self._settings.beat_seconds or answer.result["heartbeat_seconds"] * BEAT_SHARE
        elif answer.code in {"stale_session", "agent_not_found"}:
            await self._register()
        await asyncio.gather(*(self._extend(running) for running in list(self._running.values())))

    async def _extend(self, running: Running) -> None:
        """Hold the claim for another lease, and hear whether the work is still wanted."""
        claimed = running.claimed
        answer = await self._client.ask(
            ExtendClaim(task_id=claimed.task_id, claim_epoch=claimed.claim_epoch), patience=10
        )
        if not answer.ok and answer.code != "unavailable":
            running.lost = answer.message
        elif answer.result.get("cancelled"):
            running.lost = (
                f"the task was cancelled: {answer.result.get('cancel_reason') or 'no reason given'}"
            )
        if running.lost:
            running.cancel.set()

    async def _drain(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._settings.drain_seconds)
        for running in self._running.values():
            running.cancel.set()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _leave(self) -> None:
        """Stop whatever still runs and give the claims back."""
        for running in self._running.values():
            running.cancel.set()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._settle()
        try:
            await self._client.ask(
                Deregister(agent_id=self._settings.agent_id, reason="the worker stops"), patience=3
            )
        except ClientError as error:
            log.warning("not_deregistered", agent=self._settings.agent_id, error=str(error))


def _assignment(claimed: ClaimedTask, agent_id: str) -> Assignment:
    return Assignment(
        task_id=claimed.task_id,
        ticket_id=claimed.ticket_id,
        phase_id=claimed.phase_id,
        task_type=claimed.task_type,
        title=claimed.title,
        agent_id=agent_id,
        attempt=claimed.attempt,
        claim_epoch=claimed.claim_epoch,
    )


def fitted(result: dict[str, Any]) -> dict[str, Any]:
    """A report that fits into a message: the largest contents are left out, their hashes stay."""
    while len(orjson.dumps(result)) > REPORT_BYTES:
        largest = max(result["artifacts"], key=lambda artifact: len(orjson.dumps(artifact["content"])))
        largest["content"] = {
            "problem": "The content was too large to be handed in; the hash is of all of it."
        }
    return result


async def _first(*waits: Any) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
