"""Whatever tasks ask of locks, in whatever order, and whenever their agents or the service fall over."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.scheduler.claim import ReadyCandidates
from services.scheduler.lock import Lock
from services.scheduler.lock_holder import LockHolder
from services.scheduler.lock_request import LockDeadlock, LockHeld, NotLockOwner
from shared.contracts.lock import (
    AcquireLocks,
    ExtendLock,
    LockAcquired,
    LockDenied,
    LockQueued,
    LockWaitTime,
    LockWish,
    ReleaseLock,
)
from shared.contracts.messages import Command
from shared.contracts.task import CancelTask, CompleteTask, CreateTask, ExtendClaim
from shared.kernel.decider import Waiting
from tests.scheduler.workshop import Workshop

RESOURCES = ("x", "y", "z")
STRANGERS = ("s1", "s2", "s3", "s4")
"""Tasks the scheduler knows nothing of; they may hold locks all the same."""
WISHES = st.lists(
    st.tuples(st.sampled_from(RESOURCES), st.sampled_from(["shared", "exclusive"])), min_size=1, max_size=3
)
SECONDS = st.sampled_from([1, 10, 40])


class LockLife(RuleBasedStateMachine):
    """A few resources, a few tasks that hold them by claim, and a few that hold them by name."""

    @initialize()
    def begin(self) -> None:
        self.shop = Workshop()
        self.seen = 0
        self.tokens: dict[str, int] = {}
        self.lines: dict[str, list[tuple[str, str, str]]] = {resource: [] for resource in RESOURCES}

    def do(self, command: Command) -> None:
        try:
            self.shop.do(command)
        except (LockHeld, LockDeadlock, NotLockOwner, Waiting):
            return

    @rule(task_id=st.sampled_from(STRANGERS), wishes=WISHES, ttl=SECONDS, wait=st.sampled_from([0, 5, 60]))
    def acquire(self, task_id: str, wishes: list[tuple[str, Any]], ttl: int, wait: int) -> None:
        resources = tuple(LockWish(resource_key=key, mode=mode) for key, mode in wishes)
        self.do(
            AcquireLocks(
                resources=resources, task_id=task_id, agent_id="bob", ttl_seconds=ttl, wait_seconds=wait
            )
        )

    @rule(task_id=st.sampled_from(STRANGERS), resource=st.sampled_from(RESOURCES))
    def release(self, task_id: str, resource: str) -> None:
        self.do(ReleaseLock(resource_key=resource, task_id=task_id))

    @rule(task_id=st.sampled_from(STRANGERS), resource=st.sampled_from(RESOURCES), ttl=SECONDS)
    def extend(self, task_id: str, resource: str, ttl: int) -> None:
        self.do(ExtendLock(resource_key=resource, task_id=task_id, ttl_seconds=ttl))

    @rule(resources=st.lists(st.sampled_from(RESOURCES), max_size=2))
    def create(self, resources: list[str]) -> None:
        number = len(self.shop.task_ids)
        named = {"task_id": f"task-{number}", "ticket_id": "T-1", "task_type": "chore", "title": "a"}
        self.do(CreateTask(**named, resources=tuple(resources)))

    @rule()
    def claim(self) -> None:
        self.shop.claim(max_tasks=2)

    @rule(index=st.integers(0, 9), how=st.sampled_from(["complete", "cancel", "beat"]))
    def go_on(self, index: int, how: str) -> None:
        """A task in work ends, or its agent beats; one that does not is lost after a while."""
        claimed = [task_id for task_id in self.shop.task_ids if self.shop.task(task_id).claimed]
        if claimed:
            task_id = claimed[index % len(claimed)]
            epoch = self.shop.task(task_id).claim_epoch
            self.do(
                {
                    "complete": CompleteTask(task_id=task_id, claim_epoch=epoch),
                    "cancel": CancelTask(task_id=task_id),
                    "beat": ExtendClaim(task_id=task_id, claim_epoch=epoch),
                }[how]
            )

    @rule(seconds=SECONDS)
    def wait(self, seconds: int) -> None:
        self.shop.wait(seconds)

    @rule(seconds=SECONDS)
    def fall_over(self, seconds: int) -> None:
        """Nothing fires for a while; what is due comes late, and all at once."""
        self.shop.wait(0)
        timers, self.shop.timers = self.shop.timers, {}
        self.shop.wait(seconds)
        self.shop.timers = timers | self.shop.timers
        self.shop.wait(0)

    def lock(self, resource: str) -> Lock:
        return self.shop.past.of(Lock, resource)

    @invariant()
    def a_writer_is_alone(self) -> None:
        for resource in RESOURCES:
            modes = [hold.mode for hold in self.lock(resource).holders]
            assert "exclusive" not in modes or len(modes) == 1

    @invariant()
    def nobody_waits_for_what_it_could_have(self) -> None:
        for task_id in (*STRANGERS, *self.shop.task_ids):
            for request in self.shop.past.of(LockHolder, task_id).waiting.values():
                blocked = [
                    self.lock(wish.resource_key).in_the_way(task_id, wish.mode, request.request_id)
                    for wish in request.resources
                ]
                assert any(blocked)

    @invariant()
    def somebody_who_does_not_wait_is_in_the_way(self) -> None:
        """No deadlock: from any request, whoever is in the way of whoever is in the way ends at a holder."""
        waiting = {
            task_id: {
                other.task_id
                for request in self.shop.past.of(LockHolder, task_id).waiting.values()
                for wish in request.resources
                for other in self.lock(wish.resource_key).in_the_way(task_id, wish.mode, request.request_id)
            }
            for task_id in STRANGERS
        }
        while free := [task_id for task_id, others in waiting.items() if not others & waiting.keys()]:
            for task_id in free:
                del waiting[task_id]
        assert waiting == {}

    @invariant()
    def tokens_grow_and_lines_move_from_the_front(self) -> None:
        for event in self.shop.events[self.seen :]:
            match event:
                case LockQueued():
                    self.lines[event.resource_key].append((event.request_id, event.task_id, event.mode))
                case LockDenied():
                    self._leave(event)
                case LockAcquired():
                    if event.depth == 1:
                        assert event.fencing_token > self.tokens.get(event.resource_key, 0)
                    self.tokens[event.resource_key] = max(
                        event.fencing_token, self.tokens.get(event.resource_key, 0)
                    )
                    self._overtakes_nobody(event)
                    self._leave(event)
                case _:
                    pass
        self.seen = len(self.shop.events)
        for resource in RESOURCES:
            line = [(one.request_id, one.task_id, one.mode) for one in self.lock(resource).waiting]
            assert line == self.lines[resource]

    def _overtakes_nobody(self, event: LockAcquired) -> None:
        """Nobody who came before and cannot share is left waiting; who holds the lock already may go on."""
        for request_id, task_id, mode in self.lines[event.resource_key]:
            if request_id == event.request_id:
                return
            assert event.depth > 1 or task_id == event.task_id or (mode, event.mode) == ("shared", "shared")

    def _leave(self, event: LockDenied | LockAcquired) -> None:
        line = self.lines[event.resource_key]
        self.lines[event.resource_key] = [one for one in line if one[0] != event.request_id]

    @invariant()
    def a_task_holds_its_locks_exactly_while_it_is_claimed(self) -> None:
        for task_id in self.shop.task_ids:
            task = self.shop.task(task_id)
            held = [resource for resource in RESOURCES if self.lock(resource).held_by(task_id)]
            assert held == (list(task.resources) if task.claimed else [])

    @invariant()
    def a_task_is_offered_exactly_when_nothing_speaks_against_it(self) -> None:
        free = [task_id for task_id in self.shop.task_ids if not self.shop.reasons(task_id)]
        assert bool(free) == bool(_offered(self.shop))
        assert set(_offered(self.shop)) <= set(free)

    @invariant()
    def every_attempt_is_told_once(self) -> None:
        told = [(event.request_id, event.resource_key) for event in self.shop.of_type(LockWaitTime)]
        assert len(told) == len(set(told))


def _offered(shop: Workshop) -> list[str]:
    found: tuple[str, ...] = shop.past.find(ReadyCandidates(None, None, 99))
    return list(found)


LockLife.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLockLife = LockLife.TestCase
