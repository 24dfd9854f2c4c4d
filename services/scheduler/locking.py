"""Locking: what granting, denying, releasing and expiring a lock mean for those who wait for it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.scheduler.decision import Decision
from services.scheduler.lock import Hold, Lock, Waiter
from services.scheduler.lock_holder import LockHolder, Request
from services.scheduler.task import Task
from shared.contracts.lock import (
    EndLockWait,
    ExpireLock,
    GrantedLock,
    LockAcquired,
    LockDenied,
    LockExpired,
    LockGrantsForgotten,
    LockHandedOver,
    LockQueued,
    LockReleased,
    LockRequested,
    LockWaitTime,
    LockWish,
    Mode,
)
from shared.kernel.decider import CancelTimer, Context, Facts, Past, Timer

GRACE = timedelta(seconds=2)
"""The timer of a wait leaves the last word to whoever waits: it is for those that are gone."""


@dataclass(frozen=True)
class Asked:
    """An attempt at some locks; its wishes are in the order in which all attempts take locks."""

    request_id: str
    task_id: str
    ticket_id: str | None
    agent_id: str
    wishes: tuple[LockWish, ...]
    ttl_seconds: float | None
    """None: as long as the claim of the task."""
    since: datetime
    requested_by: str | None
    """Actor who asks."""


def in_order(wishes: Iterable[LockWish]) -> tuple[LockWish, ...]:
    """Each resource once, as strictly as it is asked for anywhere, in one order for all."""
    modes: dict[str, Mode] = {}
    for wish in wishes:
        modes[wish.resource_key] = wish.mode if modes.get(wish.resource_key) != "exclusive" else "exclusive"
    return tuple(LockWish(resource_key=key, mode=modes[key]) for key in sorted(modes))


def lapse(decision: Decision, wishes: Iterable[LockWish]) -> None:
    """Let locks go that have run out although their timers have not come yet."""
    for wish in wishes:
        for hold in decision.of(Lock, wish.resource_key).holders:
            run_out = hold.expires_at and hold.expires_at <= decision.at
            if run_out and decision.of(Lock, wish.resource_key).held_by(hold.task_id) == hold:
                _expire(decision, wish.resource_key, hold)


def queue(decision: Decision, asked: Asked, ttl_seconds: float, wait_until: datetime) -> None:
    """Put the attempt into the line of each resource."""
    who = {
        "task_id": asked.task_id,
        "ticket_id": asked.ticket_id,
        "agent_id": asked.agent_id,
        "request_id": asked.request_id,
        "wait_until": wait_until,
        "at": decision.at,
    }
    decision.record(
        LockRequested(
            **who, resources=asked.wishes, ttl_seconds=ttl_seconds, requested_by=asked.requested_by
        ),
        *(LockQueued(**who, **dict(wish)) for wish in asked.wishes),
        Timer(
            f"lock-wait-{asked.request_id}",
            wait_until + GRACE,
            EndLockWait(task_id=asked.task_id, request_id=asked.request_id),
        ),
    )


def in_the_way(decision: Past, asked: Asked) -> dict[str, tuple[Hold | Waiter, ...]]:
    """Resource -> who keeps the task from being granted it; empty exactly when all may be granted."""
    found = {
        wish.resource_key: decision.of(Lock, wish.resource_key).in_the_way(
            asked.task_id, wish.mode, asked.request_id
        )
        for wish in asked.wishes
    }
    return {resource: others for resource, others in found.items() if others}


def cycle_of(decision: Decision, asked: Asked) -> list[str]:
    """The tasks that would wait for each other if the task waited, from it back to it; else empty."""
    if not _keeps_anybody(decision, asked.task_id):
        return []
    reached_from = dict.fromkeys(_ids(in_the_way(decision, asked).values()), asked.task_id)
    unseen = list(reached_from)
    while unseen:
        task_id = unseen.pop()
        for request in decision.of(LockHolder, task_id).waiting.values():
            for further in _ids(in_the_way(decision, again(task_id, request)).values()):
                if further == asked.task_id:
                    return _path(reached_from, task_id, asked.task_id)
                if further not in reached_from:
                    reached_from[further] = task_id
                    unseen.append(further)
    return []


def _keeps_anybody(decision: Decision, task_id: str) -> bool:
    """Whether somebody may wait for the task: nobody does while it holds nothing and stands in no line."""
    holder = decision.of(LockHolder, task_id)
    return bool(holder.waiting) or any(decision.of(Lock, key).held_by(task_id) for key in holder.granted)


def _ids(found: Iterable[Sequence[Hold | Waiter]]) -> list[str]:
    return [one.task_id for others in found for one in others]


def _path(reached_from: dict[str, str], last: str, first: str) -> list[str]:
    backwards = [first, last]
    while backwards[-1] != first:
        backwards.append(reached_from[backwards[-1]])
    return backwards[::-1]


def again(task_id: str, request: Request, ticket_id: str | None = None) -> Asked:
    """What a request that stands in line asks for."""
    return Asked(
        request_id=request.request_id,
        task_id=task_id,
        ticket_id=ticket_id,
        agent_id=request.agent_id,
        wishes=request.resources,
        ttl_seconds=request.ttl_seconds,
        since=request.since,
        requested_by=request.requested_by,
    )


def hold_with_claim(
    decision: Decision, task: Task, agent_id: str, claimed_by: str | None
) -> tuple[GrantedLock, ...]:
    """Give a task that is being claimed the locks it needs, as long as the claim lasts."""
    if not task.resources:  # nothing of locks is read then: a claim of many tasks is decided in one round
        return ()
    wishes = in_order(LockWish(resource_key=resource_key) for resource_key in task.resources)
    asked = Asked(
        request_id=decision.context.new_id(f"lock-request/{task.task_id}"),
        task_id=task.task_id,
        ticket_id=task.ticket_id,
        agent_id=agent_id,
        wishes=wishes,
        ttl_seconds=None,
        since=decision.at,
        requested_by=claimed_by,
    )
    lapse(decision, wishes)
    return grant(decision, asked)


def grant(decision: Decision, asked: Asked) -> tuple[GrantedLock, ...]:
    """Give the task all the locks it asked for."""
    granted = tuple(_grant(decision, asked, wish) for wish in asked.wishes)
    for wish in asked.wishes:
        decision.record(_waited(decision, asked, wish, granted=True))
    _forget_let_go(decision, asked.task_id)
    _serve(decision, asked.task_id)
    return granted


def _forget_let_go(decision: Decision, task_id: str) -> None:
    """Keep what is remembered of a task in bounds, by what it holds at once."""
    holder = decision.of(LockHolder, task_id)
    if len(holder.granted) < holder.granted_max:
        return
    gone = tuple(key for key in holder.granted if not decision.of(Lock, key).held_by(task_id))
    decision.record(LockGrantsForgotten(task_id=task_id, resource_keys=gone, at=decision.at))


def _grant(decision: Decision, asked: Asked, wish: LockWish) -> GrantedLock:
    lock = decision.of(Lock, wish.resource_key)
    before = lock.held_by(asked.task_id)
    again = before is not None and lock.satisfies(asked.task_id, wish.mode)
    expires_at = _expiry(decision, asked, before)
    decision.record(
        LockAcquired(
            resource_key=wish.resource_key,
            task_id=asked.task_id,
            ticket_id=asked.ticket_id,
            agent_id=asked.agent_id,
            mode=before.mode if before and again else wish.mode,
            fencing_token=before.fencing_token if before and again else lock.token + 1,
            depth=before.depth + 1 if before else 1,
            request_id=asked.request_id,
            waited_ms=_waited_ms(decision, asked),
            expires_at=expires_at,
            acquired_by=(before and before.acquired_by) or asked.requested_by,
            at=decision.at,
        )
    )
    hold = decision.of(Lock, wish.resource_key).held_by(asked.task_id)
    assert hold is not None, "it was granted just now"
    if before and before.expires_at:
        decision.record(CancelTimer(_timer_key(wish.resource_key, before)))
    if expires_at:
        decision.record(expiring(wish.resource_key, hold, expires_at))
    return shown(wish.resource_key, hold)


def _expiry(decision: Decision, asked: Asked, before: Hold | None) -> datetime | None:
    """What lasts as long as the claim goes on doing so, and nothing is held for less than before."""
    if asked.ttl_seconds is None or (before and before.expires_at is None):
        return None
    asked_for = decision.at + timedelta(seconds=asked.ttl_seconds)
    return max(asked_for, before.expires_at) if before and before.expires_at else asked_for


def _timer_key(resource_key: str, hold: Hold) -> str:
    return f"lock-{hold.fencing_token}-{hold.task_id}-{resource_key}"


def expiring(resource_key: str, hold: Hold, expires_at: datetime) -> Timer:
    """Takes the lock away unless it is extended."""
    expire = ExpireLock(resource_key=resource_key, task_id=hold.task_id, fencing_token=hold.fencing_token)
    return Timer(_timer_key(resource_key, hold), expires_at, expire)


def shown(resource_key: str, hold: Hold) -> GrantedLock:
    """A hold as its task is told of it."""
    return GrantedLock(
        resource_key=resource_key,
        mode=hold.mode,
        fencing_token=hold.fencing_token,
        depth=hold.depth,
        expires_at=hold.expires_at,
    )


def _waited_ms(decision: Decision, asked: Asked) -> float:
    return round((decision.at - asked.since).total_seconds() * 1000, 3)


def _waited(decision: Decision, asked: Asked, wish: LockWish, *, granted: bool) -> LockWaitTime:
    return LockWaitTime(
        resource_key=wish.resource_key,
        task_id=asked.task_id,
        ticket_id=asked.ticket_id,
        request_id=asked.request_id,
        mode=wish.mode,
        waited_ms=_waited_ms(decision, asked),
        granted=granted,
        at=decision.at,
    )


def denied(decision: Decision, asked: Asked, reason: str) -> None:
    """Note that an attempt came to nothing."""
    for wish in asked.wishes:
        decision.record(
            LockDenied(
                resource_key=wish.resource_key,
                task_id=asked.task_id,
                ticket_id=asked.ticket_id,
                agent_id=asked.agent_id,
                mode=wish.mode,
                request_id=asked.request_id,
                reason=reason,
                at=decision.at,
            ),
            _waited(decision, asked, wish, granted=False),
        )


def deny(decision: Decision, task_id: str, request: Request, reason: str) -> None:
    """Take a request out of all lines it stands in; those behind it may go on."""
    asked = again(task_id, request, decision.of(Task, task_id).ticket_id or None)
    denied(decision, asked, reason)
    decision.record(CancelTimer(f"lock-wait-{request.request_id}"))
    for wish in request.resources:
        _serve_line(decision, wish.resource_key)


def _serve_line(decision: Decision, resource_key: str) -> None:
    """Grant what can be granted of those who wait, in their order."""
    for waiter in decision.of(Lock, resource_key).waiting:
        lock = decision.of(Lock, resource_key)
        if any(hold.mode == "exclusive" and hold.task_id != waiter.task_id for hold in lock.holders):
            return
        if lock.in_the_way(waiter.task_id, waiter.mode, waiter.request_id):
            continue
        _serve(decision, waiter.task_id)


def _serve(decision: Decision, task_id: str) -> None:
    """Grant what a task waits for and can have by now, be it that it has part of it already."""
    for request_id, request in decision.of(LockHolder, task_id).waiting.items():
        if request_id not in decision.of(LockHolder, task_id).waiting:
            continue  # granted with the one before
        asked = again(task_id, request, decision.of(Task, task_id).ticket_id or None)
        if not in_the_way(decision, asked):
            grant(decision, asked)
            decision.record(CancelTimer(f"lock-wait-{request_id}"))


def release(decision: Decision, resource_key: str, hold: Hold, reason: str, *, all_of_it: bool) -> None:
    """Let go of one hold, or of all of it, and let those who wait have it."""
    depth = 0 if all_of_it else hold.depth - 1
    decision.record(
        LockReleased(
            resource_key=resource_key,
            task_id=hold.task_id,
            ticket_id=hold.ticket_id,
            agent_id=hold.agent_id,
            fencing_token=hold.fencing_token,
            depth=depth,
            reason=reason,
            at=decision.at,
        )
    )
    if depth == 0:
        if hold.expires_at:
            decision.record(CancelTimer(_timer_key(resource_key, hold)))
        _serve_line(decision, resource_key)


def release_all(decision: Decision, task_id: str, reason: str) -> None:
    """Let a task whose attempt is over go of every lock it holds and every line it stands in."""
    holder = decision.of(LockHolder, task_id)
    for request in holder.waiting.values():
        deny(decision, task_id, request, reason)
    for resource_key in holder.granted:
        hold = decision.of(Lock, resource_key).held_by(task_id)
        if hold:
            release(decision, resource_key, hold, reason, all_of_it=True)


def hand_over_all(decision: Decision, task_id: str, to_agent: str, reason: str) -> None:
    """Let the locks of a task pass to another agent; the one before stands in line for it no more."""
    holder = decision.of(LockHolder, task_id)
    for request in holder.waiting.values():
        deny(decision, task_id, request, reason)
    for resource_key in holder.granted:
        hold = decision.of(Lock, resource_key).held_by(task_id)
        if hold:
            decision.record(
                LockHandedOver(
                    resource_key=resource_key,
                    task_id=task_id,
                    ticket_id=hold.ticket_id,
                    from_agent=hold.agent_id,
                    agent_id=to_agent,
                    fencing_token=hold.fencing_token,
                    at=decision.at,
                )
            )


def expire_lock(command: ExpireLock, past: Past, context: Context) -> Facts:
    """Take a lock from a task that did not extend it; its timer was dropped if it did."""
    decision = Decision(past, context)
    hold = decision.of(Lock, command.resource_key).held_by(command.task_id)
    if hold and hold.fencing_token == command.fencing_token and hold.expires_at:
        _expire(decision, command.resource_key, hold)
    return decision.facts


def _expire(decision: Decision, resource_key: str, hold: Hold) -> None:
    decision.record(
        LockExpired(
            resource_key=resource_key,
            task_id=hold.task_id,
            ticket_id=hold.ticket_id,
            agent_id=hold.agent_id,
            fencing_token=hold.fencing_token,
            at=decision.at,
        ),
        CancelTimer(_timer_key(resource_key, hold)),
    )
    _serve_line(decision, resource_key)


def end_lock_wait(command: EndLockWait, past: Past, context: Context) -> Facts:
    """Deny a request whose sender is not there any more to hear so."""
    decision = Decision(past, context)
    request = decision.of(LockHolder, command.task_id).waiting.get(command.request_id)
    if request:
        deny(decision, command.task_id, request, "It waited as long as it liked to.")
    return decision.facts
