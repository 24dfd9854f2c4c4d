"""Whatever people, agents and clocks do, in whatever order, the promises about tasks hold."""

from collections import defaultdict
from graphlib import TopologicalSorter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.scheduler.claim import ReadyCandidates, StaleClaim
from services.scheduler.dependency import DependencyCycle, TaskNotWaiting
from services.scheduler.retry import NotRetryable, TicketMovedOn
from services.scheduler.tables import row
from services.scheduler.task import Task, TaskEnded, TaskEvent, evolve
from services.scheduler.ticket import Ticket
from shared.contracts.messages import Command, Event
from shared.contracts.task import (
    AddDependency,
    AssignTask,
    CancelTask,
    Claimed,
    ClaimTask,
    CompleteTask,
    ExtendClaim,
    FailTask,
    ReleaseClaims,
    ReportProgress,
    RetryTask,
    StartTask,
    TaskClaimed,
    TaskDependentAdded,
    TaskLateReport,
    TaskRetried,
)
from shared.kernel.decider import Refused
from tests.scheduler.workshop import Workshop

MOVES = {
    "waiting": {"ready", "failed", "cancelled"},
    "ready": {"waiting", "claimed", "failed", "cancelled"},
    "claimed": {"running", "ready", "waiting", "completed", "failed", "cancelled"},
    "running": {"ready", "waiting", "completed", "failed", "cancelled"},
    "completed": set(),
    "failed": {"waiting", "ready"},
    "cancelled": {"waiting", "ready"},
}
"""From one decision to the next; what an event alone does is finer."""

MOST_TASKS = 8
"""Few enough that what happens to one often matters to another."""

AFTER_THE_END = (TaskLateReport, TaskRetried, TaskDependentAdded)
AGENTS = st.sampled_from(["bob", "eve"])
REPORTS = st.sampled_from(["start", "progress", "complete", "fail", "fail for good", "extend"])


def report(kind: str, task_id: str, epoch: int) -> Command:
    match kind:
        case "start":
            return StartTask(task_id=task_id, claim_epoch=epoch)
        case "progress":
            return ReportProgress(task_id=task_id, claim_epoch=epoch)
        case "complete":
            return CompleteTask(task_id=task_id, claim_epoch=epoch)
        case "extend":
            return ExtendClaim(task_id=task_id, claim_epoch=epoch)
        case _:
            return FailTask(task_id=task_id, claim_epoch=epoch, error="it broke", retryable=kind == "fail")


