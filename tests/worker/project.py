"""A person's repository, and attempts of agents at it."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from omoi.worker.assignment import Assignment
from omoi.worker.repository import Repository, open_repository
from omoi.worker.worktree import Worktree, checked_out

AS_PERSON = (
    "git",
    "-c",
    "user.name=Pat",
    "-c",
    "user.email=pat@example.org",
    "-c",
    "init.defaultBranch=main",
)


@dataclass(frozen=True)
class Project:
    """`root` is the person's checkout, `work_root` where the worker puts its worktrees."""

    root: Path
    work_root: Path

    def git(self, *arguments: str, at: float | None = None) -> str:
        """Run git as the person at the keyboard would, or would have at that time."""
        then = {} if at is None else {"GIT_COMMITTER_DATE": f"@{at:.0f} +0000"}
        done = subprocess.run(
            [*AS_PERSON, *arguments],
            cwd=self.root,
            env={**os.environ, **then},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.removesuffix("\n")

    def commit(self, path: str, text: str) -> None:
        """Commit a file as the person."""
        (self.root / path).write_text(text)
        self.git("add", path)
        self.git("commit", "--quiet", "--message", f"Pat writes {path}")

    def show(self, path: str, branch: str = "main") -> str:
        """A file as a branch has it."""
        return self.git("show", f"{branch}:{path}")

    def branches(self) -> list[str]:
        """Every local branch."""
        return self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()

    def kept(self) -> list[str]:
        """The refs that hold work which did not land."""
        return self.git("for-each-ref", "--format=%(refname)", "refs/omoi/kept").split()

    def state(self) -> tuple[str, str, str, dict[str, bytes]]:
        """Everything of the person's that no agent may change: changes, index, stash, files."""
        files = {str(path): path.read_bytes() for path in self.root.iterdir() if path.is_file()}
        return (
            self.git("status", "--porcelain"),
            self.git("diff", "--cached"),
            self.git("stash", "list"),
            files,
        )

    async def open(self, target: str | None = None) -> Repository:
        """The repository as the worker opens it."""
        return await open_repository(self.root, target)

    @asynccontextmanager
    async def attempt(self, name: str, number: int = 1) -> AsyncIterator[Worktree]:
        """The worktree of an attempt at a task."""
        async with checked_out(await self.open(), task(name, number), self.work_root) as tree:
            yield tree


def task(
    name: str, attempt: int = 1, title: str = "Do it", task_type: str = "implement_feature"
) -> Assignment:
    """An attempt of coder-1 at a task of ticket-1."""
    return Assignment(
        task_id=name, ticket_id="ticket-1", phase_id="PHASE_IMPLEMENTATION", task_type=task_type, title=title,
        agent_id="coder-1", attempt=attempt, claim_epoch=1,
    )  # fmt: skip
