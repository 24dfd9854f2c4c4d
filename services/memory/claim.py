"""Who has a task, as far as memory has heard: only they say what it was told."""

from datetime import timedelta

from services.memory.task import Task, TaskNotFound, task_not_found
from shared.contracts.memory import FollowClaim, MemoryClaimFollowed, NoteSuggestion
from shared.contracts.messages import Authority
from shared.kernel.decider import Context, Facts, NotAuthorised, Past, Waiting

HEARING_SECONDS = 2
"""How long a command waits for news of a claim that was made a moment ago; a worker waits three."""


def follow_claim(command: FollowClaim, past: Past, _: Context) -> Facts:
    """Whoever has the latest attempt, or had it, and whoever claimed it for them."""
    task = past.of(Task, command.task_id)
    known = task.claimants if command.attempt == task.attempt else ()
    if command.attempt < task.attempt or {command.agent_id, command.claimed_by} <= {*known, None}:
        return []
    return [MemoryClaimFollowed(**dict(command))]


def refuse_stranger(command: NoteSuggestion, task: Task, context: Context) -> None:
    """Raises TaskNotFound or NotAuthorised; waits for news of a claim that may have been made just now."""
    refusal = _refusal(command, task, context)
    if refusal is None:
        return
    patience = context.received_at + timedelta(seconds=HEARING_SECONDS)
    if command.attempt >= task.attempt and context.at < patience:
        raise Waiting(patience)
    raise refusal


def _refusal(command: NoteSuggestion, task: Task, context: Context) -> TaskNotFound | NotAuthorised | None:
    if not task.ticket_id:
        return task_not_found(command.task_id)
    has_it = command.attempt == task.attempt and context.actor in task.claimants
    if has_it or context.authority >= Authority.MONITOR:
        return None
    return NotAuthorised(
        f"{context.actor} has no claim on attempt {command.attempt} of task {command.task_id}, as far as "
        "memory knows. What a task was told is noted by the agent who has it, under the claim's "
        "attempt, or with MONITOR authority.",
        required=Authority.MONITOR.name,
        held=context.authority.name,
    )
