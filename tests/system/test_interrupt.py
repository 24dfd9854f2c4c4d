"""Ctrl-C in a run: once for an orderly end, twice for an end at once."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import Queue
from threading import Thread

from tests.system.conftest import OMOI, System

GRACE_SECONDS = 10
"""How long a command is given that is asked to end."""


def test_a_second_interrupt_ends_a_run_at_once(system: System, own_folder: Path) -> None:
    project = repository(own_folder / "interrupted")
    ticket = own_folder / "deaf.md"
    ticket.write_text("---\ntitle: Deaf\n---\nDo not listen.\n")
    begun = own_folder / "begun"
    deaf = f"trap '' TERM INT; touch {begun}; while :; do sleep 0.1; done"
    with subprocess.Popen(
        [str(OMOI), "run", str(ticket), "--repo", str(project), "--exec", deaf],
        env={**os.environ, "OMOI_HOME": str(system.home)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        lines: Queue[str] = Queue()
        assert process.stdout is not None
        Thread(target=pass_on, args=(process.stdout, lines), daemon=True).start()
        wait_for(begun.exists)
        process.send_signal(signal.SIGINT)
        assert heard(lines, "Ctrl-C again ends at once")
        assert process.poll() is None, "the first one lets the command end by itself"
        interrupted_at = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in (1, 130)
        assert time.monotonic() - interrupted_at < GRACE_SECONDS
        assert heard(lines, "Ending at once")
        wait_for(lambda: not commands_in(system.home))


def wait_for(holds: Callable[[], object]) -> None:
    """Until it holds."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def pass_on(source: Iterable[str], lines: "Queue[str]") -> None:
    """Lines as they come."""
    for line in source:
        lines.put(line)


def heard(lines: "Queue[str]", words: str) -> bool:
    """Whether a line with these words comes."""
    while words not in lines.get(timeout=30):
        pass
    return True


def commands_in(home: Path) -> list[str]:
    """Processes that run in worktrees below a home."""
    mark = f"OMOI_WORKTREE={home.resolve()}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes():
                found.append(process.name)
    return found


def repository(folder: Path) -> Path:
    """A git repository with one commit."""
    folder.mkdir()
    subprocess.run(["git", "-C", str(folder), "init", "--quiet", "--initial-branch=main"], check=True)
    author = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    commit = ("commit", "--quiet", "--allow-empty", "-m", "start")
    subprocess.run(["git", "-C", str(folder), *author, *commit], check=True)
    return folder
