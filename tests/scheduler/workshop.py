"""The scheduler's rules in memory: facts are kept, the index follows them, and timers fire as time passes."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from services.scheduler.allotment import ClaimsOf
from services.scheduler.claim import ReadyCandidates
from services.scheduler.decision import AGGREGATES
from services.scheduler.dispatch import reasons
from services.scheduler.lock import Lock
from services.scheduler.service import scheduler
from services.scheduler.settle import OpenTasksOf
from services.scheduler.share import Share
from services.scheduler.tables import lock_row, row
from services.scheduler.task import Status, Task
from services.scheduler.ticket import Ticket
from shared.contracts.messages import Authority, Command, Event, Priority, Result
from shared.contracts.task import (
    Claimed,
    ClaimedTask,
    ClaimTask,
    CompleteTask,
    CreateTask,
    EnterPhase,
    FailTask,
    FollowTicket,
    FollowWorkflow,
    StartTask,
    TaskCreated,
)
from shared.contracts.workflow import Phase, TaskTemplate, Workflow
from shared.kernel.decider import CancelTimer, Context, Fact, Lookup, Refused, Timer, Waiting
from shared.testing.scenario import NOON, History

E = TypeVar("E", bound=Event)

WORKFLOW = Workflow(
    name="crafts",
    initial_phase="BACKLOG",
    blocked_phase="BLOCKED",
    context_wait_seconds=0,
    phases=(
        Phase(id="BACKLOG", name="Backlog", sequence_order=0, allowed_transitions=("BUILD",)),
        Phase(
            id="BUILD",
            name="Build",
            sequence_order=1,
            tasks=(
                TaskTemplate(id="paint", depends_on=("saw",), title="Paint {ticket_title}"),
                TaskTemplate(
                    id="saw",
                    description="Saw {ticket_title}: {ticket_description}",
                    priority=Priority.HIGH,
                    required_capabilities=("Woodwork ",),
                    timeout_seconds=600,
                    max_retries=1,
                ),
            ),
        ),
        Phase(id="CHECK", name="Check", sequence_order=2, tasks=(TaskTemplate(id="look"),)),
        Phase(id="DONE", name="Done", sequence_order=3, is_terminal=True),
        Phase(id="BLOCKED", name="Blocked", sequence_order=9, tasks=(TaskTemplate(id="nag"),)),
    ),
)


def plain_ticket(ticket_id: str = "T-1", **fields: Any) -> FollowTicket:
    """A ticket in the backlog, where no template asks for tasks."""
    defaults: dict[str, Any] = {
        "title": "a chair",
        "description": "with four legs",
        "priority": Priority.MEDIUM,
        "phase_id": "BACKLOG",
        "workflow_version": WORKFLOW.version,
    }
    return FollowTicket(ticket_id=ticket_id, **defaults | fields)


class Workshop:
    """One scheduler with one ticket, T-1, unless the test opens others."""

    def __init__(self, followed: Workflow = WORKFLOW, /, **ticket: Any) -> None:
        self.now: datetime = NOON
        self.events: list[Event] = []
        self.timers: dict[str, Timer] = {}
        self.task_ids: list[str] = []
        self.finders: dict[type[Lookup[Any]], Callable[[Any], Any]] = {
            ReadyCandidates: self._candidates,
            ClaimsOf: lambda lookup: self._where(agent_id=lookup.agent_id),
            OpenTasksOf: self._open_tasks,
        }
        self.past = History(AGGREGATES, (), self.finders)
        self.do(FollowWorkflow(version=followed.version, document=followed))
        self.do(plain_ticket(workflow_version=followed.version, **ticket))

    def decide(
        self,
        command: Command,
        actor: str = "ann",
        waited_seconds: float = 0,
        authority: Authority = Authority.SYSTEM,
    ) -> list[Fact]:
        """What the rule says, without its being taken as done."""
        received_at = self.now - timedelta(seconds=waited_seconds)
        context = Context(f"command-{len(self.events)}", actor, authority, self.now, received_at)
        return list(scheduler.obeys[type(command)](command, self.past, context))

    def do(
        self,
        command: Command,
        actor: str = "ann",
        waited_seconds: float = 0,
        authority: Authority = Authority.SYSTEM,
    ) -> list[Fact]:
        """Decide a command and let its facts come true."""
        try:
            facts = self.decide(command, actor, waited_seconds, authority)
        except (Refused, Waiting) as nothing:
            self.take_facts(nothing.facts)
            raise
        self.take_facts(facts)
        return facts

    def take_facts(self, facts: Sequence[Fact]) -> None:
        """Let facts come true."""
        for fact in facts:
            match fact:
                case Event():
                    self.happen(fact)
                case Timer():
                    self.timers[fact.key] = fact
                case CancelTimer():
                    self.timers.pop(fact.key, None)
                case Result():
                    pass

    def happen(self, event: Event) -> None:
        """Let something be true, whatever the rules say."""
        assert type(event).model_validate(json.loads(event.model_dump_json())) == event
        self.past.add(event)
        self.events.append(event)
        if isinstance(event, TaskCreated):
            self.task_ids.append(event.task_id)

    def wait(self, seconds: float) -> None:
        """Let time pass; each timer fires when it is due."""
        until = self.now + timedelta(seconds=seconds)
        while due := sorted((t for t in self.timers.values() if t.due_at <= until), key=lambda t: t.due_at):
            timer = self.timers.pop(due[0].key)
            self.now = max(self.now, timer.due_at)
            self.do(timer.command)
        self.now = until

    def of_type(self, kind: type[E]) -> list[E]:
        """What has happened of one kind, oldest first."""
        return [event for event in self.events if isinstance(event, kind)]

    def task(self, task_id: str) -> Task:
        """A task as it stands."""
        return self.past.of(Task, task_id)

    def status(self, task_id: str) -> Status:
        """How a task stands."""
        return self.task(task_id).status

    def reasons(self, task_id: str) -> list[str]:
        """The codes of what keeps a task from being handed out."""
        task = self.task(task_id)
        locks = [self.past.of(Lock, resource_key) for resource_key in task.resources]
        shares = [self.past.of(Share, share_id) for share_id, _ in task.shares]
        found = reasons(task, self.past.of(Ticket, task.ticket_id), locks, shares)
        return [reason["code"] for reason in found]

    def create(self, task_id: str, *depends_on: str, **fields: Any) -> str:
        """Make a task by hand."""
        defaults: dict[str, Any] = {"ticket_id": "T-1", "task_type": "chore", "title": task_id}
        self.do(CreateTask(task_id=task_id, depends_on=depends_on, **defaults | fields))
        return task_id

    def enter(self, phase_id: str, visit: int = 1, ticket_id: str = "T-1", **fields: Any) -> list[Fact]:
        """Let the ticket go on to a phase, and what the timers of that moment bring."""
        from_phase = self.past.of(Ticket, ticket_id).phase_id
        move = self.past.of(Ticket, ticket_id).move + 1
        place: dict[str, Any] = {"from_phase": from_phase, "phase_id": phase_id, "visit": visit, "move": move}
        entered = EnterPhase(ticket_id=ticket_id, **place | fields)
        facts = self.do(entered)
        self.wait(0)
        return facts

    def claim(self, agent_id: str = "bob", **fields: Any) -> tuple[ClaimedTask, ...]:
        """Let an agent take what it can."""
        facts = self.do(ClaimTask(agent_id=agent_id, **fields))
        return next(fact.tasks for fact in facts if isinstance(fact, Claimed))

    def take(self, task_id: str, agent_id: str = "bob") -> int:
        """Let an agent claim one task, which must be the first in rank; answers the epoch."""
        won = self.claim(agent_id)
        assert [task.task_id for task in won] == [task_id]
        return won[0].claim_epoch

    def start(self, task_id: str, agent_id: str = "bob") -> int:
        """Let an agent claim one task and begin."""
        epoch = self.take(task_id, agent_id)
        self.do(StartTask(task_id=task_id, claim_epoch=epoch))
        return epoch

    def complete(self, task_id: str) -> None:
        """Let an agent claim one task and complete it."""
        self.do(CompleteTask(task_id=task_id, claim_epoch=self.take(task_id)))

    def fail(self, task_id: str) -> None:
        """Let an agent claim one task and fail for good."""
        epoch = self.take(task_id)
        self.do(FailTask(task_id=task_id, claim_epoch=epoch, error="it broke", retryable=False))

    def lose(self, task_id: str) -> None:
        """Let an agent claim one task and fail in a way that may go better the next time."""
        self.do(FailTask(task_id=task_id, claim_epoch=self.take(task_id), error="it broke"))

    def _rows(self) -> list[dict[str, Any]]:
        return [dict(row(self.task(task_id))) for task_id in self.task_ids]

    def _where(self, **wanted: Any) -> tuple[str, ...]:
        return tuple(
            r["task_id"] for r in self._rows() if all(r[name] == value for name, value in wanted.items())
        )

    def _open_tasks(self, lookup: OpenTasksOf) -> tuple[str, ...]:
        open_ = sorted(self._where(ticket_id=lookup.ticket_id, ended=False))
        return tuple(task_id for task_id in open_ if task_id > lookup.after)[: lookup.limit]

    def _candidates(self, lookup: ReadyCandidates) -> tuple[str, ...]:
        fitting = [r for r in self._rows() if r["lane"] and _fits(r, lookup) and self._unlocked(r)]
        ranked = sorted(fitting, key=lambda r: (r["rank"], r["task_id"]))
        rooms = {r["task_id"]: r["room"] if r["resources"] else r["task_id"] for r in ranked}
        first = {rooms[r["task_id"]]: r["task_id"] for r in reversed(ranked)}
        return tuple(r["task_id"] for r in ranked if r["task_id"] in first.values())[: lookup.limit]

    def _unlocked(self, row: Mapping[str, Any]) -> bool:
        locks = (self.past.of(Lock, resource_key) for resource_key in row["resources"])
        return all(lock_row(lock) is None for lock in locks) and self._shared(row["task_id"])

    def _shared(self, task_id: str) -> bool:
        shares = self.task(task_id).shares
        return not any(
            self.past.of(Share, share_id).exhausted_for(task_id, most) for share_id, most in shares
        )


def _fits(row: Mapping[str, Any], lookup: ReadyCandidates) -> bool:
    phase, task_type, *required = json.loads(row["lane"])
    able = lookup.capabilities is None or set(required) <= set(lookup.capabilities)
    wishes = [(lookup.phases, phase), (lookup.task_types, task_type), (lookup.tickets, row["ticket_id"])]
    return able and all(wish is None or found in wish for wish, found in wishes)
