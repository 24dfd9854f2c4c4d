"""Whatever people and agents may wish of the scheduler next, drawn from what there is."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from services.scheduler.task import Task
from services.scheduler.ticket import Ticket
from shared.contracts.guardian import Intended
from shared.contracts.lock import AcquireLock, ReleaseLock
from shared.contracts.messages import Command, Priority
from shared.contracts.task import (
    AddDependency,
    ApplyIntervention,
    CancelTask,
    ClaimTask,
    CompleteTask,
    CreateTask,
    EnterPhase,
    FailTask,
    FollowBlockers,
    ReleaseClaims,
    RetryTask,
    StartTask,
)

MOST_TASKS = 30
AGENTS = ("bob", "eve")
RESOURCES = ("x", "y")
STRANGERS = ("s1", "s2")
PHASES = {"BACKLOG": "BUILD", "BUILD": "CHECK", "CHECK": "CHECK"}


class Whims:
    """Commands that make sense, mostly."""

    def __init__(self, chance: Random, tasks: Sequence[Task], tickets: Mapping[str, Ticket]) -> None:
        self._chance = chance
        self._tasks = tasks
        self._tickets = tickets
        self._claimed = [task for task in tasks if task.claimed]

    def next(self) -> Command | None:
        """What somebody wants now; None when there is nothing to want it of."""
        weights: dict[Callable[[], Command | None], int] = {
            self._create: 8 if len(self._tasks) < MOST_TASKS else 0,
            self._claim: 5,
            self._report: 6,
            self._lock: 3,
            self._unlock: 2,
            self._depend: 2,
            self._cancel: 1,
            self._retry: 2,
            self._block: 1,
            self._pause: 1,
            self._move: 1,
            self._lose: 1,
        }
        [wish] = self._chance.choices(list(weights), list(weights.values()))
        return wish()

    def _one(self, found: Sequence[Any]) -> Any:
        return self._chance.choice(found) if found else None

    def _some(self, found: Sequence[Any], most: int) -> tuple[Any, ...]:
        return tuple(self._chance.sample(found, min(len(found), self._chance.randint(0, most))))

    def _create(self) -> Command:
        number = len(self._tasks)
        depends_on = self._some([task.task_id for task in self._tasks], 2) if number % 3 == 0 else ()
        return CreateTask(
            task_id=f"task-{number:02}",
            ticket_id=self._one(list(self._tickets)),
            task_type=f"type-{number:02}",
            title="a",
            depends_on=depends_on,
            needs=self._one(["all", "any"]),
            on_dependency_failure=self._one(["block", "skip"]),
            resources=self._some(RESOURCES, 2) if number % 2 else (),
            required_capabilities=self._some(("saw", "plane"), 2),
            priority=self._one(list(Priority)),
            max_retries=self._one([0, 1]),
        )

    def _claim(self) -> Command:
        return ClaimTask(agent_id=self._one(AGENTS), max_tasks=self._one([1, 1, 3]))

    def _report(self) -> Command | None:
        task = self._one(self._claimed)
        if task is None:
            return None
        named: dict[str, Any] = {"task_id": task.task_id, "claim_epoch": task.claim_epoch}
        failed = {"error": "it broke", "retryable": self._one([True, False])}
        return self._one([StartTask(**named), CompleteTask(**named), FailTask(**named, **failed)])  # type: ignore[no-any-return]

    def _lock(self) -> Command:
        whose = self._one([*((task.task_id, task.agent_id) for task in self._claimed), *_FOR_STRANGERS])
        named = {"task_id": whose[0], "agent_id": whose[1], "resource_key": self._one(RESOURCES)}
        patience, mode = self._one([0, 60]), self._one(["shared", "exclusive"])
        return AcquireLock(**named, ttl_seconds=3600, mode=mode, wait_seconds=patience)

    def _unlock(self) -> Command:
        return ReleaseLock(task_id=self._one(STRANGERS), resource_key=self._one(RESOURCES))

    def _depend(self) -> Command | None:
        one, other = self._one(self._tasks), self._one(self._tasks)
        return one and AddDependency(task_id=one.task_id, depends_on=other.task_id)

    def _cancel(self) -> Command | None:
        task = self._one(self._tasks)
        return task and CancelTask(task_id=task.task_id)

    def _retry(self) -> Command | None:
        task = self._one([task for task in self._tasks if task.status in ("failed", "cancelled")])
        return task and RetryTask(task_id=task.task_id)

    def _pause(self) -> Command:
        ticket = self._tickets[self._one(list(self._tickets))]
        wanted = "resume_ticket" if ticket.pause else "pause_ticket"
        return ApplyIntervention(
            intervention_id=f"i-{self._chance.getrandbits(64)}",
            intended=Intended(kind=wanted, ticket_id=ticket.ticket_id),
            reason="so",
            actor="gus",
        )

    def _block(self) -> Command:
        ticket = self._tickets[self._one(list(self._tickets))]
        blockers = () if ticket.blocked_by else ("T-9",)
        return FollowBlockers(
            ticket_id=ticket.ticket_id, blocked_by=blockers, change=ticket.blocker_change + 1
        )

    def _move(self) -> Command:
        """On hold or off it, or one phase on."""
        ticket = self._tickets[self._one(list(self._tickets))]
        onwards = ticket.working_phase if ticket.on_hold else self._one(["BLOCKED", PHASES[ticket.phase_id]])
        same = onwards in (ticket.working_phase, "BLOCKED")
        return EnterPhase(
            ticket_id=ticket.ticket_id,
            from_phase=ticket.phase_id,
            phase_id=onwards,
            visit=ticket.working_visit if same and onwards != "BLOCKED" else 1,
            move=ticket.move + 1,
        )

    def _lose(self) -> Command:
        return ReleaseClaims(agent_id=self._one(AGENTS), reason="lost")


_FOR_STRANGERS = [(stranger, "zoe") for stranger in STRANGERS]
