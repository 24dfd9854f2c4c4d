"""A person's git repository, seen as the line of work that agents add to."""

import asyncio
import fcntl
import os
import random
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omoi.worker.git import GitFailed, git

_LOCK_TIMEOUT_SECONDS = 3600  # whoever holds it may be checking a merge; a dead process holds nothing
_INDEX_PAUSES_SECONDS = (0.1, 0.2, 0.4, 0.8)  # an editor's own `git status` holds the index for a moment


class RepositoryProblem(Exception):
    """A repository that agents cannot work in; the sentence tells the way out."""


@dataclass(frozen=True)
class Repository:
    """`root` is the person's checkout (or a bare repository), `common_dir` its .git, `target` the branch work
    lands on.

    The checkout, its index and the stash are left alone, with one exception: when work lands on the branch
    that is checked out, and that checkout has no uncommitted changes, git fast-forwards it as `git pull
    --ff-only` would. A checkout with uncommitted changes is not moved under its owner's hands: the branch
    stays where it is and the work waits, committed, on `omoi/integration/<target>`, from which later tasks
    start. So nothing is lost, nothing is mixed and nobody is stopped.
    """

    root: Path
    common_dir: Path
    target: str

    @property
    def integration(self) -> str:
        """The branch where work waits while the checkout of `target` has uncommitted changes."""
        return f"omoi/integration/{self.target}"

    async def git(self, *arguments: str, **options: Any) -> str:
        """Run git on refs and objects, apart from any checkout. Raises GitFailed."""
        return await git(*arguments, cwd=self.common_dir, env={"GIT_DIR": str(self.common_dir)}, **options)

    async def tip(self, branch: str) -> str | None:
        """The commit of `branch`, None when there is no such branch."""
        found = await self.git("for-each-ref", "--format=%(refname) %(objectname)", f"refs/heads/{branch}")
        commits = dict(line.split() for line in found.splitlines())  # `omoi` finds omoi/... too
        return commits.get(f"refs/heads/{branch}")

    async def contains(self, newer: str, older: str) -> bool:
        """Whether the history of `newer` holds the commit `older`."""
        try:
            await self.git("merge-base", "--is-ancestor", older, newer)
        except GitFailed as failure:
            if failure.code != 1:
                raise
            return False
        return True

    async def lines(self) -> tuple[str, str | None]:
        """The tips of target and integration branch. Raises RepositoryProblem when the target is gone."""
        target = await self.tip(self.target)
        if target is None:
            raise RepositoryProblem(f"The branch {self.target} of {self.root} is gone. Create it again.")
        return target, await self.tip(self.integration)

    async def head(self) -> str:
        """The commit new work starts from: the waiting work where there is some, else the target branch."""
        target, waiting = await self.lines()
        return target if waiting is None or await self.contains(target, waiting) else waiting

    async def advance(self, branch: str, *, old: str | None, new: str) -> str | None:
        """Move `branch` from `old` (None: not there yet) to its descendant `new`; answers why not, or None.

        A checkout of the branch is moved first and by git itself, which takes the index lock, refuses to
        overwrite anything and writes the ref last: a crash in between leaves staged additions, never a staged
        removal.
        """
        busy = self._under_operation(branch)
        if busy:
            return f"a {busy} of {branch} is going on in {self.root}"
        checkouts = await self.checkouts(branch)
        if len(checkouts) > 1:
            return f"{branch} is checked out in {len(checkouts)} places"
        if not checkouts:
            return await self._set(branch, old=old, new=new)
        refused = await _fast_forward(checkouts[0], branch, new)
        if refused is None and await self.tip(branch) != new:
            return f"{checkouts[0]} was just switched away from {branch}"
        return refused

    async def checkouts(self, branch: str) -> list[Path]:
        """The working directories that have `branch` checked out."""
        listing = await self.git("worktree", "list", "--porcelain")
        entries = [entry.splitlines() for entry in listing.split("\n\n")]
        paths = [
            lines[0].removeprefix("worktree ") for lines in entries if f"branch refs/heads/{branch}" in lines
        ]
        return [Path(path) for path in paths]

    async def drop(self, branch: str, *, at: str) -> None:
        """Delete `branch` if it still is at the commit `at` and nobody has it checked out."""
        if not await self.checkouts(branch):
            await self.git("update-ref", "-d", f"refs/heads/{branch}", at)

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Hold the repository's lock, which excludes every worker on this machine and dies with its process.

        For merging, and for git's list of worktrees, which git itself reads while another git writes it.
        """
        descriptor = os.open(self.common_dir / "omoi.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            await _flock(descriptor, self.root)
            yield
        finally:
            os.close(descriptor)

    async def _set(self, branch: str, *, old: str | None, new: str) -> str | None:
        try:
            await self.git("update-ref", "-m", "omoi: land", f"refs/heads/{branch}", new, old or "")
        except GitFailed as failure:
            return f"git did not move {branch}: {failure.complaint}"
        return None

    def _under_operation(self, branch: str) -> str | None:
        """Name the rebase or bisect that will come back to `branch`; git lists that as no checkout."""
        for git_dir in (self.common_dir, *self.common_dir.glob("worktrees/*")):
            rebased = [read_note(git_dir / f"rebase-{backend}/head-name") for backend in ("merge", "apply")]
            if f"refs/heads/{branch}" in rebased:
                return "rebase"
            if read_note(git_dir / "BISECT_START") == branch:
                return "bisect"
        return None


async def open_repository(path: Path, target: str | None = None) -> Repository:
    """The repository at `path`, with work landing on `target` (default: the branch checked out there).

    Raises RepositoryProblem with the way out when agents could not work there.
    """
    if shutil.which("git") is None:
        raise RepositoryProblem("git is not installed. Install it and start again.")
    root, common_dir = await _locate(path.resolve())
    branch = target or await _current_branch(root)
    repository = Repository(root, common_dir, branch)
    if await repository.tip(branch) is None:
        raise RepositoryProblem(await _why_no_commit(repository))
    if await repository.tip("omoi") is not None:
        raise RepositoryProblem(
            f"{root} has a branch named omoi, which leaves no room for omoi/<task>. Rename it."
        )
    return repository


async def _locate(path: Path) -> tuple[Path, Path]:
    if not path.is_dir():
        raise RepositoryProblem(f"{path} is not a directory. Give the directory of a git repository.")
    try:
        bare = (await git("rev-parse", "--is-bare-repository", cwd=path)).strip() == "true"
        common = (await git("rev-parse", "--git-common-dir", cwd=path)).removesuffix("\n")
        top = path if bare else Path((await git("rev-parse", "--show-toplevel", cwd=path)).removesuffix("\n"))
    except GitFailed as failure:
        raise RepositoryProblem(
            f"{path} is not a git repository that can be used. Run `git init` there and commit your files, "
            f"or give another directory. (git: {failure.complaint})"
        ) from failure
    if top.resolve() != path:
        raise RepositoryProblem(
            f"{path} lies inside the repository {top}. Give {top}, or make {path} its own repository."
        )
    return path, (path / common).resolve()


async def _current_branch(root: Path) -> str:
    try:
        return (await git("symbolic-ref", "--short", "HEAD", cwd=root)).strip()
    except GitFailed as failure:
        raise RepositoryProblem(
            f"{root} is on no branch. Check one out, or name the target branch."
        ) from failure


async def _why_no_commit(repository: Repository) -> str:
    if await repository.git("for-each-ref", "--count=1", "refs/heads"):
        return (
            f"{repository.root} has no branch {repository.target}. Create it, or name another target branch."
        )
    return f"{repository.root} has no commit yet. Run `git add --all && git commit -m start` there first."


async def _fast_forward(checkout: Path, branch: str, new: str) -> str | None:
    changes = await git("status", "--porcelain", "--untracked-files=no", cwd=checkout)
    if changes:
        return f"{checkout} has uncommitted changes on {branch}"
    refused = await _merge(checkout, new)
    for pause in _INDEX_PAUSES_SECONDS:
        if refused is None or "index.lock" not in refused:
            break
        await asyncio.sleep(pause)
        refused = await _merge(checkout, new)
    return refused


async def _merge(checkout: Path, new: str) -> str | None:
    command = ("merge", "--ff-only", "--no-autostash", "--no-verify-signatures", "--quiet", new)
    try:
        await git(*command, cwd=checkout)
    except GitFailed as failure:
        return f"git did not update {checkout}: {failure.complaint}"
    return None


async def _flock(descriptor: int, root: Path) -> None:
    """Poll, because a thread blocked in flock would take the lock after its waiter was cancelled."""
    deadline = time.monotonic() + _LOCK_TIMEOUT_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise RepositoryProblem(
                    f"Another worker has been merging into {root} for too long. Stop it."
                ) from None
        await asyncio.sleep(random.uniform(0.005, 0.05))  # noqa: S311 - spreads waiters, keeps no secret


def read_note(path: Path) -> str | None:
    """A small file that git keeps in its folder, None when it is not there, or just went."""
    try:
        return path.read_text(errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
