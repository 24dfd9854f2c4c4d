"""Workers with a command, on the real services."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from omoi.worker.attempt import Progress
from omoi.worker.command_line import CommandLine, Listening
from omoi.worker.output import Output
from omoi.worker.settings import WorkerSettings
from omoi.worker.worker import Worker
from shared.client import Client
from shared.contracts.agent import Deregister
from shared.contracts.lock import ListLocks
from tests.worker.fleet import Fleet, at_work
from tests.worker.project import Project

ROOT = Path(__file__).parents[2]
MIX = """
case "$OMOI_TASK_TYPE" in
    good) echo "$OMOI_TASK_ID" > "$OMOI_TASK_ID.txt";;
    bad) echo x > x; exit 3;;
    *) sleep 1000;;
esac
"""


class Crew:
    """A worker of one command."""

    def __init__(self, fleet: Fleet, project: Project, command: str, **options: Any) -> None:
        self.fleet = fleet
        self.command = command
        self.doer = {name: options.pop(name) for name in ("quiet_seconds", "passed") if name in options}
        usual: dict[str, Any] = {"beat_seconds": 0.2, "drain_seconds": 0.0, "claim_seconds": 0.3}
        self.settings = WorkerSettings(
            agent_id=options.pop("agent_id", "coder-1"),
            work_root=project.work_root,
            repository=project.root,
            **usual | options,
        )

    async def work(self, stop: asyncio.Event) -> None:
        """Work until told to stop."""
        doer = CommandLine(self.command, grace_seconds=0.5, **self.doer)
        async with await Client.connect(self.fleet.url, self.settings.agent_id) as client:
            await Worker(client, self.settings, doer).work(stop)


def leftovers(project: Project) -> list[str]:
    """Whatever work in progress leaves when it should leave nothing."""
    git = project.root / ".git"
    return [
        *(path.name for path in project.work_root.iterdir()),
        *project.branches()[1:],
        *project.git("worktree", "list").splitlines()[1:],
        *(str(path) for path in git.rglob("*.lock") if path.name != "omoi.lock"),
    ]


def running(mark: Path) -> list[str]:
    """Processes that carry a worktree's mark below `mark`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ = (process / "environ").read_bytes()
        except OSError:
            continue
        if f"OMOI_WORKTREE={mark}".encode() in environ:
            found.append(process.name)
    return found


async def test_fifty_tasks_of_every_fate_leave_no_worktree_branch_lock_or_process(
    running_fleet: Fleet, project: Project
) -> None:
    ticket = await running_fleet.ticket(project.root)
    fates = ["good"] * 30 + ["bad"] * 12 + ["endless"] * 8
    tasks = {await running_fleet.task(ticket, fate, max_retries=0): fate for fate in fates}
    async with at_work(Crew(running_fleet, project, MIX, concurrency=8).work):
        for task_id, fate in tasks.items():
            if fate == "endless":
                await running_fleet.status(task_id, "running")
                await running_fleet.cancel(task_id, "enough")
        for task_id, fate in tasks.items():
            wanted = {"good": "completed", "bad": "failed", "endless": "cancelled"}[fate]
            await running_fleet.status(task_id, wanted)
    assert leftovers(project) == []
    assert running(project.work_root) == []
    landed = set(project.git("ls-tree", "--name-only", "main").split())
    assert landed == {"story.txt"} | {f"{task}.txt" for task, fate in tasks.items() if fate == "good"}


async def test_a_cancelled_command_and_all_it_started_end_and_the_record_says_who_and_why(
    running_fleet: Fleet, project: Project
) -> None:
    ticket = await running_fleet.ticket(project.root)
    task = await running_fleet.task(ticket)
    command = "setsid sleep 1001 & sleep 1002 & sleep 1003"
    async with at_work(Crew(running_fleet, project, command).work):
        await running_fleet.status(task, "running")
        await running_fleet.until(
            lambda: asyncio.sleep(0, running(project.work_root)), lambda found: len(found) >= 4
        )
        await running_fleet.cancel(task, "the chair is bought")
        await running_fleet.until(
            lambda: asyncio.sleep(0, running(project.work_root)), lambda found: not found
        )
        events = [r async for _, r in running_fleet.client.events(ticket_id=ticket, follow=False)]
    [cancelled] = [r.event() for r in events if r.type == "task.cancelled"]
    assert (cancelled.actor, cancelled.reason) == ("operator", "the chair is bought")  # type: ignore[union-attr]


