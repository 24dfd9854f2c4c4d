"""Attempts that came to nothing, and when the next one may begin."""

from datetime import timedelta
from functools import reduce
from hashlib import blake2b

from services.scheduler import timer
from services.scheduler.decision import Decision
from services.scheduler.dependency import close, failed, reopen
from services.scheduler.dispatch import left_behind
from services.scheduler.locking import release_all
from services.scheduler.rank import make_ready
from services.scheduler.settle import hold
from services.scheduler.sharing import return_shares
from services.scheduler.task import Task
from services.scheduler.ticket import Ticket
from services.scheduler.workflow import workflow_of
from shared.contracts.task import (
    EndBackoff,
    RetryTask,
    TaskRetried,
    TaskRetryScheduled,
    TaskTimedOut,
    TimeOutTask,
)
from shared.contracts.workflow import RetryPolicy
from shared.kernel.decider import Context, Facts, Past, Refused


class NotRetryable(Refused):
    """Only a task that failed or was cancelled can be tried again."""


class TicketMovedOn(Refused):
    """The ticket has left the visit that the task belongs to."""


def delay_seconds(policy: RetryPolicy, task_id: str, attempt: int, retries: int) -> float:
    """How long to wait after `attempt` failed, `retries` times having been tried again before.

    The cap comes after the jitter: no delay is ever longer than it says. The jitter is drawn from the task's
    id and the attempt: deciding again makes the same delay, and tasks that failed together part.
    """
    drawn = int.from_bytes(blake2b(f"{task_id}/{attempt}".encode(), digest_size=8).digest()) / 2**64
    grown = reduce(lambda seconds, _: seconds * policy.factor, range(retries), policy.initial_seconds)
    return min(grown * (0.75 + 0.5 * drawn), policy.cap_seconds)


def lose_attempt(decision: Decision, task: Task, error: str, *, retryable: bool) -> None:
    """Let the attempt in work come to nothing: another follows after a delay, or the task has failed."""
    if not retryable or task.exhausted:
        close(decision, failed(decision, task, error))
        return
    policy = workflow_of(decision, task.workflow_version).retry
    delay = delay_seconds(policy, task.task_id, task.attempt, task.failures)
    not_before = decision.at + timedelta(seconds=delay)
    decision.record(
        TaskRetryScheduled(
            task_id=task.task_id,
            ticket_id=task.ticket_id,
            phase_id=task.phase_id,
            attempt=task.attempt,
            error=error,
            not_before=not_before,
            failed_at=decision.at,
            task_type=task.task_type,
            agent_id=task.agent_id,
            claim_epoch=decision.of(Task, task.task_id).open_claim,
        ),
        *timer.of_attempt(decision.of(Task, task.task_id)),
        timer.backoff(task.task_id, task.attempt, not_before),
    )
    release_all(decision, task.task_id, f"Attempt {task.attempt} failed.")
    return_shares(decision, task.task_id)


def time_out_task(command: TimeOutTask, past: Past, context: Context) -> Facts:
    """End an attempt that runs longer than it may."""
    decision = Decision(past, context)
    task = decision.of(Task, command.task_id)
    seconds = task.timeout_seconds
    if task.status != "running" or task.claim_epoch != command.claim_epoch or seconds is None:
        return []
    decision.record(
        TaskTimedOut(
            task_id=task.task_id,
            ticket_id=task.ticket_id,
            phase_id=task.phase_id,
            agent_id=task.holder,
            attempt=task.attempt,
            timeout_seconds=seconds,
            at=decision.at,
            task_type=task.task_type,
        ),
        *timer.of_attempt(task),
    )
    lose_attempt(decision, task, f"Attempt {task.attempt} ran longer than {seconds:g} s.", retryable=True)
    return decision.facts


def end_backoff(command: EndBackoff, past: Past, context: Context) -> Facts:
    """Let a task whose delay is over be claimed again."""
    decision = Decision(past, context)
    task = decision.of(Task, command.task_id)
    if task.not_before and task.attempt == command.attempt:
        make_ready(decision, task)
    return decision.facts


def retry_task(command: RetryTask, past: Past, context: Context) -> Facts:
    """Give a failed or cancelled task a fresh budget; it waits for the dependencies it still lacks."""
    decision = Decision(past, context)
    task = decision.task(command.task_id)
    ticket = decision.ticket(task.ticket_id)
    _refuse_retry(task, ticket)
    try_again(decision, task, ticket)
    return decision.about(task.task_id)


def try_again(decision: Decision, task: Task, ticket: Ticket) -> None:
    """Let an ended task begin anew, and tell those that wait for it."""
    decision.record(
        TaskRetried(
            task_id=task.task_id,
            ticket_id=task.ticket_id,
            phase_id=task.phase_id,
            visit=task.visit,
            actor=decision.context.actor,
            at=decision.at,
        )
    )
    hold(decision, task, ticket)
    reopen(decision, task.task_id)
    retried = decision.of(Task, task.task_id)
    if retried.satisfied:
        make_ready(decision, retried)


def _refuse_retry(task: Task, ticket: Ticket) -> None:
    if task.status not in ("failed", "cancelled"):
        raise NotRetryable(
            f"Task {task.task_id} is {task.status}; only a failed or cancelled one can be tried again.",
            status=task.status,
        )
    if left_behind(task, ticket):
        raise TicketMovedOn(
            f"Task {task.task_id} belongs to visit {task.visit} of {task.phase_id}, and ticket "
            f"{ticket.ticket_id} has moved on to {ticket.phase_id}. Create a new task.",
            phase_id=ticket.phase_id,
            visit=ticket.visit,
        )
