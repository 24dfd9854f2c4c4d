"""A git worktree of its own for every attempt at a task, gone when the attempt ends."""

import asyncio
import fcntl
import json
import os
import shutil
import stat
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog

from omoi.worker.assignment import Assignment
from omoi.worker.git import GitFailed, git, identity
from omoi.worker.process import end_leftovers
from omoi.worker.repository import Repository, RepositoryProblem, read_note
from omoi.worker.uninterrupted import to_the_end

_log = structlog.get_logger()

_KEPT_AT_MOST = 50
_KEPT_SECONDS = 14 * 86_400
_CHECKOUT_TIMEOUT_SECONDS = 900
_SUBJECT_LENGTH = 72


class LeaseHeld(RepositoryProblem):
    """A living worker is at this very attempt."""


@dataclass(frozen=True)
class Worktree:
    """The place of one attempt; `base` is the commit it started from.

    All of it lives in `home`, which is `<work_root>/<task_id>-<attempt>/`: the worktree, the reports, the
    brief, the log, and `lease`, a file the living worker holds locked. The kernel lets go of it when the
    worker dies, by which `prune` tells leftovers from work in progress.
    """

    repository: Repository
    assignment: Assignment
    home: Path
    base: str

    @property
    def path(self) -> Path:
        """The agent's working directory."""
        return self.home / "tree"

    @property
    def reports(self) -> Path:
        """Where the command leaves junit*.xml and coverage*.xml; never committed."""
        return self.home / "reports"

    @property
    def log(self) -> Path:
        """What the command printed."""
        return self.home / "agent.log"

    @property
    def branch(self) -> str:
        """The attempt's branch."""
        return f"omoi/{self.assignment.name}"

    @property
    def kept_ref(self) -> str:
        """Where the attempt's commits are found afterwards if they did not land."""
        return f"refs/omoi/kept/{self.assignment.name}"

    @property
    def started_ns(self) -> int:
        """When the worktree was ready, by the file system's clock: older reports are of no account."""
        return (self.home / "started").stat().st_mtime_ns

    async def git(self, *arguments: str, **options: Any) -> str:
        """Run git in the worktree, even if the agent damaged its `.git` file. Raises GitFailed."""
        env = {"GIT_DIR": str(self.git_dir()), "GIT_WORK_TREE": str(self.path)}
        return await git(*arguments, cwd=self.path, env=env | identity(self.assignment.agent_id), **options)

    async def head(self) -> str:
        """The commit the agent's work is at."""
        return (await self.git("rev-parse", "--verify", "HEAD")).strip()

    def measure_anew(self) -> None:
        """Let only reports count that are written from now on."""
        (self.home / "started").touch()

    def message(self, subject: str) -> str:
        """A commit message with the trailers that lead back to ticket, task and agent."""
        of = self.assignment
        trailers = {"Ticket": of.ticket_id, "Task": of.task_id, "Attempt": of.attempt, "Agent": of.agent_id}
        line = " ".join(subject.split())[:_SUBJECT_LENGTH]
        return f"{line}\n\n" + "".join(f"Omoi-{name}: {value}\n" for name, value in trailers.items())

    def git_dir(self) -> Path:
        """Git's own folder for this worktree: the one whose note points here. Raises RepositoryProblem."""
        for note in self.repository.common_dir.glob("worktrees/*/gitdir"):
            if read_note(note) == str(self.path / ".git"):
                return note.parent
        raise RepositoryProblem(
            f"{self.repository.root} no longer knows the worktree {self.path}. Try the task again."
        )


@asynccontextmanager
async def checked_out(
    repository: Repository, assignment: Assignment, work_root: Path
) -> AsyncIterator[Worktree]:
    """A fresh worktree for the attempt; worktree, branch and folder are gone afterwards, whatever happened.

    Commits and uncommitted changes that did not land are then found at `kept_ref`. Raises RepositoryProblem.
    """
    root, base = _outside(work_root.resolve(), repository), await repository.head()
    with _lease(root / assignment.name) as home:
        await _clear(home)
        tree = Worktree(repository, assignment, home, base)
        try:
            await _add(tree)
            yield tree
        finally:
            await to_the_end(_give_back(home))


async def commit(tree: Worktree) -> str:
    """Commit whatever the agent left uncommitted; answers the commit its work is at. Raises GitFailed."""
    await stage(tree)
    if await tree.git("status", "--porcelain", "--untracked-files=no"):
        message = tree.message(f"{tree.assignment.task_type}: {tree.assignment.title}")
        await tree.git("commit", "--quiet", "--cleanup=verbatim", "--file=-", stdin=message)
    return await tree.head()


async def stage(tree: Worktree) -> None:
    """Bring everything into the worktree's index, once no process of the agent is left. Raises GitFailed.

    A lock that is still there was left by a git that was killed; nobody else uses this worktree and branch.
    """
    refs = tree.repository.common_dir / "refs/heads"
    for lock in (*tree.git_dir().glob("*.lock"), refs / f"{tree.branch}.lock"):
        lock.unlink(missing_ok=True)
    await tree.git("add", "--all")


async def prune(work_root: Path) -> list[str]:
    """Remove what crashed workers left under `work_root`, processes first; answers the attempts' names.

    Their unfinished work is kept like that of any failed attempt. Attempts of living workers are not touched.
    """
    homes = sorted(home for home in work_root.resolve().glob("*") if (home / "lease").is_file())
    return [home.name for home in homes if await _pruned(home)]


