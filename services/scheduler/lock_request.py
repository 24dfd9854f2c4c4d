"""What tasks ask of locks: to have them, to keep them, to let them go."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from services.scheduler.decision import Decision
from services.scheduler.entitlement import refuse_other_owners, refuse_other_reporters
from services.scheduler.lock import Hold, Lock, Waiter
from services.scheduler.lock_holder import LockHolder, Request
from services.scheduler.locking import (
    Asked,
    again,
    cycle_of,
    denied,
    deny,
    expiring,
    grant,
    in_order,
    in_the_way,
    lapse,
    queue,
    release,
    shown,
)
from services.scheduler.task import Task, TaskEnded
from shared.contracts import lock as contract
from shared.contracts.lock import (
    AcquireLock,
    AcquireLocks,
    ExtendLock,
    GrantedLock,
    LockExtended,
    Locks,
    LockWish,
    ReleaseLock,
)
from shared.kernel.decider import Context, Facts, Past, Refused, Waiting


class LockHeld(Refused):
    """Others hold the lock, or asked for it before."""


class LockDeadlock(Refused):
    """Whoever is in the way waits, directly or not, for the task that asks."""


class NotLockOwner(Refused):
    """Only the task that holds a lock may extend or release it."""


class TaskNotYours(Refused):
    """Another agent has the task, or nobody."""


def acquire_lock(command: AcquireLock, past: Past, context: Context) -> Facts:
    """Grant one lock, or let the task wait for it."""
    wish = LockWish(resource_key=command.resource_key, mode=command.mode)
    many = AcquireLocks(resources=(wish,), **command.model_dump(exclude={"resource_key", "mode"}))
    *facts, locks = acquire_locks(many, past, context)
    assert isinstance(locks, Locks)
    granted: dict[str, Any] = dict(locks.locks[0]) if locks.locks else dict(wish)
    outcome = {"granted": locks.granted, "request_id": locks.request_id, "wait_until": locks.wait_until}
    return [*facts, contract.Lock(**outcome, **granted)]


def acquire_locks(command: AcquireLocks, past: Past, context: Context) -> Facts:
    """Grant all of the locks, or none of them and let the task wait for all."""
    decision = Decision(past, context)
    task = decision.of(Task, command.task_id)
    asked = Asked(
        request_id=context.new_id("lock-request"),
        task_id=command.task_id,
        ticket_id=task.ticket_id or None,
        agent_id=command.agent_id,
        wishes=in_order(command.resources),
        ttl_seconds=command.ttl_seconds,
        since=context.at,
        requested_by=context.actor,
    )
    request = decision.of(LockHolder, asked.task_id).waiting.get(asked.request_id)
    _refuse_strangers(decision, asked, request)
    if request and _is_patient(context, request):  # whoever leaves the line or the lock serves the line
        raise Waiting(request.wait_until)
    lapse(decision, asked.wishes)
    if found := _granted_while_it_waited(decision, asked):
        return [*decision.facts, Locks(granted=True, request_id=asked.request_id, locks=found)]
    _refuse_denied(decision, asked)
    if request := decision.of(LockHolder, asked.task_id).waiting.get(asked.request_id):
        return _end_waiting(decision, asked, request)
    if not in_the_way(decision, asked):
        _refuse_closing(decision, asked)
        granted = grant(decision, asked)
        return [*decision.facts, Locks(granted=True, request_id=asked.request_id, locks=granted)]
    return _not_at_once(decision, asked, command)


def _refuse_closing(decision: Decision, asked: Asked) -> None:
    """Who waits may not take what those wait for who stand before it: it would wait for itself."""
    waiting = decision.of(LockHolder, asked.task_id).waiting
    if not waiting:
        return
    trial = Decision(decision, decision.context)
    grant(trial, asked)
    for request in waiting.values():
        if cycle := cycle_of(trial, again(asked.task_id, request)):
            denied(decision, asked, "Those who wait for it are waited for.")
            raise _deadlock(cycle).noting(decision.facts)


def _refuse_strangers(decision: Decision, asked: Asked, request: Request | None) -> None:
    """A task that is known is locked for by the agent that has it; one that had it leaves the line."""
    task = decision.of(Task, asked.task_id)
    if task.ended:
        raise TaskEnded(
            f"Task {task.task_id} is {task.status}; what has ended is granted no locks.", status=task.status
        )
    if task.exists and not (task.claimed and task.agent_id == asked.agent_id):
        if request:
            deny(decision, asked.task_id, request, "Its agent does not have the task any more.")
        raise TaskNotYours(
            f"Task {task.task_id} is {task.agent_id}'s now. Drop the work."
            if task.claimed
            else f"Nobody has task {task.task_id}, it is {task.status}. Claim it before you lock anything.",
            agent_id=task.agent_id if task.claimed else None,
        ).noting(decision.facts)
    if request is None:
        _refuse_other_claimants(decision, asked, task)


def _refuse_other_claimants(decision: Decision, asked: Asked, task: Task) -> None:
    """Neither for a claim of others is anything locked, nor on top of what others hold for the task."""
    if task.claimed:
        refuse_other_reporters(task, decision.context)
    for wish in asked.wishes:
        hold = decision.of(Lock, wish.resource_key).held_by(asked.task_id)
        if hold:
            refuse_other_owners(hold, task, wish.resource_key, decision.context)


def _is_patient(context: Context, request: Request) -> bool:
    return not context.durable and context.at < request.wait_until


def _granted_while_it_waited(decision: Decision, asked: Asked) -> tuple[GrantedLock, ...]:
    if not decision.of(LockHolder, asked.task_id).settled.get(asked.request_id):
        return ()
    locks = {wish.resource_key: decision.of(Lock, wish.resource_key) for wish in asked.wishes}
    holds = {resource: lock.held_by(asked.task_id) for resource, lock in locks.items()}
    found = tuple(shown(resource, hold) for resource, hold in holds.items() if hold)
    return found if len(found) == len(holds) else ()


def _refuse_denied(decision: Decision, asked: Asked) -> None:
    """One that was taken out of the line has its answer: it does not line up again."""
    if decision.of(LockHolder, asked.task_id).settled.get(asked.request_id) is not False:
        return
    if cycle := cycle_of(decision, asked):
        raise _deadlock(cycle).noting(decision.facts)
    blocked = in_the_way(decision, asked)
    raise LockHeld(
        "It stood in line and was taken out: it waited as long as it liked to, or its task's attempt ended. "
        "Ask again.",
        **({"in_the_way": _each_described(blocked)} if blocked else {}),
    ).noting(decision.facts)


def _end_waiting(decision: Decision, asked: Asked, request: Request) -> Facts:
    if decision.context.durable:
        return [Locks(granted=False, request_id=asked.request_id, wait_until=request.wait_until)]
    held = _held(decision, asked)
    deny(decision, asked.task_id, request, "It waited as long as it liked to.")
    raise held.noting(decision.facts)


def _not_at_once(decision: Decision, asked: Asked, command: AcquireLocks) -> Facts:
    context = decision.context
    patience = timedelta(seconds=command.wait_seconds)
    wait_until = (context.at if context.durable else context.received_at) + patience
    if wait_until <= context.at:
        held = _held(decision, asked)
        denied(decision, asked, "Others have it.")
        raise held.noting(decision.facts)
    if cycle := cycle_of(decision, asked):
        denied(decision, asked, "Waiting would never end.")
        raise _deadlock(cycle).noting(decision.facts)
    queue(decision, asked, command.ttl_seconds, wait_until)
    if context.durable:
        waiting = Locks(granted=False, request_id=asked.request_id, wait_until=wait_until)
        return [*decision.facts, waiting]
    raise Waiting(wait_until, decision.facts)


def _deadlock(cycle: Sequence[str]) -> LockDeadlock:
    return LockDeadlock(
        f"To wait would never end: {' waits for '.join(cycle)}. Release what the task holds, and ask for "
        "all of it at once.",
        cycle=list(cycle),
    )


def extend_lock(command: ExtendLock, past: Past, context: Context) -> Facts:
    """Let a task hold a lock for longer; what lasts as long as its claim needs no more."""
    decision = Decision(past, context)
    hold = _owned(decision, command)
    if hold.expires_at:
        expires_at = context.at + timedelta(seconds=command.ttl_seconds)
        decision.record(
            LockExtended(
                resource_key=command.resource_key,
                task_id=hold.task_id,
                ticket_id=hold.ticket_id,
                fencing_token=hold.fencing_token,
                expires_at=expires_at,
                at=context.at,
            ),
            expiring(command.resource_key, hold, expires_at),
        )
    return [*decision.facts, _standing(decision, command)]


def release_lock(command: ReleaseLock, past: Past, context: Context) -> Facts:
    """Let go of a lock; of one that was acquired more than once, one hold of several."""
    decision = Decision(past, context)
    hold = _owned(decision, command)
    release(decision, command.resource_key, hold, "", all_of_it=False)
    return [*decision.facts, _standing(decision, command).model_copy(update={"mode": hold.mode})]


def _standing(decision: Decision, command: ExtendLock | ReleaseLock) -> contract.Lock:
    hold = decision.of(Lock, command.resource_key).held_by(command.task_id)
    known: dict[str, Any] = dict(shown(command.resource_key, hold)) if hold else {}
    request_id = hold.request_id if hold else decision.context.new_id("lock-request")
    return contract.Lock(
        **{"resource_key": command.resource_key, **known}, granted=hold is not None, request_id=request_id
    )


def _owned(decision: Decision, command: ExtendLock | ReleaseLock) -> Hold:
    """The hold that the command speaks of, if it is the sender's."""
    task = decision.of(Task, command.task_id)
    lock = decision.of(Lock, command.resource_key)
    hold = lock.held_by(command.task_id)
    owner = task.agent_id if task.claimed else hold and hold.agent_id
    if hold and command.agent_id in (None, owner) and command.fencing_token in (None, hold.fencing_token):
        refuse_other_owners(hold, task, command.resource_key, decision.context)
        return hold
    raise NotLockOwner(
        f"Task {command.task_id} does not hold {command.resource_key}"
        f"{_as_was_meant(command)}: {_by_whom(lock.holders)}. Acquire it first.",
        resource_key=command.resource_key,
        holders=[_described(command.resource_key, one) for one in lock.holders],
    )


