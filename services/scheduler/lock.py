"""A lock: who holds a resource, who waits for it in which order, and how facts change that."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile

from shared.contracts.lock import (
    LockAcquired,
    LockDenied,
    LockExpired,
    LockExtended,
    LockHandedOver,
    LockQueued,
    LockReleased,
    Mode,
)
from shared.kernel.decider import Aggregate


@dataclass(frozen=True)
class Hold:
    """One task's hold on a resource."""

    task_id: str
    agent_id: str
    mode: Mode
    fencing_token: int
    request_id: str
    acquired_at: datetime
    expires_at: datetime | None = None
    """None: it lapses with the claim of its task."""
    depth: int = 1
    """How often its task has acquired it and not released it."""
    ticket_id: str | None = None
    acquired_by: str | None = None
    """Actor who asked for it."""


@dataclass(frozen=True)
class Waiter:
    """One request in line."""

    task_id: str
    agent_id: str
    mode: Mode
    request_id: str
    since: datetime
    wait_until: datetime
    ticket_id: str | None = None


@dataclass(frozen=True)
class Lock:
    """A resource; its token grows with each grant and is never given twice."""

    resource_key: str = ""
    token: int = 0
    holders: tuple[Hold, ...] = ()
    waiting: tuple[Waiter, ...] = ()

    def held_by(self, task_id: str) -> Hold | None:
        """The task's hold, if it has one."""
        return next((hold for hold in self.holders if hold.task_id == task_id), None)

    def satisfies(self, task_id: str, mode: Mode) -> bool:
        """Whether the task holds it so, or more strictly, already."""
        hold = self.held_by(task_id)
        return hold is not None and (hold.mode == "exclusive" or mode == "shared")

    def in_the_way(self, task_id: str, mode: Mode, request_id: str = "") -> tuple[Hold | Waiter, ...]:
        """Who keeps the task from being granted the lock; nobody does exactly when it may be granted.

        Those who came first go first: a request waits for whoever stands before it in line and for whoever
        holds the lock, unless both share. A task that holds the lock need not wait for those behind it.
        """
        if self.satisfies(task_id, mode):
            return ()
        holders = tuple(_others(self.holders, task_id, mode))
        if self.held_by(task_id):
            return holders
        before = takewhile(lambda waiter: waiter.request_id != request_id, self.waiting)
        return (*holders, *_others(before, task_id, mode))


def _others(found: Iterable[Hold | Waiter], task_id: str, mode: Mode) -> Iterable[Hold | Waiter]:
    return (one for one in found if one.task_id != task_id and "exclusive" in (one.mode, mode))


LockEvent = (
    LockAcquired | LockQueued | LockHandedOver | LockExtended | LockReleased | LockExpired | LockDenied
)


def evolve(lock: Lock, event: LockEvent) -> Lock:
    """Follow what happens to the resource."""
    lock = lock if lock.resource_key else replace(lock, resource_key=event.resource_key)
    match event:
        case LockAcquired():
            return _acquired(_out_of_line(lock, event.request_id), event)
        case LockQueued():
            return replace(lock, waiting=(*lock.waiting, _waiter(event)))
        case LockHandedOver(task_id=task_id, agent_id=agent_id):
            return _changed(lock, task_id, agent_id=agent_id, acquired_by=None)
        case LockExtended(task_id=task_id, expires_at=expires_at):
            return _changed(lock, task_id, expires_at=expires_at)
        case LockReleased(task_id=task_id, depth=depth) if depth > 0:
            return _changed(lock, task_id, depth=depth)
        case LockReleased() | LockExpired():
            return replace(lock, holders=_without(lock, event.task_id))
        case LockDenied(request_id=request_id):
            return _out_of_line(lock, request_id)


def _acquired(lock: Lock, event: LockAcquired) -> Lock:
    hold = Hold(
        task_id=event.task_id,
        agent_id=event.agent_id,
        mode=event.mode,
        fencing_token=event.fencing_token,
        request_id=event.request_id,
        acquired_at=event.at,
        expires_at=event.expires_at,
        depth=event.depth,
        ticket_id=event.ticket_id,
        acquired_by=event.acquired_by,
    )
    token = max(lock.token, event.fencing_token)
    return replace(lock, token=token, holders=(*_without(lock, event.task_id), hold))


def _waiter(event: LockQueued) -> Waiter:
    return Waiter(
        task_id=event.task_id,
        agent_id=event.agent_id,
        mode=event.mode,
        request_id=event.request_id,
        since=event.at,
        wait_until=event.wait_until,
        ticket_id=event.ticket_id,
    )


def _without(lock: Lock, task_id: str) -> tuple[Hold, ...]:
    return tuple(hold for hold in lock.holders if hold.task_id != task_id)


def _changed(lock: Lock, task_id: str, **fields: object) -> Lock:
    holders = (replace(hold, **fields) if hold.task_id == task_id else hold for hold in lock.holders)  # type: ignore[arg-type]
    return replace(lock, holders=tuple(holders))


def _out_of_line(lock: Lock, request_id: str) -> Lock:
    return replace(lock, waiting=tuple(w for w in lock.waiting if w.request_id != request_id))


LOCK = Aggregate(Lock, evolve, "resource_key")
