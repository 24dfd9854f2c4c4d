"""The SDK: an agent whose tasks are done by functions of a Python program."""

import asyncio
import inspect
import signal
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

import structlog

from omoi.connection import working
from omoi.handed_in import NotAnArtifact, outcome_of
from omoi.work import Brief, Cancelled, Permanent, Work, brief_of
from omoi.worker.attempt import Attempt
from omoi.worker.briefing import Briefing
from omoi.worker.limits import Limits
from omoi.worker.outcome import Failed, Outcome, Stopped
from omoi.worker.presence import Superseded
from omoi.worker.process import GRACE_SECONDS
from omoi.worker.settings import WorkerSettings, default_work_root
from omoi.worker.worker import Worker
from omoi.worker.worktree import Worktree
from shared.client import Client
from shared.kernel.ending import end_all
from shared.kernel.settings import Settings

__all__ = ["Agent", "Brief", "Cancelled", "Handler", "Permanent", "Work"]

log = structlog.get_logger()

Handler = Callable[[Brief], Any]
"""Does one task. It may be `async`; if it is not, it runs in a thread of its own.

What it returns is the task's result: None, a sentence, or a dict that may hold `summary` and `artifacts`.
What it raises fails the attempt, which is tried again unless it is `Permanent`.
"""
H = TypeVar("H", bound=Handler)


class Options(TypedDict, total=False):
    """What else an agent may be told."""

    phases: tuple[str, ...]
    """Phases it works in; any when absent."""
    tickets: tuple[str, ...]
    """Tickets it works for; any when absent."""
    timeout_seconds: float
    """Of an attempt, where neither task nor workflow sets one; an hour when absent."""
    drain_seconds: float
    """How long tasks may go on after SIGTERM before they are handed back; 10 when absent."""
    claim_seconds: float
    """How long one question for tasks waits, and stopping may take; 5 when absent."""
    beat_seconds: float
    """Interval of heartbeats; what the registry asks for when absent."""
    work_root: Path
    """Where worktrees are made; beside the stack's data when absent."""
    limits: Limits
    """How much of the disk work may take."""