def _as_was_meant(command: ExtendLock | ReleaseLock) -> str:
    agent = f" for {command.agent_id}" if command.agent_id else ""
    return agent + (f" under token {command.fencing_token}" if command.fencing_token is not None else "")


def _held(decision: Decision, asked: Asked) -> LockHeld:
    blocked = in_the_way(decision, asked)
    said = (f"{resource} is not free: {_by_whom(others)}." for resource, others in blocked.items())
    return LockHeld(
        f"{' '.join(said)} Ask again later, or say with wait_seconds how long to stand in line.",
        in_the_way=_each_described(blocked),
    )


def _each_described(blocked: Mapping[str, Sequence[Hold | Waiter]]) -> list[dict[str, Any]]:
    return [_described(resource, one) for resource, others in blocked.items() for one in others]


def _by_whom(others: Sequence[Hold | Waiter]) -> str:
    holders = [one for one in others if isinstance(one, Hold)]
    line = [one for one in others if isinstance(one, Waiter)]
    said = [f"{one.agent_id} holds it for task {one.task_id} {_until(one)}" for one in holders]
    said += [f"{one.agent_id} waits for it before you for task {one.task_id}" for one in line]
    return "; ".join(said) or "nobody holds it"


def _until(hold: Hold) -> str:
    if hold.expires_at is None:
        return "as long as its claim"
    return f"until {hold.expires_at.isoformat(timespec='seconds')}"


def _described(resource_key: str, one: Hold | Waiter) -> dict[str, Any]:
    return {
        "resource_key": resource_key,
        "task_id": one.task_id,
        "agent_id": one.agent_id,
        "mode": one.mode,
        "waiting": isinstance(one, Waiter),
        "until": one.wait_until if isinstance(one, Waiter) else one.expires_at,
    }
