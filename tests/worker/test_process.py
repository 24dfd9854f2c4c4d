import asyncio
import os
from pathlib import Path

import pytest

from omoi.worker.command_line import CommandLine
from omoi.worker.presence import BEAT_SHARE
from omoi.worker.process import MARK, Cancelled, Command, Ending, Finished, Run, TimedOut, run
from shared.contracts.agent import RUNNING_SECONDS

TREE = "sleep 1001 & setsid sleep 1002 & (trap '' TERM; while :; do sleep 1003; done) & sh -c 'sleep 1004'"
"""Ordinary child, daemon of its own session, child deaf to SIGTERM, grandchild."""

on_linux = pytest.mark.skipif(not Path("/proc").is_dir(), reason="daemons are found by /proc")


async def ran(
    line: str, folder: Path, timeout_seconds: float | None = None, grace_seconds: float = 10
) -> Run:
    return await run(
        command(line, folder),
        cancel=asyncio.Event(),
        timeout_seconds=timeout_seconds,
        ending=Ending(grace_seconds),
    )


def command(line: str, folder: Path) -> Command:
    tree = folder / "tree"
    tree.mkdir(exist_ok=True)
    return Command(
        line, tree, {**os.environ, MARK: str(tree), "TITLE": "$(touch pwned)`touch pwned`"}, folder / "log"
    )


def living(folder: Path) -> list[Path]:
    """The processes that carry the folder's mark."""
    mark = f"{MARK}={folder / 'tree'}".encode()
    return [process for process in Path("/proc").glob("[0-9]*") if mark in environ(process)]


def environ(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


async def started(folder: Path) -> None:
    async with asyncio.timeout(10):
        while len(living(folder)) < 5:  # noqa: ASYNC110 - what another process does has no event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("line", "code"), [("true", 0), ("exit 7", 7), ("kill -9 $$", -9), ("no-such-agent", 127)]
)
async def test_the_exit_code_is_the_commands_own(tmp_path: Path, line: str, code: int) -> None:
    assert (await ran(line, tmp_path)).outcome == Finished(code)


async def test_what_the_command_prints_is_logged_and_its_end_returned(tmp_path: Path) -> None:
    done = await ran("echo out; echo err >&2; printf 'nul\\0'", tmp_path)
    assert done.tail == "out\nerr\nnul\ufffd"
    assert (tmp_path / "log").read_bytes() == b"out\nerr\nnul\0"


async def test_the_command_runs_in_its_worktree_with_nothing_to_read(tmp_path: Path) -> None:
    assert (await ran("pwd; cat", tmp_path)).tail == f"{tmp_path / 'tree'}\n"


async def test_words_of_a_ticket_in_the_environment_are_no_shell_code(tmp_path: Path) -> None:
    assert (await ran('echo "$TITLE"', tmp_path)).tail == "$(touch pwned)`touch pwned`\n"
    assert list((tmp_path / "tree").iterdir()) == []


async def test_a_log_stays_bounded_while_its_end_is_kept(tmp_path: Path) -> None:
    done = await ran("yes filler | head -c 40000000; echo the end", tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.glob("log*")) < 17 * 2**20
    assert len(done.tail) == 16 * 2**10
    assert done.tail.endswith("the end\n")


@on_linux
async def test_a_timeout_ends_the_whole_tree(tmp_path: Path) -> None:
    done = await ran(f"echo begun; {TREE}", tmp_path, timeout_seconds=0.5, grace_seconds=0.3)
    assert done.outcome == TimedOut()
    assert done.tail.startswith("begun\n")
    assert living(tmp_path) == []


@on_linux
async def test_a_cancelled_task_ends_the_whole_tree(tmp_path: Path) -> None:
    cancel = asyncio.Event()
    running = asyncio.create_task(run(command(TREE, tmp_path), cancel=cancel, ending=Ending(0.3)))
    await started(tmp_path)
    cancel.set()
    assert (await running).outcome == Cancelled()
    assert living(tmp_path) == []


@on_linux
async def test_a_worker_that_is_stopped_ends_the_whole_tree_first(tmp_path: Path) -> None:
    running = asyncio.create_task(run(command(TREE, tmp_path), cancel=asyncio.Event(), ending=Ending(0.3)))
    await started(tmp_path)
    running.cancel()
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert living(tmp_path) == []


async def test_a_command_may_tidy_up_on_sigterm(tmp_path: Path) -> None:
    line = "trap 'echo tidied; exit 0' TERM; echo begun; while :; do sleep 0.01; done"
    done = await ran(line, tmp_path, timeout_seconds=0.3)
    assert done.outcome == TimedOut()
    assert done.tail.endswith("tidied\n")


@on_linux
async def test_what_a_finished_command_leaves_running_is_ended(tmp_path: Path) -> None:
    done = await ran("setsid sleep 1000 & sleep 1000 & echo done", tmp_path, timeout_seconds=60)
    assert (done.outcome, done.tail) == (Finished(0), "done\n")
    assert done.seconds < 10
    assert living(tmp_path) == []


async def test_a_folder_that_is_gone_is_an_error_and_leaks_nothing(tmp_path: Path) -> None:
    lost = Command("true", tmp_path / "nowhere", {MARK: "x"}, tmp_path / "log")
    with pytest.raises(FileNotFoundError):
        await run(lost, cancel=asyncio.Event())


def test_even_a_deaf_command_is_gone_within_one_beat_interval_of_its_cancellation() -> None:
    for grace_seconds in (Ending().grace_seconds, CommandLine("true").grace_seconds):
        assert BEAT_SHARE * RUNNING_SECONDS + grace_seconds <= RUNNING_SECONDS
