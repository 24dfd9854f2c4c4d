"""A task as a holder of locks: what it was granted, and what it waits for."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.contracts.lock import LockGrantsForgotten, LockRequested, LockWaitTime, LockWish
from shared.kernel.decider import Aggregate

REMEMBERED = 64
"""More than one task has senders that wait for a lock at a time, or locks."""


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
    """Resources it was granted, each once; it may have let go of them."""
    granted_max: int = REMEMBERED
    """So many, and those that it let go of are to be forgotten."""
    waiting: dict[str, Request] = field(default_factory=dict)
    """By the id of the request."""
    settled: dict[str, bool] = field(default_factory=dict)
    """Requests that waited -> whether they were granted, the newest last: their senders must hear of it."""


def evolve(holder: LockHolder, event: LockRequested | LockWaitTime | LockGrantsForgotten) -> LockHolder:
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
        case LockGrantsForgotten(resource_keys=gone):
            kept = tuple(resource for resource in holder.granted if resource not in gone)
            return replace(holder, granted=kept, granted_max=max(REMEMBERED, 2 * len(kept)))


LOCK_HOLDER = Aggregate(LockHolder, evolve, "task_id")