async def test_a_silent_command_is_told_of_and_ended_when_its_time_is_over(
    running_fleet: Fleet, project: Project
) -> None:
    ticket = await running_fleet.ticket(project.root)
    task = await running_fleet.task(ticket, max_retries=0)
    crew = Crew(running_fleet, project, "sleep 1000", quiet_seconds=0.6, timeout_seconds=4)
    async with at_work(crew.work):
        failed = await running_fleet.status(task, "failed")
    assert failed["reason"].startswith("The command ran longer than 4 s.")
    events = [r async for _, r in running_fleet.client.events(ticket_id=ticket, follow=False)]
    told = [r.event().message for r in events if r.type == "task.progressed"]  # type: ignore[union-attr]
    assert "no output for 0.01 minutes" in told


async def test_a_command_says_how_far_it_is_by_what_it_prints_but_tells_no_secret(
    running_fleet: Fleet, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_API_KEY", "sesame-open-123")
    monkeypatch.setenv("OTHER_API_KEY", "not-for-agents-1")
    ticket = await running_fleet.ticket(project.root)
    task = await running_fleet.task(ticket, max_retries=0)
    command = (
        'echo "key $MODEL_API_KEY other ${OTHER_API_KEY-none}"; [ -z "${OTHER_API_KEY+x}" ] || exit 9;'
        " while [ ! -e ../go ]; do sleep 0.05; done; exit 3"
    )
    crew = Crew(running_fleet, project, command, passed=("MODEL_*",))
    async with at_work(crew.work), asyncio.timeout(30):
        async for _, received in running_fleet.client.events(ticket_id=ticket):
            event: Any = received.event()
            if received.type == "task.progressed" and event.message:
                assert event.message == "key [hidden] other none"
                break
        (project.work_root / f"{task}-1" / "go").touch()
        failed = await running_fleet.status(task, "failed")
    assert "key [hidden] other none" in failed["reason"]
    assert "sesame" not in str(failed)


def test_a_first_line_is_told_at_once_however_late_it_comes_and_the_next_not_so_soon(tmp_path: Path) -> None:
    output = Output(tmp_path / "log")
    listening = Listening(output, (), quiet_seconds=300)
    assert listening.progress() == Progress("")
    output.write(b"one\n")
    assert listening.progress() == Progress("one")
    output.write(b"two\n")
    assert listening.progress() == Progress("one")


async def test_a_failed_attempt_hands_in_what_it_changed(running_fleet: Fleet, project: Project) -> None:
    ticket = await running_fleet.ticket(project.root)
    task = await running_fleet.task(ticket, max_retries=0)
    async with at_work(Crew(running_fleet, project, "echo half > half.txt; exit 7").work):
        failed = await running_fleet.status(task, "failed")
    assert "exit code 7" in failed["reason"]
    assert "+half" in failed["reason"]
    assert f"refs/omoi/kept/{task}-1" in failed["reason"]


async def test_a_worktree_that_outgrows_its_limit_ends_the_attempt(
    running_fleet: Fleet, project: Project
) -> None:
    from omoi.worker.limits import MIB, Limits

    ticket = await running_fleet.ticket(project.root)
    task = await running_fleet.task(ticket, max_retries=0)
    limits = Limits(worktree_bytes=2 * MIB, look_seconds=0.1)
    command = "head -c 4000000 /dev/urandom > ../reports/large; sleep 1000"
    async with at_work(Crew(running_fleet, project, command, limits=limits).work):
        failed = await running_fleet.status(task, "failed")
    assert "2 MiB are allowed" in failed["reason"]


async def test_without_room_on_the_disk_nothing_is_claimed(running_fleet: Fleet, project: Project) -> None:
    from omoi.worker.limits import Limits

    ticket = await running_fleet.ticket(project.root)
    task = await running_fleet.task(ticket)
    async with at_work(Crew(running_fleet, project, "true", limits=Limits(free_bytes=2**62)).work):
        await running_fleet.agent("coder-1", "IDLE", "RUNNING")
        assert (await running_fleet.status(task, "ready"))["attempt"] == 0


async def test_a_worker_claims_only_tasks_of_the_tickets_it_is_for(
    running_fleet: Fleet, project: Project
) -> None:
    own, other = await running_fleet.ticket(project.root), await running_fleet.ticket(project.root)
    foreign = await running_fleet.task(other, priority="CRITICAL")
    task = await running_fleet.task(own)
    async with at_work(Crew(running_fleet, project, "true", tickets=(own,)).work):
        await running_fleet.status(task, "completed")
        assert (await running_fleet.status(foreign, "ready"))["attempt"] == 0


async def cli_worker(fleet: Fleet, project: Project, command: str, *more: str) -> asyncio.subprocess.Process:
    """`omoi worker`, as a user starts it."""
    return await asyncio.create_subprocess_exec(
        *(
            str(Path(sys.executable).parent / "omoi"),
            "worker",
            "--agent",
            "cli-1",
            "--repo",
            str(project.root),
        ),
        *("--exec", command, *more),
        env={**os.environ, "OMOI_NATS_URL": fleet.url, "OMOI_HOME": str(fleet.folder / "home")},
        start_new_session=True,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_second_worker_of_the_same_name_takes_over_and_keeps_its_own_tasks(
    running_fleet: Fleet, project: Project
) -> None:
    ticket = await running_fleet.ticket(project.root)
    old = await running_fleet.task(ticket, "old")
    first = await cli_worker(running_fleet, project, "sleep 1001")
    await running_fleet.status(old, "running")
    new = await running_fleet.task(ticket, "new")
    second = Crew(running_fleet, project, "sleep 1002", agent_id="cli-1", concurrency=2)
    async with at_work(second.work):
        await running_fleet.status(new, "running")
        async with asyncio.timeout(60):
            _, told = await first.communicate()
        assert first.returncode == 1
        assert b"Another worker has registered as cli-1: process" in told
        back = await running_fleet.until(
            lambda: running_fleet.status(old, "running"), lambda task: bool(task["attempt"] == 2)
        )
        assert back["agent_id"] == "cli-1"
        agent = await running_fleet.agent("cli-1", "RUNNING")
        assert (agent["session"], (await running_fleet.status(new, "running"))["attempt"]) == (2, 1)


async def test_a_worker_that_was_lost_or_sent_away_registers_anew(
    running_fleet: Fleet, project: Project
) -> None:
    async with at_work(Crew(running_fleet, project, "true").work):
        await running_fleet.agent("coder-1", "IDLE")
        (await running_fleet.client.ask(Deregister(agent_id="coder-1"))).accepted()
        back = await running_fleet.until(
            lambda: running_fleet.agent("coder-1", "IDLE"), lambda agent: bool(agent["session"] > 1)
        )
        assert back["session"] == 2


async def test_sigterm_hands_work_back_and_a_second_one_hurries(
    running_fleet: Fleet, project: Project
) -> None:
    ticket = await running_fleet.ticket(project.root)
    task = await running_fleet.task(ticket)
    deaf = "trap '' TERM; while :; do sleep 0.1; done"
    worker = await cli_worker(running_fleet, project, deaf, "--drain", "1000")
    work_root = running_fleet.folder / "home" / "work"
    await running_fleet.status(task, "running")
    await running_fleet.until(lambda: asyncio.sleep(0, running(work_root)), bool)
    worker.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.5)
    assert worker.returncode is None, "the task may go on for a while"
    worker.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        assert await worker.wait() == 0
    assert running(work_root) == []
    again = await running_fleet.status(task, "ready")
    assert again["attempts"][0]["agent_id"] == "cli-1"
    assert list(work_root.iterdir()) == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="daemons are found by /proc")