class Agent:
    """An agent that registers, claims tasks that it has functions for, and reports what they return.

        agent = Agent("coder-1", capabilities=["implementation"], concurrency=4)

        @agent.task("implement_feature")
        async def implement(brief): ...

        agent.run_forever()

    `agent_id` is its name, under which it also acts: 1 to 64 letters, digits, - and _. `capabilities` is what
    it can do (None: anything). `repository` is where to work when the ticket names none; without either a
    task has no worktree. `url` names the NATS server; otherwise OMOI_NATS_URL does, or the stack that
    `omoi up` runs in OMOI_HOME.
    """

    def __init__(
        self,
        agent_id: str,
        *,
        capabilities: Iterable[str] | None = None,
        concurrency: int = 1,
        repository: str | Path | None = None,
        url: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        self.agent_id = agent_id
        self._handlers: dict[str | None, Handler] = {}
        self._url = url
        home = Path(repository).resolve() if repository else None
        settings = WorkerSettings(
            agent_id=agent_id,
            work_root=default_work_root(Settings().home, home),
            capabilities=None if capabilities is None else tuple(capabilities),
            concurrency=concurrency,
            repository=home,
        )
        self._settings = replace(settings, **options)

    def task(self, *task_types: str) -> Callable[[H], H]:
        """Let a function do tasks of these types; of any other type when none is named."""

        def registered(handler: H) -> H:
            for task_type in task_types or (None,):
                if task_type in self._handlers:
                    raise ValueError(
                        f"{self.agent_id} has a function for {task_type or 'other tasks'} already."
                    )
                self._handlers[task_type] = handler
            return handler

        return registered

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Work until `stop` is set; without one, until SIGTERM or Ctrl-C (a second one hurries).

        Raises `shared.client.Unreachable` when no stack answers at the start, and
        `omoi.worker.presence.Superseded` when another worker has registered as this agent.
        """
        if not self._handlers:
            raise ValueError(f"{self.agent_id} has no functions. Add one with @agent.task('task_type').")
        named = tuple(task_type for task_type in self._handlers if task_type is not None)
        settings = replace(self._settings, task_types=None if None in self._handlers else named)
        async with working(self.agent_id, self._url) as client, _stopping(stop) as (stopped, hurry):
            await Worker(client, settings, _Functions(self._handlers, client)).work(stopped, hurry)

    def run_forever(self) -> None:
        """`run` for a program that does nothing else; another worker of the same name ends it with code 1."""
        try:
            asyncio.run(self.run())
        except Superseded as superseded:
            raise SystemExit(str(superseded)) from None


class _Functions:
    """Tasks done by functions, by type."""

    needs_repository = False

    def __init__(self, handlers: dict[str | None, Handler], client: Client) -> None:
        self._handlers = handlers
        self._client = client

    async def do(
        self, attempt: Attempt, told: Briefing, tree: Worktree | None, timeout_seconds: float
    ) -> Outcome:
        """Call the function; it is over when it returns, is cancelled, or its time is over."""
        handler = self._handlers.get(attempt.claimed.task_type) or self._handlers[None]
        work = Work(attempt, tree, self._client)
        running = asyncio.create_task(_called(handler, brief_of(told, attempt.claimed, work)))
        wanted = asyncio.create_task(attempt.cancel.wait())
        try:
            await asyncio.wait(
                [running, wanted], timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if running.done():
                return _outcome(running, work, attempt)
            stopped = attempt.cancel.is_set()
            work.stop()
            running.cancel()
            await asyncio.wait([running], timeout=GRACE_SECONDS)
            if not running.done():
                log.warning("function_does_not_stop", task_id=attempt.claimed.task_id)
            return Stopped() if stopped else Failed(f"The function ran longer than {timeout_seconds:.0f} s.")
        finally:
            work.stop()
            running.cancel()
            await end_all([wanted])  # type: ignore[list-item]


async def _called(handler: Handler, brief: Brief) -> Any:
    if inspect.iscoroutinefunction(handler):
        return await handler(brief)
    returned = await _in_a_thread(handler, brief)
    return await returned if inspect.isawaitable(returned) else returned


async def _in_a_thread(handler: Handler, brief: Brief) -> Any:
    """A daemon thread of its own: one that does not stop holds up neither others nor the program's end."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if ended.done():
            return
        if error is None:
            ended.set_result(value)
        else:
            ended.set_exception(error)

    def call() -> None:
        value, error = None, None
        try:
            value = handler(brief)
        except BaseException as raised:  # noqa: BLE001 - whatever it is, whoever waits is told
            error = raised if not isinstance(raised, StopIteration) else RuntimeError(repr(raised))
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=call, name=f"omoi-{brief.task.task_id}", daemon=True).start()
    try:
        return await asyncio.shield(ended)
    except asyncio.CancelledError:
        await asyncio.wait([ended])  # it was told to stop, and decides when it does
        ended.exception()
        raise


def _outcome(running: "asyncio.Task[Any]", work: Work, attempt: Attempt) -> Outcome:
    if running.cancelled():
        return Stopped() if attempt.cancel.is_set() else Failed("The function was cancelled from inside.")
    match running.exception():
        case None:
            try:
                return outcome_of(running.result(), work.submitted)
            except NotAnArtifact as fault:
                return Failed(str(fault), retryable=False)
        case Cancelled() if attempt.cancel.is_set():
            return Stopped()
        case Permanent() as error:
            return Failed(str(error) or repr(error), retryable=False)
        case error:
            return Failed(_told(error))


def _told(error: BaseException) -> str:
    return f"{error!r}\n\n{''.join(traceback.format_exception(error))[-8000:]}"


@asynccontextmanager
async def _stopping(stop: asyncio.Event | None) -> AsyncIterator[tuple[asyncio.Event, asyncio.Event]]:
    """The caller's event, or those that the first and the second signal set."""
    hurry = asyncio.Event()
    if stop is not None:
        yield stop, hurry
        return
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def signalled() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled)
    try:
        yield stop, hurry
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
