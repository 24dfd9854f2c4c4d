"""A task as a holder of locks: what it was ever granted, and what it waits for."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.contracts.lock import LockRequested, LockWaitTime, LockWish
from shared.kernel.decider import Aggregate

REMEMBERED = 64
"""More than one task has senders that wait for a lock at a time."""


@dataclass(frozen=True)
class Request:
    """What a task waits for: all of it at once."""

    request_id: str
    agent_id: str
    resources: tuple[LockWish, ...]
    ttl_seconds: float
    wait_until: datetime
    since: datetime
    requested_by: str | None = None
    """Actor who asked."""


@dataclass(frozen=True)
class LockHolder:
    """What must be looked at when the task ends, and what it stands in line for."""

    granted: tuple[str, ...] = ()
    """Resources it was granted at any time, each once; it may have let go of them."""
    waiting: dict[str, Request] = field(default_factory=dict)
    """By the id of the request."""
    settled: dict[str, bool] = field(default_factory=dict)
    """Requests that waited -> whether they were granted, the newest last: their senders must hear of it."""


def evolve(holder: LockHolder, event: LockRequested | LockWaitTime) -> LockHolder:
    """A request waits until each of its resources is granted or denied, which happens together."""
    match event:
        case LockRequested():
            request = Request(
                request_id=event.request_id,
                agent_id=event.agent_id,
                resources=event.resources,
                ttl_seconds=event.ttl_seconds,
                wait_until=event.wait_until,
                since=event.at,
                requested_by=event.requested_by,
            )
            return replace(holder, waiting={**holder.waiting, event.request_id: request})
        case LockWaitTime(request_id=request_id, resource_key=resource, granted=granted):
            left = {name: one for name, one in holder.waiting.items() if name != request_id}
            new = (resource,) if granted and resource not in holder.granted else ()
            late = {request_id: granted} if request_id in holder.waiting else {}
            settled = dict([*holder.settled.items(), *late.items()][-REMEMBERED:])
            return replace(holder, granted=(*holder.granted, *new), waiting=left, settled=settled)


LOCK_HOLDER = Aggregate(LockHolder, evolve, "task_id")