async def test_a_killed_worker_takes_its_command_with_it_and_the_next_one_tidies_up(
    running_fleet: Fleet, project: Project
) -> None:
    ticket = await running_fleet.ticket(project.root)
    task = await running_fleet.task(ticket)
    worker = await cli_worker(
        running_fleet, project, "setsid sleep 1001 & trap '' TERM; while :; do sleep 1; done"
    )
    work_root = running_fleet.folder / "home" / "work"
    await running_fleet.status(task, "running")
    await running_fleet.until(lambda: asyncio.sleep(0, running(work_root)), lambda found: len(found) >= 2)
    worker.kill()
    await worker.wait()
    await running_fleet.until(lambda: asyncio.sleep(0, running(work_root)), lambda found: not found)
    assert [path.name for path in work_root.iterdir()] == [f"{task}-1"]
    second = await cli_worker(running_fleet, project, "true")
    await running_fleet.until(
        lambda: asyncio.sleep(0, [path.name for path in work_root.iterdir()]), lambda found: not found
    )
    second.terminate()
    assert await second.wait() == 0
    assert project.branches() == ["main"]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="daemons are found by /proc")
async def test_a_killed_worker_takes_its_check_with_it(running_fleet: Fleet, project: Project) -> None:
    """The check runs when others' work came in between."""
    go_on = running_fleet.folder / "go-on"
    checking = running_fleet.folder / "checking"
    command = f"echo own > own.txt; until [ -e {go_on} ]; do sleep 0.05; done"
    check = f"trap '' TERM; setsid sleep 1003 & touch {checking}; while :; do sleep 0.1; done"
    task = await running_fleet.task(await running_fleet.ticket(project.root))
    worker = await cli_worker(running_fleet, project, command, "--check", check)
    await running_fleet.status(task, "running")
    project.commit("others.txt", "from others\n")
    go_on.touch()
    await running_fleet.until(lambda: asyncio.sleep(0, checking), lambda file: file.exists())
    work_root = running_fleet.folder / "home" / "work"
    assert len(running(work_root)) >= 2
    worker.kill()
    await worker.wait()
    await running_fleet.until(lambda: asyncio.sleep(0, running(work_root)), lambda found: not found)
    assert "own.txt" not in project.git("ls-tree", "--name-only", "main").split()


