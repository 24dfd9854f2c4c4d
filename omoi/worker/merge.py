"""Land finished work on the target branch, one attempt at a time, without losing anyone's lines."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

from omoi.worker.git import GitFailed
from omoi.worker.repository import Repository, RepositoryProblem
from omoi.worker.uninterrupted import to_the_end
from omoi.worker.worktree import Worktree, commit

_TRIES = 10
_DIFF_LENGTH = 64 * 1024


@dataclass(frozen=True)
class Landing:
    """Where the work is now; `waiting` is a sentence when `branch` is not the target branch yet."""

    commit: str
    branch: str
    how: "How"
    waiting: str | None = None


class MergeConflict(Exception):
    """The work and what landed meanwhile changed the same lines; neither is lost.

    `paths` are in conflict, `diff` shows both sides (at most 64 KiB), `rivals` are the commits that got there
    first.
    """

    def __init__(self, tree: Worktree, paths: tuple[str, ...], diff: str, rivals: tuple[str, ...]) -> None:
        super().__init__(
            f"Attempt {tree.assignment.name} conflicts with {tree.repository.target} in {', '.join(paths)}. "
            f"Its work is kept as {tree.kept_ref}."
        )
        self.paths = paths
        self.diff = diff
        self.rivals = rivals


How = Literal["nothing", "fast_forward", "merge"]
Before = Callable[[Worktree, How, str], Awaitable[None]]
"""Is told, before the target moves: the worktree as it will land, with `base` the commit it lands on; how;
and the commit that the attempt's own work was at."""


async def land(tree: Worktree, before: Before | None = None) -> Landing:
    """Commit what is left in the worktree and merge the attempt's work back.

    Under the repository's lock the attempt takes up what landed meanwhile, in its own worktree, by
    fast-forward or by a real three-way merge; then the target moves to it by compare-and-set. If the person's
    checkout is in the way (see `Repository`), the work lands on the integration branch and `waiting` says so.

    `before` is called under the lock, and what it raises stops the landing. It comes again when a person's
    commit got in between.

    Raises MergeConflict, and RepositoryProblem when the work can land on neither branch. A cancellation while
    the branch moves takes effect when it has moved.
    """
    await commit(tree)
    async with tree.repository.locked():
        return await to_the_end(_land(tree, before))


async def settle(repository: Repository) -> str | None:
    """Bring waiting work to the target if the person's checkout now allows it; answers why not, or None."""
    async with repository.locked():
        return await to_the_end(_settle(repository))


async def _land(tree: Worktree, before: Before | None) -> Landing:
    repository, work, tries = tree.repository, await tree.head(), _TRIES
    while True:
        tries -= 1
        target, waiting = await repository.lines()
        how = await _take_up(tree, work, [target, waiting] if waiting else [target])
        if before is not None:
            await before(replace(tree, base=waiting or target), how, work)
        head = await tree.head()
        obstacle = await _move_target(repository, target, waiting, head)
        if obstacle is None:
            return Landing(head, repository.target, how)
        if tries and await repository.lines() != (target, waiting):
            continue  # a person committed meanwhile: take that up too
        refused = await repository.advance(repository.integration, old=waiting, new=head)
        if refused is None:
            return Landing(head, repository.integration, how, _waiting_because(repository, obstacle))
        raise RepositoryProblem(
            f"The work of attempt {tree.assignment.name} cannot land: {obstacle}; {refused}. "
            f"Commit or stash there and try again; the work is kept as {tree.kept_ref}."
        )


async def _settle(repository: Repository) -> str | None:
    target, waiting = await repository.lines()
    if waiting is None:
        return None
    if not await repository.contains(waiting, target) and not await repository.contains(target, waiting):
        return _waiting_because(repository, f"{repository.target} has commits of its own by now")
    head = target if await repository.contains(target, waiting) else waiting
    obstacle = await _move_target(repository, target, waiting, head)
    return obstacle and _waiting_because(repository, obstacle)


async def _take_up(tree: Worktree, work: str, tips: list[str]) -> How:
    message = tree.message(f"Merge {tree.repository.target} into {tree.branch}")
    for tip in tips:
        try:
            await tree.git(
                "merge", "--ff", "--no-autostash", "--no-verify-signatures", "--quiet", "-m", message, tip
            )
        except GitFailed as failure:
            paths = await tree.git("diff", "--name-only", "--diff-filter=U", "-z")
            if not paths:
                raise
            raise await _conflict(tree, tuple(paths.strip("\0").split("\0")), tip) from failure
    if any([await tree.repository.contains(tip, work) for tip in tips]):
        return "nothing"
    return "fast_forward" if await tree.head() == work else "merge"


async def _conflict(tree: Worktree, paths: tuple[str, ...], tip: str) -> MergeConflict:
    diff = await tree.git("diff", "--no-color", "--no-ext-diff", "--no-textconv")
    rivals = await tree.git(
        "--literal-pathspecs", "log", "--format=%h %s", "-20", f"HEAD..{tip}", "--", *paths
    )
    await tree.git("merge", "--abort")
    return MergeConflict(tree, paths, diff[:_DIFF_LENGTH], tuple(rivals.splitlines()))


async def _move_target(repository: Repository, target: str, waiting: str | None, head: str) -> str | None:
    if head != target:
        obstacle = await repository.advance(repository.target, old=target, new=head)
        if obstacle is not None:
            return obstacle
    if waiting is not None:
        await repository.drop(repository.integration, at=waiting)
    return None


def _waiting_because(repository: Repository, obstacle: str) -> str:
    return (
        f"The work waits on the branch {repository.integration}, because {obstacle}. "
        f"It moves on when that is over; or run `git merge {repository.integration}` in {repository.root}."
    )
