"""Whatever tasks ask of locks, in whatever order, and whenever their agents or the service fall over."""

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.scheduler.claim import ReadyCandidates
from services.scheduler.lock import Lock
from services.scheduler.lock_holder import LockHolder
from services.scheduler.lock_request import LockDeadlock, LockHeld, NotLockOwner, TaskNotYours
from services.scheduler.task import TaskEnded
from shared.contracts.lock import (
    AcquireLocks,
    EndLockWait,
    ExpireLock,
    ExtendLock,
    LockAcquired,
    LockExpired,
    LockReleased,
    LockWaitTime,
    LockWish,
    Mode,
    ReleaseLock,
)
from shared.contracts.messages import Command, Event
from shared.contracts.task import (
    CancelTask,
    CompleteTask,
    CreateTask,
    ExtendClaim,
    FailTask,
    HandOverClaim,
    ReleaseClaims,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskLeaseExpired,
    TaskRetryScheduled,
)
from tests.scheduler.lock_table import Held, LockTable, Place, Wishes
from tests.scheduler.sender import Sender
from tests.scheduler.workshop import Workshop

RESOURCES = ("x", "y", "z")
STRANGERS = ("s1", "s2", "s3", "s4")
"""Tasks the scheduler knows nothing of; they may hold locks all the same."""
AGENTS = st.sampled_from(["bob", "bob", "bob", "eve"])
MODES = st.sampled_from(["shared", "exclusive"])
WISHES = st.lists(st.tuples(st.sampled_from(RESOURCES), MODES), min_size=1, max_size=3)
SECONDS = st.sampled_from([1, 10, 40])
ENDS = (TaskCancelled, TaskCompleted, TaskFailed, TaskLeaseExpired, TaskRetryScheduled)
TOLD = {"in_the_way", "cycle"}
REFUSALS = (LockHeld, LockDeadlock, NotLockOwner, TaskNotYours, TaskEnded)


