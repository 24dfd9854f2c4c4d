"""What the guardian has seen of tasks, tickets and the fleet of agents, as policies read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.contracts.guardian import (
    AgentSeen,
    GuardianAgentFollowed,
    GuardianTaskFollowed,
    GuardianTicketFollowed,
    GuardianWaitingFollowed,
    TaskSeen,
    TicketSeen,
)
from shared.contracts.messages import Priority
from shared.kernel.decider import Aggregate

FLEET = "fleet"


@dataclass(frozen=True)
class Task:
    """A task; nothing is seen of one that is not known yet."""

    seen: TaskSeen | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Ticket:
    """A ticket; nothing is seen of one that is not known yet."""

    seen: TicketSeen | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Fleet:
    """All agents that have not left or may come back into quarantine, and the ready tasks by priority."""

    by_id: Mapping[str, AgentSeen] = field(default_factory=dict)
    waiting: Mapping[Priority, int] = field(default_factory=dict)


def evolve_task(_: Task, event: GuardianTaskFollowed) -> Task:
    """The task after `event`."""
    return Task(event.task, event.at)


def evolve_ticket(_: Ticket, event: GuardianTicketFollowed) -> Ticket:
    """The ticket after `event`."""
    return Ticket(event.ticket, event.at)


def evolve_fleet(fleet: Fleet, event: GuardianAgentFollowed | GuardianWaitingFollowed) -> Fleet:
    """The fleet after `event`."""
    match event:
        case GuardianAgentFollowed():
            others = {id_: agent for id_, agent in fleet.by_id.items() if id_ != event.agent_id}
            gone = event.agent.standing == "TERMINATED" and not event.agent.quarantined
            return Fleet(others if gone else {**others, event.agent_id: event.agent}, fleet.waiting)
        case GuardianWaitingFollowed():
            waiting = dict(fleet.waiting)
            for priority, more in ((event.before, -1), (event.after, 1)):
                if priority is not None:
                    waiting[priority] = max(0, waiting.get(priority, 0) + more)
            return Fleet(fleet.by_id, waiting)


TASK = Aggregate(Task, evolve_task, key="task_id")
TICKET = Aggregate(Ticket, evolve_ticket, key="ticket_id")
FLEET_OF_AGENTS = Aggregate(Fleet, evolve_fleet, key="fleet")
