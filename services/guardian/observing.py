"""What the guardian does when it hears of what policies may read: follow it, with one command for each."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from shared.contracts.agent import (
    AgentAttemptBegan,
    AgentAttemptEnded,
    AgentAvailabilityChanged,
    AgentDegraded,
    AgentDeregistered,
    AgentLost,
    AgentQuarantined,
    AgentRecovered,
    AgentRegistered,
    AgentReleased,
    AgentUpdated,
)
from shared.contracts.board import WipExceeded
from shared.contracts.discovery import DiscoveryBranchCreated, DiscoveryRecorded
from shared.contracts.guardian import DiscoverySeen, FollowAgent, FollowTask, FollowTicket, WipSeen
from shared.contracts.messages import Command, Event
from shared.contracts.phase import PhaseTransitioned, TicketEdited, TicketOpened
from shared.contracts.task import (
    TaskCancelled,
    TaskClaimed,
    TaskCompleted,
    TaskCreated,
    TaskFailed,
    TaskHeld,
    TaskLeaseExpired,
    TaskReady,
    TaskReleased,
    TaskReprioritised,
    TaskRetried,
    TaskRetryScheduled,
    TaskStarted,
    TaskTimedOut,
    TicketPaused,
    TicketResumed,
)

Commands = Sequence[Command]
Reaction = Callable[[Any], Commands]
TaskEvent = (
    TaskCreated
    | TaskReady
    | TaskClaimed
    | TaskStarted
    | TaskCompleted
    | TaskFailed
    | TaskRetryScheduled
    | TaskTimedOut
    | TaskLeaseExpired
    | TaskCancelled
    | TaskRetried
    | TaskReprioritised
    | TaskHeld
    | TaskReleased
)
IDLE: dict[str, Any] = {"agent_id": None, "ready_at": None, "started_at": None}


def _task(event: TaskEvent, at: datetime, changes: dict[str, Any], tries_spent: int = 0) -> Commands:
    return [
        FollowTask(
            fact=event.wire_name(),
            task_id=event.task_id,
            ticket_id=event.ticket_id,
            at=at,
            tries_spent=tries_spent,
            changes=changes,
        )
    ]


def task_created(event: TaskCreated) -> Commands:
    """It waits."""
    same = {"phase_id", "task_type", "priority", "timeout_seconds", "max_retries", "deadline"}
    told = event.model_dump(include={*same, "required_capabilities", "created_at"})
    return _task(event, event.created_at, {**told, "retries_left": event.max_retries})


def task_ready(event: TaskReady) -> Commands:
    """It may be claimed."""
    return _task(event, event.ready_at, {**IDLE, "status": "ready", "ready_at": event.ready_at})


def task_claimed(event: TaskClaimed) -> Commands:
    """Somebody has it; one that was handed over goes on."""
    taken = {"agent_id": event.agent_id, "attempt": event.attempt}
    if event.handed_over_from is not None:
        return _task(event, event.claimed_at, taken)
    return _task(
        event, event.claimed_at, {**taken, "status": "claimed", "started_at": None, "ready_at": None}
    )


def task_started(event: TaskStarted) -> Commands:
    """It is worked on."""
    told = event.model_dump(include={"agent_id", "attempt", "started_at"})
    return _task(event, event.started_at, {**told, "status": "running"})


def task_completed(event: TaskCompleted) -> Commands:
    """It is done."""
    return _task(event, event.completed_at, {**IDLE, "status": "completed"})


def task_failed(event: TaskFailed) -> Commands:
    """It failed for good."""
    return _task(event, event.failed_at, {**IDLE, "status": "failed"})


def task_retry_scheduled(event: TaskRetryScheduled) -> Commands:
    """An attempt failed, and it is tried again later."""
    return _task(event, event.failed_at, {**IDLE, "status": "waiting"}, tries_spent=1)


def task_timed_out(event: TaskTimedOut) -> Commands:
    """An attempt took too long; what becomes of the task is told next."""
    return _task(event, event.at, {})


def task_lease_expired(event: TaskLeaseExpired) -> Commands:
    """Its agent was not heard of, or gave it back, which costs no retry."""
    return _task(event, event.at, {**IDLE, "status": "waiting"}, tries_spent=0 if event.returned else 1)


def task_cancelled(event: TaskCancelled) -> Commands:
    """It was stopped."""
    return _task(event, event.cancelled_at, {**IDLE, "status": "cancelled"})


def task_retried(event: TaskRetried) -> Commands:
    """It is tried anew after its end."""
    return _task(event, event.at, {**IDLE, "status": "waiting"})


def task_reprioritised(event: TaskReprioritised) -> Commands:
    """It is more urgent, or less."""
    return _task(event, event.at, {"priority": event.priority})


def task_held(event: TaskHeld | TaskReleased) -> Commands:
    """Its ticket keeps it from being handed out, or does so no more."""
    return _task(event, event.at, {"held": isinstance(event, TaskHeld)}) if event.at else []


AgentEvent = (
    AgentRegistered
    | AgentUpdated
    | AgentAvailabilityChanged
    | AgentDegraded
    | AgentLost
    | AgentRecovered
    | AgentQuarantined
    | AgentReleased
    | AgentDeregistered
    | AgentAttemptBegan
    | AgentAttemptEnded
)
STANDING: dict[type[Event], dict[str, Any]] = {
    AgentRegistered: {"standing": "IDLE"},
    AgentDegraded: {"standing": "DEGRADED"},
    AgentLost: {"standing": "FAILED"},
    AgentRecovered: {"standing": "IDLE"},
    AgentQuarantined: {"quarantined": True},
    AgentReleased: {"quarantined": False},
    AgentDeregistered: {"standing": "TERMINATED"},
}
MORE: dict[type[Event], int] = {AgentAttemptBegan: 1, AgentAttemptEnded: -1}


def agent(event: AgentEvent) -> Commands:
    """What it says of itself, how it is, and how many tasks it has."""
    kept = {"capacity", "capabilities", "available"}
    changes = event.model_dump(include=kept, exclude_none=True)
    changes |= STANDING.get(type(event), {})
    return [
        FollowAgent(
            fact=event.wire_name(),
            agent_id=event.agent_id,
            at=event.at,
            changes=changes,
            more=MORE.get(type(event), 0),
        )
    ]


def ticket_opened(event: TicketOpened) -> Commands:
    """It begins."""
    changes = event.model_dump(include={"workflow", "phase_id", "priority", "deadline"})
    return [
        FollowTicket(fact=event.wire_name(), ticket_id=event.ticket_id, at=event.opened_at, changes=changes)
    ]


def ticket_edited(event: TicketEdited) -> Commands:
    """It says something else."""
    changes = event.model_dump(include={"priority", "deadline"}, exclude_none=True)
    if "deadline" in event.cleared:
        changes["deadline"] = None
    return [FollowTicket(fact=event.wire_name(), ticket_id=event.ticket_id, at=event.at, changes=changes)]


def ticket_moved(event: PhaseTransitioned) -> Commands:
    """It is in another phase."""
    changes = {"phase_id": event.to_phase, "ended": event.terminal}
    return [FollowTicket(fact=event.wire_name(), ticket_id=event.ticket_id, at=event.at, changes=changes)]


def ticket_paused(event: TicketPaused | TicketResumed) -> Commands:
    """None of its tasks is handed out, or they are again."""
    changes = {"paused": isinstance(event, TicketPaused)}
    return [FollowTicket(fact=event.wire_name(), ticket_id=event.ticket_id, at=event.at, changes=changes)]


def wip_exceeded(event: WipExceeded) -> Commands:
    """It is one card too many."""
    wip = WipSeen(column=event.column, limit=event.limit, count=event.count, forced=event.forced)
    return [FollowTicket(fact=event.wire_name(), ticket_id=event.ticket_id, at=event.at, wip=wip)]


def discovery_recorded(event: DiscoveryRecorded) -> Commands:
    """Something was found at it."""
    found = DiscoverySeen(id=event.discovery_id, type=event.discovery_type)
    return [
        FollowTicket(fact=event.wire_name(), ticket_id=event.ticket_id, at=event.recorded_at, discovery=found)
    ]


def discovery_branched(event: DiscoveryBranchCreated) -> Commands:
    """What was found at it has made a task."""
    found = DiscoverySeen(id=event.discovery_id, type=event.discovery_type)
    return [FollowTicket(fact=event.wire_name(), ticket_id=event.ticket_id, at=event.at, discovery=found)]


HEARD: dict[type[Event], Reaction] = {
    TaskCreated: task_created,
    TaskReady: task_ready,
    TaskClaimed: task_claimed,
    TaskStarted: task_started,
    TaskCompleted: task_completed,
    TaskFailed: task_failed,
    TaskRetryScheduled: task_retry_scheduled,
    TaskTimedOut: task_timed_out,
    TaskLeaseExpired: task_lease_expired,
    TaskCancelled: task_cancelled,
    TaskRetried: task_retried,
    TaskReprioritised: task_reprioritised,
    TaskHeld: task_held,
    TaskReleased: task_held,
    **dict.fromkeys((AgentUpdated, AgentAvailabilityChanged), agent),
    **dict.fromkeys(STANDING, agent),
    **dict.fromkeys(MORE, agent),
    TicketOpened: ticket_opened,
    TicketEdited: ticket_edited,
    PhaseTransitioned: ticket_moved,
    TicketPaused: ticket_paused,
    TicketResumed: ticket_paused,
    WipExceeded: wip_exceeded,
    DiscoveryRecorded: discovery_recorded,
    DiscoveryBranchCreated: discovery_branched,
}