async def _pruned(home: Path) -> bool:
    try:
        with _lease(home):
            return await to_the_end(_give_back(home))
    except LeaseHeld:
        return False


async def _give_back(home: Path) -> bool:
    """Clear the attempt's folder and remove it; what cannot go now is left for the next `prune`."""
    try:
        await _clear(home)
        await asyncio.to_thread(_delete, home)
    except (GitFailed, OSError) as error:
        _log.warning("worktree.not_removed", attempt=home.name, error=str(error))
        return False
    return True


def _outside(work_root: Path, repository: Repository) -> Path:
    for place in (repository.root, repository.common_dir):
        if work_root.is_relative_to(place):
            raise RepositoryProblem(
                f"The work folder {work_root} lies inside {place}. Choose one outside of it."
            )
    return work_root


@contextmanager
def _lease(home: Path) -> Iterator[Path]:
    """Own the attempt's folder while this process lives."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(home / "lease", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _taken(descriptor, home / "lease"):
            raise LeaseHeld(f"Another worker is at attempt {home.name}. Leave it to that one.")
        yield home
    finally:
        os.close(descriptor)


def _taken(descriptor: int, lease: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # A pruner may have removed the folder between open and lock.
    return lease.exists() and os.path.samestat(os.fstat(descriptor), lease.stat())


async def _add(tree: Worktree) -> None:
    draft = tree.home / "attempt.draft"
    draft.write_text(json.dumps(_record(tree)))
    draft.replace(tree.home / "attempt.json")
    add = ("worktree", "add", "--quiet", "--no-track", "--no-checkout", "-B", tree.branch)
    async with tree.repository.locked():
        await tree.repository.git(*add, str(tree.path), tree.base)
    await tree.git("reset", "--quiet", "--hard", timeout_seconds=_CHECKOUT_TIMEOUT_SECONDS)
    tree.reports.mkdir()
    (tree.home / "started").touch()


async def _remove(tree: Worktree) -> None:
    """Undo `_add`, from wherever it got to; the record goes last because `prune` works from it."""
    if (tree.home / "started").exists():
        await _keep(tree)
    await asyncio.to_thread(_delete, tree.path)
    async with tree.repository.locked():
        worktrees = await tree.repository.git("worktree", "list", "--porcelain")
        if f"worktree {tree.path}" in worktrees.splitlines():
            await tree.repository.git("worktree", "remove", "--force", "--force", str(tree.path))
        if await tree.repository.tip(tree.branch) is not None:
            await tree.repository.git("update-ref", "-d", f"refs/heads/{tree.branch}")


async def _keep(tree: Worktree) -> None:
    """Save work that is on no line of work yet; a worktree too broken for that must still go."""
    try:
        head = await commit(tree)
        if await _landed(tree, head):
            return
        await tree.repository.git("update-ref", tree.kept_ref, head)
        await _forget_oldest(tree)
    except (GitFailed, RepositoryProblem, OSError) as error:
        _log.warning("worktree.work_not_kept", attempt=tree.assignment.name, error=str(error))


async def _landed(tree: Worktree, head: str) -> bool:
    if head == tree.base:
        return True
    lines = [f"refs/heads/{branch}" for branch in (tree.repository.target, tree.repository.integration)]
    return await tree.repository.git("for-each-ref", f"--contains={head}", *lines) != ""


async def _forget_oldest(tree: Worktree) -> None:
    newest_first = await tree.repository.git(
        "for-each-ref",
        "--sort=-committerdate",
        "--format=%(refname) %(committerdate:unix)",
        "refs/omoi/kept",
    )
    kept = [line.split() for line in newest_first.splitlines() if not line.startswith(f"{tree.kept_ref} ")]
    oldest = time.time() - _KEPT_SECONDS
    for place, (ref, made) in enumerate(kept, 2):
        if place > _KEPT_AT_MOST or int(made) < oldest:
            await tree.repository.git("update-ref", "-d", ref)


async def _clear(home: Path) -> None:
    """Clear what is in `home`, whose lease the caller holds: processes, worktree, branch, files."""
    tree = _recorded(home)
    if tree is not None:
        await end_leftovers(tree.path)
        if tree.repository.common_dir.is_dir():
            await _remove(tree)
    for path in home.iterdir():
        if path.name != "lease":
            await asyncio.to_thread(_delete, path)


def _record(tree: Worktree) -> dict[str, Any]:
    repository = {name: str(value) for name, value in asdict(tree.repository).items()}
    return {"repository": repository, "assignment": asdict(tree.assignment), "base": tree.base}


def _recorded(home: Path) -> Worktree | None:
    note = home / "attempt.json"
    if not note.is_file():
        return None
    record = json.loads(note.read_text())
    place = record["repository"]
    repository = Repository(Path(place["root"]), Path(place["common_dir"]), place["target"])
    return Worktree(repository, Assignment(**record["assignment"]), home, record["base"])


def _delete(path: Path) -> None:
    """Remove a file or folder, even where the agent took write permission away as Go's module cache does."""
    if not path.is_dir() or path.is_symlink():
        return path.unlink(missing_ok=True)
    path.chmod(stat.S_IRWXU)
    for place, folders, _ in os.walk(path):
        for inner in (Path(place, name) for name in folders):
            if not inner.is_symlink():
                inner.chmod(inner.stat().st_mode | stat.S_IRWXU)
    return shutil.rmtree(path)
