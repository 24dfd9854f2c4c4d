"""A worker: it claims tasks, has each done in a worktree of its own, and reports what it measured."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any

import structlog

from omoi.worker.attempt import Attempt
from omoi.worker.attending import Shop, attend
from omoi.worker.git import GitFailed
from omoi.worker.lifeline import Lifeline
from omoi.worker.limits import lacking
from omoi.worker.merge import settle
from omoi.worker.outcome import Doer
from omoi.worker.presence import Presence, Profile
from omoi.worker.process import Ending
from omoi.worker.repository import RepositoryProblem
from omoi.worker.settings import WorkerSettings
from omoi.worker.worktree import prune
from shared.client import Client, ClientError
from shared.contracts.task import ClaimedTask, ClaimTask

log = structlog.get_logger()

RETRY_SECONDS = 1.0
PRUNE_SECONDS = 600.0
"""How often leftovers of other workers that died are looked for."""


class Worker:
    """Runs until `stop` is set: registers, beats, claims, works, reports, and leaves nothing behind."""

    def __init__(
        self,
        client: Client,
        settings: WorkerSettings,
        doer: Doer,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._settings = settings
        self._shop = Shop(settings, client, doer, told)
        self._lifeline = Lifeline()
        self._ending = Ending(holder=self._lifeline)
        self._running: dict[str, Attempt] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        profile = Profile(settings.agent_id, settings.capabilities, settings.concurrency, settings.phases)
        self._freed = asyncio.Event()
        self._presence = Presence(
            client,
            profile,
            lambda: len(self._running),
            beat_seconds=settings.beat_seconds,
            on_capacity=self._freed.set,
        )
        self._pruned = monotonic()

    async def work(self, stop: asyncio.Event, hurry: asyncio.Event | None = None) -> None:
        """Work until `stop`; then finish or hand back what is running, at once when it is to hurry.

        Raises Superseded when another worker has taken the agent's name; what ran is then handed back.
        """
        hurry = hurry or asyncio.Event()
        self._ending = replace(self._ending, hurry=hurry)
        self._settings.work_root.mkdir(parents=True, exist_ok=True, mode=0o700)
        await prune(self._settings.work_root)
        await self._presence.register()
        beating = asyncio.create_task(self._be_present())
        try:
            while not stop.is_set() and self._presence.superseded is None:
                await self._claim_more(stop)
            await self._drain(hurry)
        finally:
            await self._stop_all()
            beating.cancel()
            self._lifeline.close()
            await self._settle()
            await self._presence.leave("the worker stops")
        if self._presence.superseded is not None:
            raise self._presence.superseded

    async def _be_present(self) -> None:
        """Beat until the name is another worker's; then end what runs here, and only that."""
        await self._presence.beat(self._hold_claims)
        for attempt in self._running.values():
            _give_up(attempt, self._presence.superseded)

    async def _claim_more(self, stop: asyncio.Event) -> None:
        free = self._presence.capacity - len(self._running)
        if free <= 0:
            self._freed.clear()
            await _first(self._freed.wait(), stop.wait())
            return
        if problem := lacking(self._settings.work_root, self._settings.limits):
            log.warning("disk_full", problem=problem)
            self._shop.told(problem)
            await _first(asyncio.sleep(self._settings.claim_seconds), stop.wait())
            return
        try:
            claims = await self._claim(free)
        except ClientError as error:
            log.warning("claim_failed", agent=self._settings.agent_id, error=str(error))
            await _first(asyncio.sleep(RETRY_SECONDS), stop.wait())
            return
        for claimed in claims:
            self._begin(claimed)
        if not claims:
            await self._tidy()

    async def _claim(self, count: int) -> list[ClaimedTask]:
        settings = self._settings
        claim = ClaimTask(
            agent_id=settings.agent_id,
            capabilities=settings.capabilities,
            phases=settings.phases,
            tickets=settings.tickets,
            task_types=settings.task_types,
            max_tasks=count,
            wait_seconds=settings.claim_seconds,
        )
        answer = await self._client.ask(claim, patience=settings.claim_seconds + 10)
        return [ClaimedTask.model_validate(task) for task in answer.accepted().result["tasks"]]

    def _begin(self, claimed: ClaimedTask) -> None:
        attempt = Attempt(self._client, claimed, self._settings.agent_id, ending=self._ending)
        if self._presence.superseded is not None:
            _give_up(attempt, self._presence.superseded)
        self._running[claimed.task_id] = attempt
        self._presence.beat_sooner()
        task = asyncio.create_task(self._attend(attempt))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, attempt: Attempt) -> None:
        try:
            await attend(self._shop, attempt)
        finally:
            del self._running[attempt.claimed.task_id]
            self._freed.set()

    async def _hold_claims(self) -> None:
        """What goes wrong with one claim is no matter of the others."""
        attempts = list(self._running.values())
        told = await asyncio.gather(*(attempt.beat() for attempt in attempts), return_exceptions=True)
        for attempt, failed in zip(attempts, told, strict=True):
            if isinstance(failed, ClientError):
                log.warning("claim_not_extended", task_id=attempt.claimed.task_id, error=str(failed))
            elif failed is not None:
                log.error("claim_broke", task_id=attempt.claimed.task_id, exc_info=failed)

    async def _tidy(self) -> None:
        """What can be done while there is nothing to do."""
        await self._settle()
        if monotonic() - self._pruned > PRUNE_SECONDS:
            self._pruned = monotonic()
            await prune(self._settings.work_root)

    async def _settle(self) -> None:
        """Bring work to the target branch that had to wait for the person's checkout."""
        for root, repository in list(self._shop.waiting.items()):
            try:
                if await settle(repository) is None:
                    del self._shop.waiting[root]
            except (RepositoryProblem, GitFailed, OSError) as problem:
                log.warning("work_waits", repository=str(root), error=str(problem))

    async def _drain(self, hurry: asyncio.Event) -> None:
        if self._tasks and not hurry.is_set():
            finishing = asyncio.wait(set(self._tasks))  # which leaves them be when it is cancelled
            await _first(finishing, hurry.wait(), asyncio.sleep(self._settings.drain_seconds))

    async def _stop_all(self) -> None:
        """Stop whatever still runs; the claims go back with the session's end."""
        for attempt in self._running.values():
            attempt.cancel.set()
        if self._tasks:
            await asyncio.wait(self._tasks)


def _give_up(attempt: Attempt, why: Exception | None) -> None:
    """End an attempt; that it failed is said of this attempt alone."""
    attempt.too_much = str(why)
    attempt.cancel.set()


async def _first(*waits: Any) -> None:
    """Until one of them is over; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
