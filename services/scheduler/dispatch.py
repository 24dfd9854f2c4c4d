"""What keeps a task from being handed to an agent."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, TypedDict

from services.scheduler.lock import Hold as LockHold
from services.scheduler.lock import Lock, Waiter
from services.scheduler.share import Share
from services.scheduler.task import Task
from services.scheduler.ticket import Pause, Ticket
from shared.contracts.messages import moment_text


class Ended(TypedDict):
    """It is over."""

    code: Literal["ended"]
    message: str
    status: str


class Claimed(TypedDict):
    """An agent has it."""

    code: Literal["claimed"]
    message: str
    agent_id: str | None
    claim_epoch: int
    claimed_at: datetime | None


class WaitingForTasks(TypedDict):
    """Other tasks come first."""

    code: Literal["waiting_for_tasks"]
    message: str
    task_ids: list[str]
    missing: int


class DependencyFailed(TypedDict):
    """Tasks that it waits for did not complete, and without them it never can begin."""

    code: Literal["dependency_failed"]
    message: str
    task_ids: list[str]


class RetryScheduled(TypedDict):
    """The last attempt came to nothing; the next one is delayed."""

    code: Literal["retry_scheduled"]
    message: str
    not_before: datetime
    attempt: int


class TicketOnHold(TypedDict):
    """Its ticket waits in the blocked phase."""

    code: Literal["ticket_on_hold"]
    message: str
    ticket_id: str
    phase_id: str


class TicketBlocked(TypedDict):
    """Its ticket waits for other tickets to be done."""

    code: Literal["ticket_blocked"]
    message: str
    ticket_id: str
    blocked_by: list[str]


class TicketIsPaused(TypedDict):
    """A guardian wants no task of its ticket handed out for now."""

    code: Literal["ticket_paused"]
    message: str
    ticket_id: str
    paused_by: str
    reason: str
    since: datetime


class WaitingForContext(TypedDict):
    """What the visit before came to is not known yet."""

    code: Literal["waiting_for_context"]
    message: str
    ticket_id: str
    phase_id: str
    visit: int


class BeingReleased(TypedDict):
    """Nothing in its ticket holds it any more, and it is about to be let go."""

    code: Literal["being_released"]
    message: str
    ticket_id: str


class LeftBehind(TypedDict):
    """Its ticket has moved on without it; it is being cancelled."""

    code: Literal["ticket_moved_on"]
    message: str
    ticket_id: str
    phase_id: str


Hold = TicketOnHold | TicketBlocked | TicketIsPaused | WaitingForContext


class LockedBy(TypedDict):
    """Who holds a lock, or asked for it before."""

    task_id: str
    agent_id: str
    mode: str
    waiting: bool
    until: datetime | None


class LockInTheWay(TypedDict):
    """Others have a lock that its claim would take."""

    code: Literal["lock_held"]
    message: str
    resource_key: str
    held_by: list[LockedBy]


class ShareExhausted(TypedDict):
    """As many tasks of its ticket, or of its workflow, are in work as the workflow allows."""

    code: Literal["share_exhausted"]
    message: str
    share: Literal["ticket", "workflow"]
    name: str
    limit: int
    task_ids: list[str]


class NoAgent(TypedDict):
    """No registered agent that is given tasks can do it: a remark, as a claim asks for no registration."""

    code: Literal["no_agent"]
    message: str
    capabilities: list[str]
    missing: list[str]
    phase_id: str
    way_out: str


class AgentsFull(TypedDict):
    """All agents that can do it have as many tasks as a guardian lets them have: a remark, too."""

    code: Literal["agents_full"]
    message: str
    way_out: str


Reason = (
    Ended
    | Claimed
    | WaitingForTasks
    | DependencyFailed
    | RetryScheduled
    | Hold
    | BeingReleased
    | LeftBehind
    | LockInTheWay
    | ShareExhausted
)


def reasons(
    task: Task, ticket: Ticket, locks: Iterable[Lock] = (), shares: Iterable[Share] = ()
) -> list[Reason]:
    """Everything that keeps a task from being handed out; nothing does exactly when a claim may take it."""
    if task.ended:
        why = f": {task.reason}" if task.reason else "."
        return [Ended(code="ended", message=f"It is {task.status}{why}", status=task.status)]
    found = [*_of_ticket(task, ticket), *_of_task(task), *_of_locks(task, locks)]
    return [*found, *_of_shares(task, shares)]


def no_agent(task: Task, missing: Sequence[str], *, elsewhere: bool = False) -> NoAgent:
    """What is said of a task that nobody can do.

    `missing` is what nobody has at all; `elsewhere` is whether somebody has all it requires, and works in
    other phases only.
    """
    required = list(task.required_capabilities)
    lacks = f"has {' or '.join(missing)}" if missing else f"has all of {', '.join(required)}"
    able = f" and has all of {', '.join(required)}" if required else ""
    away = f"No agent that is registered, alive and available{able} works in {task.phase_id}."
    return NoAgent(
        code="no_agent",
        message=away if elsewhere else f"No agent that is registered, alive and available {lacks}.",
        capabilities=required,
        missing=list(missing),
        phase_id=task.phase_id,
        way_out="Let an agent that can do it work in that phase too, or register one."
        if elsewhere
        else "Register or release an agent that has the capabilities, or add them to one.",
    )


def agents_full() -> AgentsFull:
    """What is said of a task when all who can do it have enough to do."""
    return AgentsFull(
        code="agents_full",
        message="Every registered agent that can do it has as many tasks as a guardian lets it have.",
        way_out="One of their tasks ends, or one of them gets capacity: omoi guardian reallocate.",
    )


def left_behind(task: Task, ticket: Ticket) -> bool:
    """Whether the ticket has moved on without the task.

    A task lives as long as the visit it was made for; a branch, made for another phase, as long as the
    ticket.
    """
    if task.branched:
        return ticket.ended
    return (task.phase_id, task.visit) != (ticket.working_phase, ticket.working_visit)


def _of_ticket(task: Task, ticket: Ticket) -> list[Reason]:
    found: list[Reason] = []
    if left_behind(task, ticket):
        moved = f"Ticket {ticket.ticket_id} has moved on to {ticket.phase_id}; the task is being cancelled."
        found.append(
            LeftBehind(
                code="ticket_moved_on", message=moved, ticket_id=ticket.ticket_id, phase_id=ticket.phase_id
            )
        )
    holding = reasons_to_hold(task, ticket)
    if task.held and not holding and not found:
        released = f"Nothing in ticket {ticket.ticket_id} holds it any more; it is about to be let go."
        found.append(BeingReleased(code="being_released", message=released, ticket_id=ticket.ticket_id))
    return [*found, *holding]


def reasons_to_hold(task: Task, ticket: Ticket) -> list[Hold]:
    """Why a ticket holds a task, all at once; one that is in work goes on."""
    found: list[Hold] = []
    if ticket.on_hold:
        held = f"Ticket {ticket.ticket_id} is on hold in {ticket.phase_id}; unblock it and its tasks go on."
        found.append(
            TicketOnHold(
                code="ticket_on_hold", message=held, ticket_id=ticket.ticket_id, phase_id=ticket.phase_id
            )
        )
    if ticket.blocked_by:
        blockers = list(ticket.blocked_by)
        waits = (
            f"Ticket {ticket.ticket_id} waits for {', '.join(blockers)}; its tasks go on when all are done."
        )
        found.append(
            TicketBlocked(
                code="ticket_blocked", message=waits, ticket_id=ticket.ticket_id, blocked_by=blockers
            )
        )
    if ticket.pause:
        found.append(_paused(ticket.ticket_id, ticket.pause))
    if ticket.awaiting and ticket.left and not task.branched:
        phase_id, visit = ticket.left
        context = f"It waits for what visit {visit} of {phase_id} came to, for a few seconds at most."
        found.append(
            WaitingForContext(
                code="waiting_for_context",
                message=context,
                ticket_id=ticket.ticket_id,
                phase_id=phase_id,
                visit=visit,
            )
        )
    return found


def _paused(ticket_id: str, pause: Pause) -> TicketIsPaused:
    paused = (
        f"Ticket {ticket_id} was paused by {pause.paused_by} at {moment_text(pause.since)}: {pause.reason}"
    )
    return TicketIsPaused(
        code="ticket_paused",
        message=paused,
        ticket_id=ticket_id,
        paused_by=pause.paused_by,
        reason=pause.reason,
        since=pause.since,
    )


def _of_locks(task: Task, locks: Iterable[Lock]) -> list[Reason]:
    found = ((lock, _before_its_claim(task, lock)) for lock in locks)
    return [_locked(lock, holds) for lock, holds in found if holds]


def _before_its_claim(task: Task, lock: Lock) -> tuple[LockHold | Waiter, ...]:
    """Who must leave a lock before the task is claimed: also who holds it in its name, without a claim."""
    own = None if task.claimed else lock.held_by(task.task_id)
    others = lock.in_the_way(task.task_id, "exclusive")
    return (own, *others) if own else others


def _locked(lock: Lock, others: Sequence[LockHold | Waiter]) -> LockInTheWay:
    held_by = [
        LockedBy(
            task_id=one.task_id,
            agent_id=one.agent_id,
            mode=one.mode,
            waiting=isinstance(one, Waiter),
            until=one.wait_until if isinstance(one, Waiter) else one.expires_at,
        )
        for one in others
    ]
    words = (f"{one.agent_id} {_does(one)} it for task {one.task_id}" for one in others)
    said = f"It needs {lock.resource_key}: {'; '.join(words)}."
    return LockInTheWay(code="lock_held", message=said, resource_key=lock.resource_key, held_by=held_by)


def _does(one: LockHold | Waiter) -> str:
    return "waits for" if isinstance(one, Waiter) else "holds"


def _of_shares(task: Task, shares: Iterable[Share]) -> list[Reason]:
    limits = dict(task.shares)
    taken = ((share, limits[share.share_id]) for share in shares if share.tasks)
    return [_exhausted(share, most) for share, most in taken if share.exhausted_for(task.task_id, most)]


def _exhausted(share: Share, limit: int) -> ShareExhausted:
    kind, _, name = share.share_id.partition("/")
    running = list(share.tasks)
    said = f"{len(running)} tasks of {kind} {name} are in work, and its workflow allows {limit} at a time."
    return ShareExhausted(
        code="share_exhausted",
        message=said,
        share="ticket" if kind == "ticket" else "workflow",
        name=name,
        limit=limit,
        task_ids=running,
    )


def _of_task(task: Task) -> list[Reason]:
    if task.status == "ready":
        return []
    if task.claimed:
        return [
            Claimed(
                code="claimed",
                message=f"{task.agent_id} has it, in attempt {task.attempt}.",
                agent_id=task.agent_id,
                claim_epoch=task.claim_epoch,
                claimed_at=task.claimed_at,
            )
        ]
    if task.not_before:
        until = moment_text(task.not_before)
        return [
            RetryScheduled(
                code="retry_scheduled",
                message=f"Attempt {task.attempt} came to nothing; the next waits until {until}.",
                not_before=task.not_before,
                attempt=task.attempt,
            )
        ]
    return _of_dependencies(task)


def _of_dependencies(task: Task) -> list[Reason]:
    open_, failed = task.dependencies("open"), task.dependencies("failed")
    found: list[Reason] = []
    if open_:
        waits = f"{task.missing} more must complete of: {', '.join(open_)}."
        found.append(
            WaitingForTasks(code="waiting_for_tasks", message=waits, task_ids=open_, missing=task.missing)
        )
    if task.broken:
        lost = f"These did not complete: {', '.join(failed)}. Retry them, or cancel this task."
        found.append(DependencyFailed(code="dependency_failed", message=lost, task_ids=failed))
    return found
