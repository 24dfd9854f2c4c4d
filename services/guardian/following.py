"""Following what policies may read; each piece of news is judged by them in the same decision."""

from datetime import datetime, timedelta
from typing import Any

from services.guardian.acting import acted
from services.guardian.looking import Observation, look_at, look_when
from services.guardian.seen import FLEET, Fleet, Task, Ticket
from services.guardian.triggering import judged
from services.guardian.watch import Watch
from shared.contracts.guardian import (
    AgentSeen,
    FollowAgent,
    FollowTask,
    FollowTicket,
    GuardianAgentFollowed,
    GuardianMomentReached,
    GuardianTaskFollowed,
    GuardianTicketFollowed,
    GuardianWaitingFollowed,
    ReachMoment,
    TaskSeen,
    TicketSeen,
)
from shared.contracts.messages import Priority
from shared.kernel.decider import Context, Fact, Facts, Past, Timer, Unavailable

LATE = timedelta(seconds=2)
NEWS_COMES = timedelta(seconds=5)


def follow_task(command: FollowTask, past: Past, context: Context) -> Facts:
    """The newest news counts; a task must be made before anything else is heard of it."""
    known = past.of(Task, command.task_id)
    if _is_old(known.at, known.seen is None, command.fact == "task.created", command.at):
        return []
    if known.seen is None and command.fact != "task.created":
        raise Unavailable(f"The guardian has not heard of task {command.task_id} yet.")
    before = known.seen or TaskSeen(id=command.task_id, ticket_id=command.ticket_id)
    left = before.retries_left - command.tries_spent
    if command.fact == "task.retried":
        left = before.max_retries
    task = TaskSeen.model_validate({**before.model_dump(), "retries_left": max(0, left), **command.changes})
    heard = _heard(command, context)
    followed = GuardianTaskFollowed(task_id=task.id, ticket_id=task.ticket_id, task=task, **heard)
    facts = _told(followed, past, context)
    was, now = _waits(known.seen), _waits(task)
    if was != now:
        told = heard | {"fact": "fleet.waiting_changed"}
        waiting = GuardianWaitingFollowed(fleet=FLEET, task_id=task.id, before=was, after=now, **told)
        facts += _told(waiting, past, context)
    return facts


def _waits(task: TaskSeen | None) -> Priority | None:
    """The priority under which a task waits for somebody to take it, if it does."""
    return task.priority if task and task.status == "ready" and not task.held else None


def follow_agent(command: FollowAgent, past: Past, context: Context) -> Facts:
    """What an agent says of itself, and how many tasks it has."""
    known = past.of(Fleet, FLEET).by_id.get(command.agent_id)
    if known is None and command.fact != "agent.registered":
        return []
    before = known or AgentSeen(id=command.agent_id)
    running = max(0, before.running + command.more)
    agent = AgentSeen.model_validate({**before.model_dump(), "running": running, **command.changes})
    followed = GuardianAgentFollowed(fleet=FLEET, agent_id=agent.id, agent=agent, **_heard(command, context))
    return _told(followed, past, context)


def follow_ticket(command: FollowTicket, past: Past, context: Context) -> Facts:
    """A ticket must be opened before anything else is heard of it."""
    known = past.of(Ticket, command.ticket_id)
    opened = command.fact == "phase.ticket_opened"
    if opened and known.seen is not None:
        return []
    if known.seen is None and not opened:
        raise Unavailable(f"The guardian has not heard of ticket {command.ticket_id} yet.")
    before = known.seen or TicketSeen(id=command.ticket_id)
    ticket = TicketSeen.model_validate({**before.model_dump(), **command.changes})
    followed = GuardianTicketFollowed(
        ticket_id=ticket.id,
        ticket=ticket,
        wip=command.wip,
        discovery=command.discovery,
        **_heard(command, context),
    )
    return _told(followed, past, context)


def reach_moment(command: ReachMoment, past: Past, context: Context) -> Facts:
    """The time that was waited for has come, unless what was waited for has ended or moved since.

    Where it comes late the guardian was away: what happened meanwhile is let in first.
    """
    if not past.of(Watch, command.watch_id).due_by(command.due):
        return []
    if not command.waited and context.at - command.due > LATE:
        again = command.model_copy(update={"waited": True})
        return [Timer(f"late-{command.watch_id}-{command.due.isoformat()}", context.at + NEWS_COMES, again)]
    reached = GuardianMomentReached(
        watch_id=command.watch_id,
        subject=command.subject,
        subject_id=command.subject_id,
        at=command.due,
        heard_at=context.at,
    )
    return [reached, *acted(judged(look_when(reached, past), past), past, context)]


def _told(event: Observation, past: Past, context: Context) -> list[Fact]:
    """An observation, with what policies make of it."""
    return [event, *acted(judged(look_at(event, past), past), past, context)]


def _heard(command: FollowTask | FollowAgent | FollowTicket, context: Context) -> dict[str, Any]:
    return {
        "fact": command.fact,
        "at": command.at,
        "heard_at": context.at,
        "cause": context.causation,
    }


def _is_old(known_at: datetime | None, unknown: bool, created: bool, at: datetime) -> bool:
    """Whether something later was heard already, or of a task that was made the same again."""
    if unknown:
        return False
    return created or (known_at is not None and at < known_at)
