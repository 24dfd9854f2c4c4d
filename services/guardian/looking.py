"""What a look at a subject shows: before something was heard of it, and with that."""

from services.guardian.seen import FLEET, Fleet, Task, Ticket, evolve_fleet
from services.guardian.sight import Sight
from services.guardian.triggering import Look
from shared.contracts.guardian import (
    GuardianAgentFollowed,
    GuardianMomentReached,
    GuardianTaskFollowed,
    GuardianTicketFollowed,
    GuardianWaitingFollowed,
)
from shared.contracts.policy import Subject
from shared.kernel.decider import Past

Observation = GuardianTaskFollowed | GuardianAgentFollowed | GuardianWaitingFollowed | GuardianTicketFollowed


def look_at(event: Observation, past: Past) -> Look:
    """The look that an observation gives; `past` is what was before it."""
    before, now = sight(*_subject(event), past), _sight_in(event, past.of(Fleet, FLEET))
    return Look(before, now, event.at, event.heard_at, event.fact, event.cause)


def _subject(event: Observation) -> tuple[Subject, str]:
    match event:
        case GuardianTaskFollowed():
            return "task", event.task_id
        case GuardianAgentFollowed():
            return "agent", event.agent_id
        case GuardianWaitingFollowed():
            return "fleet", FLEET
        case GuardianTicketFollowed():
            return "ticket", event.ticket_id


def _sight_in(event: Observation, fleet: Fleet) -> Sight:
    """The subject as the observation tells it."""
    match event:
        case GuardianTaskFollowed():
            return Sight("task", event.task_id, fleet, task=event.task)
        case GuardianAgentFollowed():
            return Sight("agent", event.agent_id, evolve_fleet(fleet, event), agent=event.agent)
        case GuardianWaitingFollowed():
            return Sight("fleet", FLEET, evolve_fleet(fleet, event))
        case GuardianTicketFollowed():
            return Sight(
                "ticket",
                event.ticket_id,
                fleet,
                ticket=event.ticket,
                wip=event.wip,
                discovery=event.discovery,
            )


def look_when(reached: GuardianMomentReached, past: Past) -> Look:
    """The look when a time has come."""
    there = sight(reached.subject, reached.subject_id, past)
    return Look(there, there, reached.at, reached.heard_at)


def sight(subject: Subject, subject_id: str, past: Past) -> Sight:
    """A subject as it was seen last."""
    fleet = past.of(Fleet, FLEET)
    match subject:
        case "task":
            return Sight(subject, subject_id, fleet, task=past.of(Task, subject_id).seen)
        case "agent":
            return Sight(subject, subject_id, fleet, agent=fleet.by_id.get(subject_id))
        case "ticket":
            return Sight(subject, subject_id, fleet, ticket=past.of(Ticket, subject_id).seen)
        case "fleet":
            return Sight(subject, subject_id, fleet)
