"""One attempt at a task, from the claim to the report, whatever goes wrong."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from omoi.worker.attempt import Attempt
from omoi.worker.briefing import Briefing, briefing
from omoi.worker.changes import shown
from omoi.worker.evidence import Artifact, measure
from omoi.worker.git import GitFailed
from omoi.worker.limits import MIB, outgrown
from omoi.worker.merge import How, Landing, MergeConflict, land
from omoi.worker.merged import CheckFailed, CheckStopped, Merged
from omoi.worker.outcome import Doer, Done, Failed, Stopped
from omoi.worker.repository import Repository, RepositoryProblem, open_repository
from omoi.worker.settings import WorkerSettings
from omoi.worker.worktree import Worktree, checked_out
from shared.client import Client, ClientError
from shared.kernel.ending import end_all

log = structlog.get_logger()

DIFF_CHARACTERS = 8000
TIMEOUT_GRACE_SECONDS = 5.0
"""The scheduler ends an attempt that runs too long; the worker does so a little later, if it cannot."""


@dataclass
class Shop:
    """What the attempts of one worker share."""

    settings: WorkerSettings
    client: Client
    doer: Doer
    told: Callable[[str], None]
    waiting: dict[Path, Repository] = field(default_factory=dict)
    """Repositories where work waits for the person's checkout."""


class NotWanted(Exception):
    """The claim was lost, or the worker was stopped, before the work landed."""


async def attend(shop: Shop, attempt: Attempt) -> None:
    """Work on one task; whatever goes wrong becomes a failed attempt with its reason."""
    claimed = attempt.claimed
    shop.told(f"{attempt.agent_id} took {claimed.task_type} (attempt {claimed.attempt})")
    try:
        await _perform(shop, attempt)
    except ClientError as error:
        log.warning("report_failed", task_id=claimed.task_id, error=str(error))
    except (NotWanted, CheckStopped):
        if attempt.lost is None and attempt.too_much:
            await attempt.fail(attempt.too_much)
        shop.told(
            f"{claimed.task_type} stopped: {attempt.lost or attempt.too_much or 'the worker is stopping'}"
        )
    except MergeConflict as conflict:
        rivals = "".join(f"\n  {rival}" for rival in conflict.rivals)
        await _fail(shop, attempt, f"{conflict} What came first:{rivals}\n\n{conflict.diff}")
    except (CheckFailed, RepositoryProblem, GitFailed, OSError) as problem:
        await _fail(shop, attempt, str(problem))
    except Exception as error:
        log.exception("task_broke", task_id=claimed.task_id)
        await _fail(shop, attempt, f"The worker met a fault of its own: {error!r}")


async def _perform(shop: Shop, attempt: Attempt) -> None:
    place = attempt.claimed.repository or shop.settings.repository
    if place is None and shop.doer.needs_repository:
        raise RepositoryProblem("Neither the ticket nor the worker names a repository. Give --repo.")
    told = await briefing(shop.client, attempt.claimed)
    if place is None:
        await _within(shop, attempt, told, None)
        return
    repository = await open_repository(Path(place))
    async with checked_out(repository, attempt.assignment, shop.settings.work_root) as tree:
        await _within(shop, attempt, told, tree)


async def _within(shop: Shop, attempt: Attempt, told: Briefing, tree: Worktree | None) -> None:
    if not await attempt.start():
        return
    own = attempt.claimed.timeout_seconds
    seconds = own + TIMEOUT_GRACE_SECONDS if own else shop.settings.timeout_seconds
    watching = asyncio.create_task(_bound(shop, attempt, tree))
    try:
        outcome = await shop.doer.do(attempt, told, tree, seconds)
    finally:
        await end_all([watching])
    match outcome:
        case Stopped() if attempt.lost is None and attempt.too_much:
            await _fail(shop, attempt, f"{attempt.too_much}{await _diff_of(tree)}")
        case Stopped():
            why = attempt.lost or "the worker is stopping"
            shop.told(f"{attempt.claimed.task_type} stopped: {why}")
        case Failed():
            error = f"{outcome.error}{await _diff_of(tree)}"
            await _fail(shop, attempt, error, retryable=outcome.retryable)
        case Done():
            await _hand_in(shop, attempt, outcome, tree, told.expected_outputs)


async def _bound(shop: Shop, attempt: Attempt, tree: Worktree | None) -> None:
    """End the attempt when it fills the disk."""
    if tree is None:
        return
    limits = shop.settings.limits
    size = await outgrown(tree.home, limits)
    attempt.too_much = (
        f"The worktree grew to {size // MIB} MiB; {limits.worktree_bytes // MIB} MiB are allowed."
    )
    attempt.cancel.set()


async def _hand_in(
    shop: Shop, attempt: Attempt, done: Done, tree: Worktree | None, outputs: Sequence[Any]
) -> None:
    result = {"summary": done.summary, **done.result}
    artifacts = list(done.artifacts)
    if tree is not None:
        landing, measured = await _landed(shop, attempt, tree, outputs)
        artifacts = measured + artifacts
        result |= {
            "commit": landing.commit,
            "branch": landing.branch,
            "landed": landing.how,
            "waiting": landing.waiting,
        }
    if await attempt.complete(result | {"artifacts": artifacts}):
        shop.told(f"{attempt.claimed.task_type} completed")


async def _landed(
    shop: Shop, attempt: Attempt, tree: Worktree, outputs: Sequence[Any]
) -> tuple[Landing, list[Artifact]]:
    """Measure, and merge; what was merged with others' work is measured again before it lands."""
    artifacts = await measure(tree, outputs)

    async def before(merged: Worktree, how: How, work: str) -> None:
        nonlocal artifacts
        if how == "merge":
            merging = Merged(merged, work, tuple(outputs), tuple(artifacts))
            artifacts = await merging.evidence(shop.settings.check, attempt.cancel, attempt.ending)
        await attempt.extend()  # a claim that was lost meanwhile must not land
        if attempt.cancel.is_set():
            raise NotWanted

    landing = await land(tree, before)
    if landing.waiting:
        shop.waiting[tree.repository.root] = tree.repository
    return landing, artifacts


async def _fail(shop: Shop, attempt: Attempt, error: str, *, retryable: bool = True) -> None:
    first = error.splitlines()[0] if error else "no reason"
    shop.told(f"{attempt.claimed.task_type} failed: {first}")
    await attempt.fail(error, retryable=retryable)


async def _diff_of(tree: Worktree | None) -> str:
    """What a failed attempt had changed; its worktree goes, its commits stay for a while."""
    if tree is None:
        return ""
    try:
        diff = await shown(tree, DIFF_CHARACTERS)
    except (GitFailed, RepositoryProblem, OSError) as error:
        return f"\n\nWhat it changed cannot be shown: {error}"
    return f"\n\nWhat it changed is kept as {tree.kept_ref}:\n\n{diff}" if diff else ""
