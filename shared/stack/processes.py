"""Other processes of this machine, told apart by command line because pids get reused."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

# types-psutil is not among the dependencies.
import psutil

# Killing after that is safe and only costs a recovery. Postgres 18.4 needs it when told to stop in the very
# moment in which it recovers from the end of a backend: it never stops then.
STOP_SECONDS = 5


def stop_leftovers(program: str, is_ours: Callable[[list[str]], bool], stop_signal: int) -> list[int]:
    """Stop what a dead owner has left: the processes of a program whose command line is ours."""
    found = [process for process in psutil.process_iter() if _matches(process, program, is_ours)]
    _signal(found, stop_signal)
    _signal(_still_alive(found), signal.SIGKILL)
    _still_alive(found)
    return [process.pid for process in found]


def drop_misleading_pid_file(path: Path) -> None:
    """Delete a pid file that is empty or names a stranger; Postgres takes either for a running server."""
    if not path.exists():
        return
    words = path.read_text().split()
    if not words or psutil.pid_exists(int(words[0])):
        path.unlink()


def _matches(process: psutil.Process, program: str, is_ours: Callable[[list[str]], bool]) -> bool:
    try:
        return process.name() == program and is_ours(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _signal(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _still_alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Wait for the processes to end; those that did not."""
    end = time.monotonic() + STOP_SECONDS
    while (alive := [process for process in processes if _lives(process)]) and time.monotonic() < end:
        time.sleep(0.01)
    return alive


def _lives(process: psutil.Process) -> bool:
    # Not psutil's own wait: an orphan stays a zombie for as long as the init of a container does not look.
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
