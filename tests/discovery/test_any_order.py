"""Agents find, branch, work and give up in any order, while news is late, doubled, or overtakes."""

from collections import Counter
from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.discovery.budget import Budget
from services.discovery.fingerprint import Fingerprint, fingerprint
from services.scheduler.task import Task
from shared.contracts import discovery as contract
from shared.contracts.messages import Command
from shared.contracts.task import CancelTask, CompleteTask, CreateTask, FailTask, RetryTask
from shared.kernel.decider import Refused, Waiting
from tests.discovery.lookout import Lookout

MAX_OPEN, MAX_DEPTH = 3, 2
TEXTS = ("A leg is loose.", "a leg is LOOSE", "It creaks.", "It smells.")
PHASES = ("BACKLOG", "BACKLOG", "BUILD", "CHECK", "LOFT", "NOWHERE")


class Finding(RuleBasedStateMachine):
    """What readers are shown is compared with the tasks there are."""

    def __init__(self) -> None:
        super().__init__()
        self.at = Lookout(MAX_OPEN, MAX_DEPTH)
        self.retried = False
        self.asked: list[tuple[contract.Branch, str]] = []
        self.told: dict[str, str] = {}
        for task_id in ("chair", "table"):
            self.at.shop.create(task_id)
        self.at.listen()
        self.at.hear_all()

    def _task(self, data: st.DataObject) -> str:
        return str(data.draw(st.sampled_from(self.at.shop.task_ids)))

    def _spawned(self, data: st.DataObject) -> str:
        """One that a discovery has spawned, if there is any."""
        made = [
            task_id for task_id in self.at.shop.task_ids if self.at.shop.past.of(Task, task_id).discovery_id
        ]
        return str(data.draw(st.sampled_from(made))) if made else self._task(data)

    @rule(data=st.data())
    def create(self, data: st.DataObject) -> None:
        task_id = f"task-{len(self.at.shop.task_ids)}"
        named = {"task_id": task_id, "ticket_id": "T-1", "task_type": "chore", "title": task_id}
        self.at.work(CreateTask(**named, parent_task_id=self._task(data)))

    @rule(data=st.data(), text=st.sampled_from(TEXTS))
    def record(self, data: st.DataObject, text: str) -> None:
        self._try(contract.Record(source_task_id=self._task(data), discovery_type="bug", description=text))

    @rule(data=st.data(), text=st.sampled_from(TEXTS), phase=st.sampled_from(PHASES))
    def branch(self, data: st.DataObject, text: str, phase: str) -> None:
        number = len(self.asked)
        command = contract.Branch(
            source_task_id=self._task(data),
            discovery_type="bug",
            description=text,
            spawn_phase_id=phase,
            spawned_task_id=f"spawned-{number}",
        )
        self.asked.append((command, f"branch-{number}"))
        self._ask(*self.asked[-1])

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        self._ask(*data.draw(st.sampled_from(self.asked)))

    def _ask(self, command: contract.Branch, key: str) -> None:
        """Who was told of a task of its own is told so again; of another's, that it was known."""
        told = None
        with suppress(Refused, Waiting):
            told = self.at.decide(command, key=key)
        if self.told.get(key) == command.spawned_task_id:
            assert told is not None
            assert told.spawned_task_id == command.spawned_task_id
        if told is not None:
            assert told.known == (told.spawned_task_id != command.spawned_task_id)
            self.told[key] = told.spawned_task_id

    def _try(self, command: Command, key: str | None = None) -> None:
        with suppress(Refused, Waiting):
            self.at.decide(command, key=key)

    @precondition(lambda self: self.at.discoveries)
    @rule(data=st.data(), act=st.sampled_from([contract.Resolve, contract.Resolve, contract.Dismiss]))
    def close(self, data: st.DataObject, act: type[contract.Resolve | contract.Dismiss]) -> None:
        self._try(act(discovery_id=data.draw(st.sampled_from(sorted(self.at.discoveries)))))

    @rule(data=st.data(), how=st.sampled_from(["complete", "fail", "cancel", "cancel"]))
    def end(self, data: st.DataObject, how: str) -> None:
        task_id = self._spawned(data)
        self.at.shop.wait(1)
        if how == "cancel":
            self.at.work(CancelTask(task_id=task_id))
            return
        for task in self.at.claim():
            named = {"task_id": task.task_id, "claim_epoch": task.claim_epoch}
            failed = FailTask(**named, error="no", retryable=False)
            self.at.work(CompleteTask(**named) if how == "complete" else failed)

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        self.at.shop.wait(1)
        self.retried = self.at.work(RetryTask(task_id=self._spawned(data))) or self.retried

    @rule(which=st.lists(st.integers(0, 5), min_size=1, max_size=8), twice=st.booleans())
    def hear(self, which: list[int], twice: bool) -> None:
        for number in which:
            self.at.hear(number, twice=twice)

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
            assert not (found.automatic and goes_on), found
            for branch in found.spawned:
                assert branch.depth == self._depth(branch.spawned_task_id)
            told = fingerprint("T-1", found.discovery_type, found.description)
            first = self.at.past.of(Fingerprint, told).discovery_id
            assert (first == found.discovery_id) == found.recorded

    def _depth(self, task_id: str | None) -> int:
        """How many of a task, its parent, and so on, were spawned."""
        task = self.at.shop.past.of(Task, task_id or "")
        return self._depth(task.parent_task_id) + (task.discovery_id is not None) if task.exists else 0


Finding.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestFinding = Finding.TestCase