class LockLife(RuleBasedStateMachine):
    """A few resources, a few tasks that hold them by claim or by name, and senders that wait or give up."""

    def __init__(self) -> None:
        super().__init__()
        self.shop = Workshop()
        self.table = LockTable()
        self.heard = 0
        self.sent = 0
        self.waiting: list[Sender] = []
        self.to_let_go: dict[str, set[str]] = defaultdict(set)

    def send(self, command: Command) -> Sender:
        self.sent += 1
        sender = Sender(self.shop, f"sent-{self.sent}", command)
        self.decide(sender)
        self.wake()
        return sender

    def decide(self, sender: Sender) -> None:
        if not sender.send():
            self.waiting.append(sender)
        if sender.refused:
            assert isinstance(sender.refused, REFUSALS)
            self.is_true(sender)
        self.hear()

    def wake(self) -> None:
        while woken := [sender for sender in self.waiting if sender.to_be_woken]:
            self.waiting = [sender for sender in self.waiting if sender not in woken]
            for sender in woken:
                self.decide(sender)

    def is_true(self, sender: Sender) -> None:
        """Nobody is told of others in the way, or of a cycle, that are not there."""
        command = sender.command
        if isinstance(command, AcquireLocks) and sender.refused and sender.refused.details.keys() & TOLD:
            front = self.table.in_front(command.task_id, _wishes(command), _request_id(sender))
            assert front or isinstance(sender.refused, LockDeadlock)  # whose own waiting would not end
            if front and isinstance(sender.refused, LockDeadlock):
                assert command.task_id in self.table.reached(front)

    def hear(self) -> None:
        news, self.heard = self.shop.events[self.heard :], len(self.shop.events)
        for event in news:
            self.follow_ends(event)
            self.table.hear(event)

    def follow_ends(self, event: Event) -> None:
        """Whatever a task holds when its attempt ends it must let go before it is granted anything again."""
        match event:
            case LockReleased() | LockExpired():
                self.to_let_go[event.task_id].discard(event.resource_key)
            case LockAcquired():
                assert not self.to_let_go[event.task_id]
            case _ if isinstance(event, ENDS):
                self.to_let_go[event.task_id] |= {*self.table.holds_of(event.task_id)}
            case _:
                pass

    def somebody(self, number: int) -> str:
        everybody = [*STRANGERS, *self.shop.task_ids]
        return everybody[number % len(everybody)]

    @rule(
        number=st.integers(0, 9),
        agent_id=AGENTS,
        wishes=WISHES,
        ttl=SECONDS,
        wait=st.sampled_from([0, 5, 60, 60]),
    )
    def acquire(self, number: int, agent_id: str, wishes: list[tuple[str, Any]], ttl: int, wait: int) -> None:
        resources = tuple(LockWish(resource_key=key, mode=mode) for key, mode in wishes)
        named = {"task_id": self.somebody(number), "agent_id": agent_id}
        self.send(AcquireLocks(resources=resources, **named, ttl_seconds=ttl, wait_seconds=wait))

    @rule(
        asked=st.lists(st.tuples(st.integers(0, 9), st.sampled_from("xxy"), MODES), min_size=3, max_size=8),
        wait=st.sampled_from([5, 60]),
        seconds=st.sampled_from([0, 6, 6]),
    )
    def rush(self, asked: list[tuple[int, str, Mode]], wait: int, seconds: int) -> None:
        """What the lock table sees most: many want one thing, one after another."""
        for number, resource, mode in asked:
            task_id = self.somebody(number)
            task = self.shop.task(task_id)
            if number < 8 and any(asker == task_id for asker, _ in self.table.requests()):
                continue
            named = {"task_id": task_id, "agent_id": task.holder if task.claimed else "bob"}
            wish = LockWish(resource_key=resource, mode=mode)
            patience = wait if number % 2 else 60
            self.send(AcquireLocks(resources=(wish,), **named, ttl_seconds=40, wait_seconds=patience))
        self.wait(seconds)

    @rule(
        resources=st.lists(st.sampled_from(RESOURCES), max_size=2),
        asked=st.lists(WISHES, min_size=1, max_size=4),
        others=st.lists(st.tuples(st.sampled_from(STRANGERS), WISHES), max_size=3),
        end=st.sampled_from(["complete", "fail", "lost", "handed over", "goes on"]),
    )
    def work(
        self,
        resources: list[str],
        asked: list[list[tuple[str, Mode]]],
        others: list[tuple[str, list[tuple[str, Mode]]]],
        end: str,
    ) -> None:
        """One attempt at a task: its agent asks for more than the task needs, others for the same things."""
        self.create(resources)
        self.claim("bob")
        task_id = self.shop.task_ids[-1]
        for who, wishes in [(task_id, one) for one in asked] + others:
            many = tuple(LockWish(resource_key=key, mode=mode) for key, mode in wishes)
            named = {"task_id": who, "agent_id": "bob"}
            self.send(AcquireLocks(resources=many, **named, ttl_seconds=10, wait_seconds=60))
        match end:
            case "lost":
                self.lose_agent("bob")
            case "handed over":
                self.hand_over(len(self.shop.task_ids) - 1)
            case "complete" | "fail":
                self.go_on(-1, end)
            case _:
                self.wait(6)

    @rule(
        number=st.integers(0, 19),
        whose=st.sampled_from(["owner", "owner", "owner", "eve"]),
        off=st.sampled_from([0, 0, 0, 1]),
    )
    def release(self, number: int, whose: str, off: int) -> None:
        """Some quote a token that is not the hold's, some are not the owner, and some have no hold."""
        resource, task_id = self.some_hold(number)
        hold = self.table.held[resource].get(task_id)
        if hold and hold.depth == 1 and hold.expires_at is None:
            return  # its agent may let go of what the task needs, but then the claim promises nothing
        owner = self.owner(task_id, hold) if hold else "bob"
        agent_id = owner if whose == "owner" else whose
        token, depth = (hold.token - off, hold.depth) if hold else (1, 0)
        named: dict[str, Any] = {"resource_key": resource, "task_id": task_id, "agent_id": agent_id}
        done = self.send(ReleaseLock(**named, fencing_token=token)).refused is None
        assert done == (hold is not None and not off and agent_id == owner)
        left = self.table.held[resource].get(task_id)
        if done:
            assert left is None or left.token > token or left.depth == depth - 1
        elif hold:
            assert left == replace(hold, depth=depth)

    @rule(number=st.integers(0, 19))
    def come_too_late(self, number: int) -> None:
        """Timers of an earlier hold, and of a request that is over, take nothing away."""
        resource, task_id = self.some_hold(number)
        if hold := self.table.held[resource].get(task_id):
            before = len(self.shop.events)
            self.send(ExpireLock(resource_key=resource, task_id=task_id, fencing_token=hold.token - 1))
            self.send(EndLockWait(task_id=task_id, request_id="over"))
            assert len(self.shop.events) == before

    def owner(self, task_id: str, hold: Held) -> str:
        task = self.shop.task(task_id)
        return task.holder if task.claimed else hold.agent_id

    def some_hold(self, number: int) -> tuple[str, str]:
        """Mostly one that there is."""
        holds = [(resource, task_id) for resource in RESOURCES for task_id in self.table.held[resource]]
        return (*holds, ("x", self.somebody(number)))[number % (len(holds) + 1)]

    @rule(number=st.integers(0, 19), ttl=SECONDS)
    def extend(self, number: int, ttl: int) -> None:
        resource, task_id = self.some_hold(number)
        hold = self.table.held[resource].get(task_id)
        extended = self.send(ExtendLock(resource_key=resource, task_id=task_id, ttl_seconds=ttl))
        assert (extended.refused is None) == (hold is not None)
        if hold and hold.expires_at:
            assert hold.expires_at == self.shop.now + timedelta(seconds=ttl)

    @rule(resources=st.lists(st.sampled_from(RESOURCES), max_size=2))
    def create(self, resources: list[str]) -> None:
        number = len(self.shop.task_ids)
        named = {"task_id": f"task-{number}", "ticket_id": "T-1", "task_type": "chore", "title": "a"}
        self.send(CreateTask(**named, resources=tuple(resources)))

    @rule(agent_id=AGENTS)
    def claim(self, agent_id: str) -> None:
        self.shop.claim(agent_id, max_tasks=2)
        self.hear()
        self.wake()

    @rule(index=st.integers(0, 9), how=st.sampled_from(["complete", "fail", "give up", "cancel", "beat"]))
    def go_on(self, index: int, how: str) -> None:
        """A task in work ends, or its agent beats; one that does not is lost after a while."""
        claimed = [task_id for task_id in self.shop.task_ids if self.shop.task(task_id).claimed]
        if claimed:
            task_id = claimed[index % len(claimed)]
            named: dict[str, Any] = {"task_id": task_id, "claim_epoch": self.shop.task(task_id).claim_epoch}
            ways: dict[str, Command] = {
                "complete": CompleteTask(**named),
                "fail": FailTask(**named, error="it broke"),
                "give up": FailTask(**named, error="it broke", retryable=False),
                "cancel": CancelTask(task_id=task_id),
                "beat": ExtendClaim(**named),
            }
            self.send(ways[how])

    @rule(index=st.integers(0, 9))
    def hand_over(self, index: int) -> None:
        """A claim passes to the other agent, and the locks with it."""
        claimed = [task_id for task_id in self.shop.task_ids if self.shop.task(task_id).claimed]
        if claimed:
            task = self.shop.task(claimed[index % len(claimed)])
            agreed = {"from_agent": task.holder, "to_agent": "eve" if task.holder == "bob" else "bob"}
            named: dict[str, Any] = {"task_id": task.task_id, "claim_epoch": task.claim_epoch}
            self.send(HandOverClaim(**named, **agreed, handoff_id="h"))

    @rule(agent_id=AGENTS)
    def lose_agent(self, agent_id: str) -> None:
        self.send(ReleaseClaims(agent_id=agent_id, reason="lost"))

    @rule(seconds=st.sampled_from([1, 6, 6, 40]))
    def wait(self, seconds: int) -> None:
        """Timers fire when they are due, and senders that have waited long enough are told so."""
        for _ in range(seconds):
            self.shop.wait(1)
            self.hear()
            self.wake()

    @rule(seconds=SECONDS, comes_back=st.booleans())
    def fall_over(self, seconds: int, comes_back: bool) -> None:
        """Nothing fires for a while; senders ask again under their ids, or never; what is due comes late."""
        self.shop.now += timedelta(seconds=seconds)
        senders, self.waiting = self.waiting, []
        for sender in senders if comes_back else ():
            sender.received_at = self.shop.now
            self.decide(sender)
        self.shop.wait(0)
        self.hear()
        self.wake()

    def teardown(self) -> None:
        """Once everybody who holds lets go, everybody who waits gets in, in turn, and nothing is left."""
        while holds := [(key, task_id) for key in RESOURCES for task_id in self.table.held[key]]:
            resource, task_id = holds[0]
            if self.shop.task(task_id).claimed:
                self.send(CancelTask(task_id=task_id))
            else:
                self.send(ReleaseLock(resource_key=resource, task_id=task_id))
        assert not any(self.table.lines.values())
        assert not self.waiting

    @invariant()
    def what_is_decided_on_is_what_the_events_say(self) -> None:
        for resource in RESOURCES:
            lock = self.shop.past.of(Lock, resource)
            held = {h.task_id: (h.mode, h.fencing_token, h.depth, h.expires_at) for h in lock.holders}
            told = self.table.held[resource].items()
            assert held == {task: (one.mode, one.token, one.depth, one.expires_at) for task, one in told}
            line = [Place(one.request_id, one.task_id, one.mode, one.wait_until) for one in lock.waiting]
            assert line == self.table.lines[resource]
        asked = {
            (task_id, request_id): {wish.resource_key: wish.mode for wish in request.resources}
            for task_id in (*STRANGERS, *self.shop.task_ids)
            for request_id, request in self.shop.past.of(LockHolder, task_id).waiting.items()
        }
        assert asked == self.table.requests()

    @invariant()
    def nobody_waits_for_what_it_could_have_or_for_itself(self) -> None:
        for (task_id, request_id), wishes in self.table.requests().items():
            front = self.table.in_front(task_id, wishes, request_id)
            assert front
            assert task_id not in self.table.reached(front) or self.somebody_asks_twice()

    def somebody_asks_twice(self) -> bool:
        """Who asks for more while it waits may come to wait for itself, until its patience is over."""
        askers = [task_id for task_id, _ in self.table.requests()]
        return len(askers) > len(set(askers))

    @invariant()
    def whoever_waits_for_an_answer_stands_in_line(self) -> None:
        """Who has read what changed is decided again: nobody is granted or denied without hearing of it."""
        assert {_request_id(one) for one in self.waiting} <= {asked for _, asked in self.table.requests()}

    @invariant()
    def what_must_end_is_on_a_timer(self) -> None:
        due = {key: timer.due_at for key, timer in self.shop.timers.items() if key.startswith("lock-")}
        wanted = {
            f"lock-wait-{place.request_id}": place.wait_until + timedelta(seconds=2)
            for line in self.table.lines.values()
            for place in line
        }
        for resource in RESOURCES:
            for task_id, hold in self.table.held[resource].items():
                if hold.expires_at:
                    wanted[f"lock-{hold.token}-{task_id}-{resource}"] = hold.expires_at
        assert due == wanted
        assert all(moment > self.shop.now for moment in due.values())

    @invariant()
    def a_task_holds_what_it_needs_exactly_while_it_is_claimed(self) -> None:
        assert not any(self.to_let_go.values())
        for task_id in self.shop.task_ids:
            task, held = self.shop.task(task_id), self.table.holds_of(task_id)
            by_claim = [key for key in held if self.table.held[key][task_id].expires_at is None]
            assert by_claim == (sorted(task.resources) if task.claimed else [])
            if task.ended:
                assert not held
                assert not any(asker == task_id for asker, _ in self.table.requests())

    @invariant()
    def a_task_is_offered_exactly_when_nothing_speaks_against_it(self) -> None:
        free = [task_id for task_id in self.shop.task_ids if not self.shop.reasons(task_id)]
        assert bool(free) == bool(_offered(self.shop))
        assert set(_offered(self.shop)) <= set(free)

    @invariant()
    def every_attempt_is_told_once(self) -> None:
        told = [(event.request_id, event.resource_key) for event in self.shop.of_type(LockWaitTime)]
        assert len(told) == len(set(told))


def _request_id(sender: Sender) -> str:
    return sender.context.new_id("lock-request")


def _wishes(command: AcquireLocks) -> Wishes:
    """Each resource as strictly as it is asked for anywhere."""
    exclusive = {wish.resource_key for wish in command.resources if wish.mode == "exclusive"}
    keys = (wish.resource_key for wish in command.resources)
    return {key: "exclusive" if key in exclusive else "shared" for key in keys}


def _offered(shop: Workshop) -> list[str]:
    found: tuple[str, ...] = shop.past.find(ReadyCandidates(None, None, 99))
    return list(found)


LockLife.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLockLife = LockLife.TestCase
