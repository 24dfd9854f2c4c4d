"""Agents find, branch, work and give up in any order, while news is late, doubled, or overtakes."""

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from services.discovery.budget import Budget
from services.scheduler.task import Task
from shared.contracts import discovery as contract
from shared.contracts.task import CancelTask, ClaimTask, CompleteTask, CreateTask, FailTask, RetryTask
from shared.kernel.decider import Refused, Waiting
from tests.discovery.lookout import Lookout

MAX_OPEN, MAX_DEPTH = 3, 2
TEXTS = ("A leg is loose.", "a leg is LOOSE", "It creaks.")
PHASES = ("BACKLOG", "BUILD", "NOWHERE")
which = st.integers(0, 5)


class Finding(RuleBasedStateMachine):
    """What readers are shown is compared with the tasks there are."""

    tasks = Bundle("tasks")
    asked = Bundle("asked")

    def __init__(self) -> None:
        super().__init__()
        self.at = Lookout(MAX_OPEN, MAX_DEPTH)
        self.retried = False
        self.count = 0

    @rule(target=tasks, parent=st.none() | tasks)
    def create(self, parent: str | None) -> str:
        self.count += 1
        task_id = f"task-{self.count}"
        self.at.work(
            CreateTask(
                task_id=task_id, ticket_id="T-1", task_type="chore", title=task_id, parent_task_id=parent
            )
        )
        return task_id

    @rule(task_id=tasks, text=st.sampled_from(TEXTS))
    def record(self, task_id: str, text: str) -> None:
        self._try(contract.Record(source_task_id=task_id, discovery_type="bug", description=text))

    @rule(target=asked, task_id=tasks, text=st.sampled_from(TEXTS), phase=st.sampled_from(PHASES))
    def branch(self, task_id: str, text: str, phase: str) -> Any:
        self.count += 1
        command = contract.Branch(
            source_task_id=task_id,
            discovery_type="bug",
            description=text,
            spawn_phase_id=phase,
            spawned_task_id=f"spawned-{self.count}",
        )
        key = f"branch-{self.count}"
        self._try(command, key)
        return command, key

    @rule(given=asked)
    def ask_again(self, given: Any) -> None:
        self._try(*given)

    def _try(self, command: Any, key: str | None = None) -> Any:
        try:
            return self.at.decide(command, key=key)
        except (Refused, Waiting):
            return None

    @rule(target=tasks, given=consumes(asked))
    def learn_of_the_spawned(self, given: Any) -> Any:
        command, _ = given
        there = self.at.shop.past.of(Task, command.spawned_task_id).exists
        return command.spawned_task_id if there else multiple()

    @rule(data=st.data(), act=st.sampled_from([contract.Resolve, contract.Dismiss]))
    def close(self, data: st.DataObject, act: Any) -> None:
        if ids := sorted(self.at.discoveries):
            self._try(act(discovery_id=data.draw(st.sampled_from(ids))))

    @rule(how=st.sampled_from(["complete", "fail", "fail for good"]))
    def work(self, how: str) -> None:
        won = [fact for fact in self.at.shop.do(ClaimTask(agent_id="bob")) if hasattr(fact, "tasks")]
        for task in [task for claimed in won for task in claimed.tasks]:
            named = {"task_id": task.task_id, "claim_epoch": task.claim_epoch}
            if how == "complete":
                self.at.work(CompleteTask(**named))
            else:
                self.at.work(FailTask(**named, error="no", retryable=how == "fail"))

    @rule(task_id=tasks)
    def cancel(self, task_id: str) -> None:
        self.at.work(CancelTask(task_id=task_id))

    @rule(task_id=tasks)
    def retry(self, task_id: str) -> None:
        self.at.shop.wait(1)
        self.retried = self.at.work(RetryTask(task_id=task_id)) or self.retried

    @rule(which=which, twice=st.booleans())
    def hear(self, which: int, twice: bool) -> None:
        self.at.shop.wait(1)
        self.at.hear(which, twice=twice)

    @invariant()
    def what_is_shown_is_there(self) -> None:
        for found in self.at.discoveries.values():
            for branch in found.spawned:
                assert found.recorded
                assert self.at.shop.past.of(Task, branch.spawned_task_id).discovery_id == found.discovery_id

    @invariant()
    def a_discovery_is_shown_with_its_first_task_at_the_same_moment(self) -> None:
        for before, event in enumerate(self.at.events):
            if isinstance(event, contract.DiscoveryRecorded) and event.spawned_task_id:
                follows = self.at.events[before + 1]
                assert isinstance(follows, contract.DiscoveryBranchCreated)
                assert follows.spawned_task_id == event.spawned_task_id

    @invariant()
    def the_same_is_recorded_once(self) -> None:
        recorded = [event for event in self.at.events if isinstance(event, contract.DiscoveryRecorded)]
        same = Counter(event.description.lower().strip(".") for event in recorded)
        assert all(count == 1 for count in same.values()), same

    @invariant()
    def the_budget_holds(self) -> None:
        known = self.at.past.of(Budget, "T-1").open
        assert self.retried or len(known) <= MAX_OPEN
        assert len(set(known)) == len(known)
        deepest = [branch.depth for found in self.at.discoveries.values() for branch in found.spawned]
        assert max(deepest, default=0) <= MAX_DEPTH

    def teardown(self) -> None:
        """Once all news has arrived, both sides say the same."""
        self.at.hear_all()
        branches = {
            branch.spawned_task_id: branch
            for found in self.at.discoveries.values()
            for branch in found.spawned
        }
        made = [self.at.shop.past.of(Task, task_id) for task_id in self.at.shop.task_ids]
        spawned = {task.task_id: task for task in made if task.discovery_id}
        assert branches.keys() == spawned.keys()
        open_ones = {task_id for task_id, task in spawned.items() if not task.ended}
        assert set(self.at.past.of(Budget, "T-1").open) == open_ones
        for task_id, task in spawned.items():
            assert branches[task_id].status == (task.status if task.ended else "open")
        for found in self.at.discoveries.values():
            assert not found.under_way
            goes_on = any(branch.status == "open" for branch in found.spawned)
            assert not (found.status == "in_progress" and not goes_on), found
            assert not (found.status == "open" and found.spawned and goes_on), found


Finding.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestFinding = Finding.TestCase
