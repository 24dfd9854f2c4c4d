"""Evidence of work that was merged with what others landed meanwhile.

An attempt is measured in its own worktree. When a real merge follows, the commit that lands is one that
nobody has tested. With a check command the worker tests it, under the repository's lock, and hands in what
that measures; a check that fails stops the landing. Without one the reports say of which commit they are.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omoi.worker.environment import inherited
from omoi.worker.evidence import Artifact, measure
from omoi.worker.process import MARK, Cancelled, Command, Ending, Finished, run
from omoi.worker.worktree import Worktree

CHECK_SECONDS = 900.0
TAIL_CHARACTERS = 8000
REPORTS = ("test_results", "test_coverage")


class CheckFailed(Exception):
    """The work and what others landed meanwhile do not pass together."""


class CheckStopped(Exception):
    """The check was ended because the work is no longer wanted."""


@dataclass(frozen=True)
class Merged:
    """A worktree at the commit that is to land, its own work at `work`, and what was measured of that."""

    tree: Worktree
    work: str
    outputs: tuple[Mapping[str, Any], ...]
    before: tuple[Artifact, ...]

    async def evidence(self, check: str | None, cancel: asyncio.Event, ending: Ending) -> list[Artifact]:
        """Files as they will land; reports of the check, else those of the work before, which say so.

        Raises CheckFailed and CheckStopped.
        """
        head = await self.tree.head()
        measured = await measure(self.tree, self.outputs)
        files = [_of(artifact, head) for artifact in measured if not _is_report(artifact)]
        if check is None:
            return files + [_of(artifact, self.work) for artifact in self.before if _is_report(artifact)]
        return files + [_of(artifact, head) for artifact in await self._checked(check, cancel, ending)]

    async def _checked(self, check: str, cancel: asyncio.Event, ending: Ending) -> list[Artifact]:
        """The reports that the check writes."""
        tree = self.tree
        tree.measure_anew()
        env = {**inherited(()), MARK: str(tree.path), "OMOI_REPORTS": str(tree.reports)}
        ran = await run(
            Command(check, tree.path, env, tree.home / "check.log"),
            cancel=cancel,
            timeout_seconds=CHECK_SECONDS,
            ending=ending,
        )
        if ran.outcome == Cancelled():
            raise CheckStopped
        if ran.outcome != Finished(0):
            raise CheckFailed(
                f"The work of attempt {tree.assignment.name} no longer passes `{check}` when it is merged "
                f"with what has landed meanwhile ({ran.outcome}). It is kept as {tree.kept_ref}.\n\n"
                f"{ran.tail[-TAIL_CHARACTERS:]}"
            )
        reports = [artifact for artifact in await measure(tree, self.outputs) if _is_report(artifact)]
        await tree.git("reset", "--quiet", "--hard")
        await tree.git("clean", "--quiet", "--force", "-d")
        return reports


def _is_report(artifact: Artifact) -> bool:
    return artifact["artifact_type"] in REPORTS


def _of(artifact: Artifact, commit: str) -> Artifact:
    content = artifact["content"]
    if isinstance(content, str):
        return artifact
    return Artifact(
        artifact_type=artifact["artifact_type"],
        artifact_path=artifact["artifact_path"],
        sha256=artifact["sha256"],
        content={**content, "commit": commit},
        measured=artifact["measured"],
    )
