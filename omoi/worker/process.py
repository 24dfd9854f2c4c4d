"""Run the operator's command for one attempt and leave no process of it behind."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from omoi.worker.output import Output
from omoi.worker.uninterrupted import begun, to_the_end

MARK = "OMOI_WORKTREE"

GRACE_SECONDS = 5.0
"""Between SIGTERM and SIGKILL. A beat, 9 s at most, tells of a cancellation: both together stay within a beat
interval, 15 s."""

_PROC = Path("/proc")
_KILL_PATIENCE_SECONDS = 5


@dataclass(frozen=True)
class Finished:
    """The command ended by itself; a negative code is the number of the signal that ended it."""

    exit_code: int


@dataclass(frozen=True)
class TimedOut:
    """The command was ended because its time was over."""


@dataclass(frozen=True)
class Cancelled:
    """The command was ended because its task was cancelled."""


Outcome = Finished | TimedOut | Cancelled


@dataclass(frozen=True)
class Run:
    """How the command ended and the last 16 KiB of what it printed."""

    outcome: Outcome
    tail: str
    seconds: float


@dataclass(frozen=True)
class Command:
    """A command line, given by the operator on purpose and run by `sh -c`.

    Nothing a ticket says belongs into `line`: such text reaches the command through files and `env` alone.
    `env` must hold OMOI_WORKTREE, by which processes that leave the command's session are still found.
    """

    line: str
    cwd: Path
    env: Mapping[str, str]
    log: Path


class Holder(Protocol):
    """Ends what runs for a mark if this process dies (see `lifeline.py`)."""

    def hold(self, mark: str, session: int | None = None) -> None:
        """Begin to."""

    def release(self, mark: str) -> None:
        """No longer."""


@dataclass(frozen=True)
class Ending:
    """How a command is ended: SIGTERM, and SIGKILL after `grace_seconds`, or at once when it must hurry."""

    grace_seconds: float = GRACE_SECONDS
    hurry: asyncio.Event | None = None
    holder: Holder | None = None


async def run(
    command: Command,
    *,
    cancel: asyncio.Event,
    timeout_seconds: float | None = None,
    ending: Ending = Ending(),
    output: Output | None = None,
) -> Run:
    """Run the command to its end, its timeout or `cancel`; no process of it is left on return or raise.

    What it prints goes to `command.log`, or to `output` when that is given, so that others can look at it.
    """
    holder, mark = ending.holder, command.env[MARK]
    if holder is None:
        return await _run(command, cancel, timeout_seconds, ending, output or Output(command.log))
    holder.hold(mark)
    try:
        return await _run(command, cancel, timeout_seconds, ending, output or Output(command.log))
    finally:
        holder.release(mark)


async def _run(
    command: Command,
    cancel: asyncio.Event,
    timeout_seconds: float | None,
    ending: Ending,
    log: Output,
) -> Run:
    began = time.monotonic()
    source, sink = os.pipe()
    starting = asyncio.create_subprocess_exec(
        "/bin/sh", "-c", command.line, cwd=command.cwd, env=command.env,
        stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True,
    )  # fmt: skip
    try:
        process = await begun(starting, lambda process: _end(process, command, ending))
    except BaseException:
        os.close(source)
        raise
    finally:
        os.close(sink)
    if ending.holder is not None:
        ending.holder.hold(command.env[MARK], process.pid)
    copying = asyncio.create_task(_copy(source, log))
    try:
        outcome = await _outcome(process, cancel, timeout_seconds)
    finally:
        await to_the_end(_end(process, command, ending))
        await to_the_end(_finish(copying))
    if copying.done() and not copying.cancelled():
        copying.result()  # a log that could not be written is the attempt's failure, not a silent gap
    return Run(outcome, log.tail(), time.monotonic() - began)


async def end_leftovers(worktree: Path) -> None:
    """Kill what a crashed worker's command left running in `worktree` (found on Linux only)."""
    await _signalled(None, str(worktree), signal.SIGKILL, _KILL_PATIENCE_SECONDS)


async def _outcome(
    process: asyncio.subprocess.Process, cancel: asyncio.Event, timeout_seconds: float | None
) -> Outcome:
    ended, cancelled = asyncio.create_task(process.wait()), asyncio.create_task(cancel.wait())
    try:
        await asyncio.wait([ended, cancelled], timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            return Finished(ended.result())
        return Cancelled() if cancelled.done() else TimedOut()
    finally:
        ended.cancel()
        cancelled.cancel()


async def end_members(
    session: int | None, mark: str, grace_seconds: float, hurry: asyncio.Event | None = None
) -> None:
    """End the processes of a session and those that carry the mark, gently first."""
    if not await _signalled(session, mark, signal.SIGTERM, grace_seconds, hurry):
        await _signalled(session, mark, signal.SIGKILL, _KILL_PATIENCE_SECONDS)


async def _end(process: asyncio.subprocess.Process, command: Command, ending: Ending) -> None:
    await end_members(process.pid, command.env[MARK], ending.grace_seconds, ending.hurry)
    await process.wait()


async def _finish(copying: asyncio.Task[None]) -> None:
    await asyncio.wait([copying], timeout=_KILL_PATIENCE_SECONDS)
    copying.cancel()
    await asyncio.gather(copying, return_exceptions=True)


async def _signalled(
    session: int | None,
    mark: str,
    number: signal.Signals,
    patience_seconds: float,
    hurry: asyncio.Event | None = None,
) -> bool:
    """Signal each member once, new ones too, until nobody is left; False when patience ends first."""
    deadline, pause, told = time.monotonic() + patience_seconds, 0.005, set[int]()
    while members := set(_members(session, mark)):
        if time.monotonic() > deadline or (hurry is not None and hurry.is_set() and told):
            return False
        for member in members - told:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # just ended, or another user now
                os.kill(member, number)
        told |= members
        await asyncio.sleep(pause)
        pause = min(2 * pause, 0.2)
    return True


def _members(session: int | None, mark: str) -> list[int]:
    """What to signal: the session's living processes, and those that left it but carry its OMOI_WORKTREE.

    The mark in the environment is how Jenkins' ProcessTreeKiller finds daemons. Where there is no /proc, the
    process group as one (a negative number, as kill(2) takes it).
    """
    if _PROC.is_dir():
        return [pid for pid in _processes() if _session(pid) == session or _marked(pid, mark)]
    return [-session] if session is not None and _group_lives(session) else []


def _processes() -> list[int]:
    pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if pid != os.getpid()]


def _session(pid: int) -> int:
    """The session of a living process, -1 of a dead one (a zombie waits for its parent, not for us)."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return -1
    state, _, _, session = text.rpartition(")")[2].split()[:4]
    return int(session) if state not in "ZX" else -1


def _marked(pid: int, mark: str) -> bool:
    try:
        return f"{MARK}={mark}".encode() in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # gone, or another user's
        return False


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):  # the latter is what macOS says of zombies
        return False
    return True


async def _copy(source: int, log: Output) -> None:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(source, "rb", buffering=0)
    )
    try:
        while block := await reader.read(65536):
            log.write(block)
    finally:
        transport.close()