async def listed_locks(fleet: Fleet) -> list[Any]:
    """What `omoi locks` shows."""
    found: list[Any] = (await fleet.client.query(ListLocks()))["locks"]
    return found


@pytest.mark.parametrize("signals", [(signal.SIGTERM,), (signal.SIGTERM, signal.SIGINT)])
async def test_four_tasks_of_a_worker_that_is_told_to_go_leave_no_lock_and_no_worktree(
    running_fleet: Fleet, project: Project, signals: tuple[signal.Signals, ...]
) -> None:
    """With one signal they finish within the drain; a second one does not wait for them."""
    go_on = running_fleet.folder / "go-on"
    command = f"echo x > $OMOI_TASK_ID.txt; until [ -e {go_on} ]; do sleep 0.05; done"
    ticket = await running_fleet.ticket(project.root)
    tasks = [await running_fleet.task(ticket, resources=(f"file-{n}",)) for n in range(4)]
    worker = await cli_worker(running_fleet, project, command, "--concurrency", "4", "--drain", "1000")
    for task in tasks:
        await running_fleet.status(task, "running")
    work_root = running_fleet.folder / "home" / "work"
    await running_fleet.until(lambda: asyncio.sleep(0, running(work_root)), lambda found: len(found) >= 4)
    assert len(await listed_locks(running_fleet)) == 4
    for number in signals:
        worker.send_signal(number)
    drained = len(signals) == 1
    if drained:
        go_on.touch()
    async with asyncio.timeout(30):
        assert await worker.wait() == 0
    for task in tasks:
        await running_fleet.status(task, "completed" if drained else "ready")
    await running_fleet.until(lambda: listed_locks(running_fleet), lambda locks: not locks)
    assert running(work_root) == []
    assert list(work_root.iterdir()) == []
    assert len(project.git("worktree", "list").splitlines()) == 1
    assert project.branches() == ["main"]