class Life(RuleBasedStateMachine):
    """Tasks of one ticket, over an index whose hints are as bad as may be: every task there ever was."""

    @initialize()
    def open_ticket(self) -> None:
        self.shop = Workshop()
        self.shop.finders[ReadyCandidates] = lambda lookup: tuple(self.shop.task_ids)[: lookup.limit]
        self.visit = 1
        self.before: dict[str, Task] = {}
        self.known: dict[str, Task] = {}
        self.seen = len(self.shop.events)
        self.attempts: dict[str, int] = defaultdict(int)
        self.pardoned: set[str] = set()
        self.heard: set[tuple[str, int]] = set()

    def do(self, command: Command, *allowed: type[Refused]) -> bool:
        """Whether it was done, rather than refused in one of the `allowed` ways."""
        try:
            self.shop.do(command)
        except allowed:
            return False
        return True

    def pick(self, index: int) -> str:
        return self.shop.task_ids[index % len(self.shop.task_ids)]

    def pick_claimed(self, index: int) -> str:
        claimed = [task_id for task_id in self.shop.task_ids if self.shop.task(task_id).claimed]
        return claimed[index % len(claimed)] if claimed else self.pick(index)

    @precondition(lambda self: len(self.shop.task_ids) < MOST_TASKS)
    @rule(
        depends_on=st.lists(st.integers(0, 99), max_size=4),
        needs=st.sampled_from(["all", "all", "any", 2]),
        policy=st.sampled_from(["block", "skip", "fail"]),
        max_retries=st.integers(0, 2),
        timeout_seconds=st.sampled_from([None, 20]),
        phase_id=st.sampled_from([None, "CHECK"]),
    )
    def create(self, depends_on: list[int], needs: str | int, policy: str, **fields: object) -> None:
        known = self.shop.task_ids
        others = list(dict.fromkeys(self.pick(index) for index in depends_on)) if known else []
        number = "all" if isinstance(needs, int) and needs > len(others) else needs
        task_id = f"task-{len(known):02}"
        self.shop.create(task_id, *others, needs=number, on_dependency_failure=policy, **fields)

    @precondition(lambda self: self.shop.task_ids)
    @rule(one=st.integers(0, 99), other=st.integers(0, 99))
    def add_dependency(self, one: int, other: int) -> None:
        self.do(
            AddDependency(task_id=self.pick(one), depends_on=self.pick(other)),
            DependencyCycle,
            TaskNotWaiting,
        )

    @rule(agent_id=AGENTS, max_tasks=st.integers(1, 3))
    def claim(self, agent_id: str, max_tasks: int) -> None:
        facts = self.shop.do(ClaimTask(agent_id=agent_id, max_tasks=max_tasks))
        told = (task for fact in facts if isinstance(fact, Claimed) for task in fact.tasks)
        self.heard |= {(task.task_id, task.claim_epoch) for task in told}

    @precondition(lambda self: self.shop.task_ids)
    @rule(index=st.integers(0, 99), agent_id=AGENTS)
    def assign(self, index: int, agent_id: str) -> None:
        task = self.shop.task(self.pick(index))
        free = not self.shop.reasons(task.task_id)
        self.do(AssignTask(task_id=task.task_id, agent_id=agent_id))
        assert (self.shop.task(task.task_id).claim_epoch > task.claim_epoch) == free

    @precondition(lambda self: self.shop.task_ids)
    @rule(index=st.integers(0, 99), kind=REPORTS, off=st.sampled_from([0, 0, 0, 0, -1, 1]))
    def report(self, index: int, kind: str, off: int) -> None:
        task = self.shop.task(self.pick_claimed(index))
        done = self.do(report(kind, task.task_id, task.claim_epoch + off), StaleClaim)
        heard = task.status == "cancelled" if kind == "extend" else task.ended
        assert (
            done == (off == 0 and (task.claimed or (heard and task.claim_epoch > 0))) or task.claim_epoch == 0
        )

    @precondition(lambda self: self.shop.task_ids)
    @rule(index=st.integers(0, 99))
    def cancel(self, index: int) -> None:
        self.do(CancelTask(task_id=self.pick(index)), TaskEnded)

    @precondition(lambda self: self.shop.task_ids)
    @rule(index=st.integers(0, 99))
    def retry(self, index: int) -> None:
        task_id = self.pick(index)
        if self.do(RetryTask(task_id=task_id), NotRetryable, TicketMovedOn):
            self.pardoned.add(task_id)

    @rule(seconds=st.sampled_from([0.5, 3, 21, 61]))
    def wait(self, seconds: float) -> None:
        self.shop.wait(seconds)

    @rule(agent_id=AGENTS)
    def lose_agent(self, agent_id: str) -> None:
        self.do(ReleaseClaims(agent_id=agent_id, reason="lost", before=self.shop.now))

    @rule(comes_back=st.booleans())
    def move(self, comes_back: bool) -> None:
        if not self.shop.past.of(Ticket, "T-1").on_hold:
            self.shop.enter("BLOCKED", visit=self.visit)
            return
        self.visit += not comes_back
        self.shop.enter("BACKLOG", visit=self.visit)

    def tasks(self) -> list[Task]:
        return [self.shop.task(task_id) for task_id in self.shop.task_ids]

    def news(self) -> list[Event]:
        news = self.shop.events[self.seen :]
        self.seen = len(self.shop.events)
        return news

    @invariant()
    def claims_are_exclusive_epochs_grow_and_the_end_is_the_end(self) -> None:
        for event in self.news():
            if not isinstance(event, TaskEvent):
                continue
            task = self.known.get(event.task_id, Task())
            if isinstance(event, TaskClaimed):
                assert task.status == "ready"
                assert event.claim_epoch == task.claim_epoch + 1
                self.attempts[task.task_id] += 1
                assert self.attempts[task.task_id] <= task.max_retries + 1
            if isinstance(event, TaskRetried):
                self.attempts[task.task_id] = 0
            assert not task.ended or isinstance(event, AFTER_THE_END)
            self.known[event.task_id] = evolve(task, event)

    @invariant()
    def a_task_moves_only_along_the_ways_there_are(self) -> None:
        for task in self.tasks():
            old = self.before.get(task.task_id, task)
            assert task.status == old.status or task.status in MOVES[old.status]
            self.before[task.task_id] = task

    @invariant()
    def a_task_waits_exactly_as_long_as_its_dependencies_ask(self) -> None:
        for task in self.tasks():
            if task.ended:
                self.pardoned.discard(task.task_id)
                continue
            stand = [self.shop.status(task_id) for task_id in task.depends_on]
            completed = stand.count("completed")
            needed = {"all": len(stand), "any": min(1, len(stand)), 2: 2}[task.needs]
            unheld = task.status != "waiting" or task.not_before is not None
            assert unheld == (completed >= needed)
            if completed + sum(one not in ("completed", "failed", "cancelled") for one in stand) >= needed:
                self.pardoned.discard(task.task_id)
            else:
                assert task.on_dependency_failure == "block" or task.task_id in self.pardoned

    @invariant()
    def nobody_waits_for_himself(self) -> None:
        TopologicalSorter({task.task_id: list(task.depends_on) for task in self.tasks()}).prepare()

    @invariant()
    def a_task_is_explained_exactly_when_it_is_not_handed_out(self) -> None:
        facts = self.shop.decide(ClaimTask(agent_id="joe", max_tasks=100))
        offered = {task.task_id for fact in facts if isinstance(fact, Claimed) for task in fact.tasks}
        assert offered == {task.task_id for task in self.tasks() if not self.shop.reasons(task.task_id)}
        assert offered == {task.task_id for task in self.tasks() if row(task)["lane"]}

    @invariant()
    def an_agent_hears_of_exactly_what_was_claimed_for_it_and_not_begun(self) -> None:
        for agent_id in ("bob", "eve"):
            facts = self.shop.decide(ClaimTask(agent_id=agent_id, max_tasks=100))
            told = {task.task_id for fact in facts if isinstance(fact, Claimed) for task in fact.tasks}
            mine = {t.task_id for t in self.tasks() if t.agent_id == agent_id and t.status == "claimed"}
            heard = {
                task_id for task_id in mine if (task_id, self.shop.task(task_id).claim_epoch) in self.heard
            }
            fresh = {task_id for task_id in self.shop.task_ids if not self.shop.reasons(task_id)}
            assert told == (mine - heard) | fresh

    @invariant()
    def what_must_happen_later_is_on_a_timer(self) -> None:
        wanted = set()
        for task in self.tasks():
            wanted |= {f"lease-{task.task_id}"} if task.claimed else set()
            wanted |= (
                {f"timeout-{task.task_id}"} if task.status == "running" and task.timeout_seconds else set()
            )
            wanted |= {f"backoff-{task.task_id}"} if task.not_before else set()
        assert set(self.shop.timers) == wanted

    @invariant()
    def what_is_decided_on_is_what_a_replay_of_the_history_gives(self) -> None:
        assert self.known == {task.task_id: task for task in self.tasks()}


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
