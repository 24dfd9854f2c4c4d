"""The attempts at a task: what its events make of them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from typing import Literal

from shared.contracts.messages import Event
from shared.contracts.task import (
    AttemptOutcome,
    TaskCancelled,
    TaskClaimed,
    TaskCompleted,
    TaskFailed,
    TaskLeaseExpired,
    TaskRetryScheduled,
    TaskStarted,
    TaskTimedOut,
)

AttemptStatus = Literal["claimed", "running"] | AttemptOutcome


@dataclass(frozen=True)
class Attempt:
    """One claim of a task and what became of it."""

    attempt: int
    claim_epoch: int
    agent_id: str
    claimed_at: datetime
    status: AttemptStatus = "claimed"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None

    @property
    def open(self) -> bool:
        """Whether it goes on."""
        return self.ended_at is None

    @property
    def outcome(self) -> str | None:
        """How it ended; None while it goes on."""
        return None if self.open else self.status


Attempts = tuple[Attempt, ...]
TELLING = (
    TaskClaimed,
    TaskStarted,
    TaskCompleted,
    TaskFailed,
    TaskRetryScheduled,
    TaskTimedOut,
    TaskLeaseExpired,
    TaskCancelled,
)
"""The events that say something of an attempt."""


def attempts(history: Iterable[Event]) -> Attempts:
    """Every attempt, oldest first."""
    return reduce(following, history, ())


def following(known: Attempts, event: Event) -> Attempts:
    """The attempts after one more event."""
    if isinstance(event, TaskClaimed):
        claimed = Attempt(event.attempt, event.claim_epoch, event.agent_id, event.claimed_at)
        if event.handed_over_from:
            given = replace(known[-1], status="handed_over", ended_at=event.claimed_at)
            known = (*known[:-1], given)
        return (*known, claimed)
    return (*known[:-1], _gone_on(known[-1], event)) if known and known[-1].open else known


def _gone_on(attempt: Attempt, event: Event) -> Attempt:
    match event:
        case TaskStarted(started_at=at):
            return replace(attempt, status="running", started_at=at)
        case TaskCompleted(completed_at=at):
            return replace(attempt, status="completed", ended_at=at)
        case TaskRetryScheduled(failed_at=at) | TaskFailed(failed_at=at):
            return replace(attempt, status="failed", ended_at=at, error=event.error)
        case TaskTimedOut(at=at, timeout_seconds=seconds):
            return replace(
                attempt, status="timed_out", ended_at=at, error=f"It ran longer than {seconds:g} s."
            )
        case TaskLeaseExpired(at=at, reason=reason, returned=returned):
            return replace(
                attempt, status="returned" if returned else "lease_expired", ended_at=at, error=reason
            )
        case TaskCancelled(cancelled_at=at, reason=reason):
            return replace(attempt, status="cancelled", ended_at=at, error=reason)
        case _:
            return attempt
