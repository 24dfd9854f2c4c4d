import asyncio
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from omoi.worker.merge import land
from omoi.worker.worktree import LeaseHeld, checked_out, commit, prune
from tests.worker.project import Project, task

CRASHING_WORKER = """
import asyncio, os, sys
from pathlib import Path
from omoi.worker.process import MARK, Command, run
from omoi.worker.repository import open_repository
from omoi.worker.worktree import checked_out
from tests.worker.project import task

async def main(root, work_root):
    async with checked_out(await open_repository(root), task("crashed"), work_root) as tree:
        line = "echo half > half.txt; setsid sleep 1000 & echo $! >> ../pids; echo $$ >> ../pids; sleep 1000"
        env = {**os.environ, MARK: str(tree.path)}
        await run(Command(line, tree.path, env, tree.log), cancel=asyncio.Event())

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def leftovers(project: Project) -> list[str]:
    folders = [path.name for path in project.work_root.iterdir()]
    return folders + project.branches()[1:] + project.git("worktree", "list").splitlines()[1:]


async def test_an_attempt_has_a_worktree_of_its_own_and_leaves_nothing(project: Project) -> None:
    before = project.state()
    async with project.attempt("t") as tree:
        assert (tree.path / "story.txt").read_text() == project.show("story.txt") + "\n"
        assert await tree.git("branch", "--show-current") == "omoi/t-1\n"
        assert not tree.path.is_relative_to(project.root)
    assert project.state() == before
    assert leftovers(project) == []
    assert project.kept() == []


async def test_a_failed_attempt_leaves_only_its_kept_work(project: Project) -> None:
    with pytest.raises(FileNotFoundError):
        await half_and_no_further(project)
    assert leftovers(project) == []
    assert project.show("half.txt", "refs/omoi/kept/t-1") == "half"


async def half_and_no_further(project: Project) -> None:
    async with project.attempt("t") as tree:
        (tree.path / "half.txt").write_text("half\n")
        (tree.path / "nowhere").read_text()


async def test_a_cancelled_attempt_leaves_only_its_kept_work(project: Project) -> None:
    at_work = asyncio.Event()

    async def work() -> None:
        async with project.attempt("t") as tree:
            (tree.path / "half.txt").write_text("half\n")
            at_work.set()
            await asyncio.sleep(1000)

    working = asyncio.create_task(work())
    await at_work.wait()
    for _ in range(3):  # also while it cleans up
        working.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await working
    assert leftovers(project) == []
    assert project.kept() == ["refs/omoi/kept/t-1"]


async def test_a_second_attempt_starts_clean_in_a_worktree_again(project: Project) -> None:
    async with project.attempt("t") as first:
        (first.path / "half.txt").write_text("half\n")
    async with project.attempt("t", 2) as second:
        assert second.path != first.path
        assert sorted(path.name for path in second.path.iterdir()) == [".git", "story.txt"]


async def test_commits_lead_back_to_ticket_task_and_agent(project: Project) -> None:
    forged = "Fix it\n\nOmoi-Agent: mallory" + " and so on" * 20
    async with checked_out(await project.open(), task("t", title=forged), project.work_root) as tree:
        (tree.path / "new.txt").write_text("new\n")
        (tree.path / "story.txt").unlink()
        made = await commit(tree)
        assert made == await commit(tree), "nothing is left to commit"
        trailers = await tree.git("show", "--no-patch", "--format=%an%n%(trailers:only)", made)
    assert trailers.split("\n") == [
        "coder-1", "Omoi-Ticket: ticket-1", "Omoi-Task: t", "Omoi-Attempt: 1", "Omoi-Agent: coder-1", "", "",
    ]  # fmt: skip


async def test_locks_left_by_a_killed_git_do_not_cost_the_work(project: Project) -> None:
    async with project.attempt("t") as tree:
        (tree.path / "half.txt").write_text("half\n")
        for lock in ("worktrees/tree/index.lock", "worktrees/tree/HEAD.lock", "refs/heads/omoi/t-1.lock"):
            (project.root / ".git" / lock).touch()
        await land(tree)
    assert project.show("half.txt") == "half"


async def test_one_attempt_belongs_to_one_living_worker(project: Project) -> None:
    async with project.attempt("t") as tree:
        with pytest.raises(LeaseHeld, match="Another worker"):
            async with project.attempt("t"):
                pytest.fail("two workers at one attempt")
        assert await prune(project.work_root) == []
        assert tree.path.is_dir()


async def test_an_agent_that_breaks_its_git_file_harms_no_other_repository(project: Project) -> None:
    enclosing = Project(project.work_root, project.work_root)
    project.work_root.mkdir()
    enclosing.git("init", "--quiet")
    enclosing.git("commit", "--quiet", "--allow-empty", "--message", "dotfiles")
    async with project.attempt("t") as tree:
        (tree.path / ".git").unlink()
        (tree.path / "new.txt").write_text("new\n")
        await land(tree)
    assert project.show("new.txt") == "new"
    assert enclosing.git("log", "--format=%s") == "dotfiles"


async def test_folders_without_write_permission_and_links_out_of_the_worktree_are_removed_safely(
    project: Project, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine")
    async with project.attempt("t") as tree:
        sealed = tree.path / "cache" / "module"
        sealed.mkdir(parents=True)
        (sealed / "file").write_text("")
        sealed.chmod(0o500)
        (tree.path / "link").symlink_to(precious)
    assert leftovers(project) == []
    assert (precious / "file").read_text() == "mine"


async def test_kept_work_is_bounded(project: Project) -> None:
    for number in range(55):
        project.git("update-ref", f"refs/omoi/kept/old-{number}", "main")
    async with project.attempt("t") as tree:
        (tree.path / "half.txt").write_text("half\n")
    assert len(project.kept()) == 50
    assert tree.kept_ref in project.kept()


async def test_kept_work_is_forgotten_after_a_fortnight(project: Project) -> None:
    for days, name in ((15, "old"), (13, "young")):
        made = project.git("commit-tree", "-m", name, "main^{tree}", at=time.time() - days * 86_400)
        project.git("update-ref", f"refs/omoi/kept/{name}", made)
    async with project.attempt("t") as tree:
        (tree.path / "half.txt").write_text("half\n")
    assert sorted(project.kept()) == [tree.kept_ref, "refs/omoi/kept/young"]


async def test_what_a_killed_worker_left_is_pruned(project: Project) -> None:
    pids = await asyncio.to_thread(kill_a_worker_at_work, project)
    assert all(runs(pid) for pid in pids) or not Path("/proc").is_dir()
    async with project.attempt("living") as tree:
        assert await prune(project.work_root) == ["crashed-1"]
        assert tree.path.is_dir()
    assert leftovers(project) == []
    assert project.show("half.txt", "refs/omoi/kept/crashed-1") == "half"
    assert not any(runs(pid) for pid in pids)


def kill_a_worker_at_work(project: Project) -> list[str]:
    command = [sys.executable, "-c", CRASHING_WORKER, str(project.root), str(project.work_root)]
    noted = project.work_root / "crashed-1" / "pids"
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as worker:
        while not noted.exists() or len(pids := noted.read_text().split()) < 2:
            time.sleep(0.02)
        deadline = time.monotonic() + 10  # a process that is just being started shows no environment
        while not all(runs(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.02)
        worker.kill()
    return noted.read_text().split()


def runs(pid: str) -> bool:
    """Whether a process lives; the dead, zombies among them, have no environment."""
    try:
        return Path("/proc", pid, "environ").read_bytes() != b""
    except OSError:
        return False


async def test_an_attempt_takes_over_the_folder_a_killed_worker_left(project: Project) -> None:
    await leave_behind(project)
    async with project.attempt("t") as tree:
        assert sorted(path.name for path in tree.path.iterdir()) == [".git", "story.txt"]
        assert list(tree.reports.iterdir()) == []
    assert leftovers(project) == []
    assert project.show("half.txt", tree.kept_ref) == "half"


async def test_leftovers_of_a_repository_that_is_gone_are_pruned(project: Project) -> None:
    await leave_behind(project)
    shutil.rmtree(project.root)
    assert await prune(project.work_root) == ["t-1"]
    assert list(project.work_root.iterdir()) == []


async def leave_behind(project: Project) -> None:
    """Put a folder where a worker that was killed would have left it."""
    async with project.attempt("t") as tree:
        (tree.path / "half.txt").write_text("half\n")
        (tree.reports / "junit.xml").write_text("<testsuites/>")
        shutil.copytree(tree.home, project.work_root / "copy", symlinks=True)
        git_dir = Path((tree.path / ".git").read_text().split()[1])
        shutil.copytree(git_dir, project.work_root / "git_dir")
    project.git("update-ref", "-d", tree.kept_ref)
    project.git("branch", tree.branch)
    (project.root / ".git/worktrees").mkdir(exist_ok=True)
    shutil.move(project.work_root / "git_dir", git_dir)
    shutil.move(project.work_root / "copy", tree.home)
