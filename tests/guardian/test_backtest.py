"""A back-test says what the same policy in shadow recorded, however late anything was heard."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.guardian.replaying import Met
from shared.contracts.guardian import (
    GuardianPolicyLoaded,
    GuardianPolicyTriggered,
    GuardianTaskFollowed,
)
from tests.guardian.watching import Guardian, policy, replayed, told

CANCEL = [{"cancel_task": {"task_id": "task.id"}}]
TRIGGERS: list[dict[str, Any]] = [
    {"on": "task.started", "when": 'task.status == "running"', "lasting": "task.timeout_seconds * 2"},
    {"on": ["task.created", "task.ready"], "when": "task.priority == HIGH", "at": 'task.deadline - t"PT5M"'},
    {"on": "task.ready", "when": 'task.status == "ready"', "lasting": "3m", "provided": "fleet.free == 0"},
    {"on": "task.failed", "when": "task.retries_left == 0", "actions": CANCEL, "missed_after": "1m"},
    {"on": "fleet.waiting_changed", "when": "fleet.waiting_high > 1", "cooldown": "2m"},
    {"on": "fleet.waiting_changed", "when": "fleet.waiting_low > 0", "lasting": "4m", "cooldown": "0s"},
    {"on": "agent.lost", "when": "agent.running > 0", "cooldown": "5m"},
    {"on": "agent.degraded", "when": 'agent.status == "DEGRADED"', "lasting": "90s"},
    {"on": "discovery.recorded", "within": "6m", "when": "count > 2", "cooldown": "10m"},
    {"on": "phase.ticket_opened", "when": "not ticket.ended", "lasting": "7m", "cooldown": "1m"},
]
TASKS: dict[str, dict[str, Any]] = {
    "ready": {"status": "ready"},
    "started": {"status": "running", "agent_id": "bo"},
    "retry_scheduled": {"status": "waiting", "agent_id": None},
    "completed": {"status": "completed"},
    "failed": {"status": "failed"},
    "retried": {"status": "waiting"},
    "reprioritised": {"priority": "HIGH"},
}
AGENTS: dict[str, dict[str, Any]] = {
    "registered": {"standing": "IDLE", "capacity": 2},
    "attempt_began": {},
    "attempt_ended": {},
    "degraded": {"standing": "DEGRADED"},
    "recovered": {"standing": "IDLE"},
    "lost": {"standing": "FAILED"},
    "quarantined": {"quarantined": True},
    "released": {"quarantined": False},
    "deregistered": {"standing": "TERMINATED"},
}
TICKETS: dict[str, dict[str, Any]] = {
    "phase.ticket_opened": {},
    "discovery.recorded": {},
    "phase.transitioned": {"ended": True},
}
FIRST = {"task": "created", "agent": "registered", "ticket": "phase.ticket_opened"}
ONE = st.sampled_from("abc")
LATE = st.sampled_from([0, 0, 0, 0, 30, 100, 400])


def heard(late: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    """A piece of news, so late."""
    return st.one_of(
        st.tuples(st.just("task"), ONE, st.sampled_from(["created", *TASKS]), late),
        st.tuples(st.just("agent"), ONE, st.sampled_from([*AGENTS]), late),
        st.tuples(st.just("ticket"), ONE, st.sampled_from([*TICKETS]), late),
    )


HEARD = heard(LATE)
PASSING = st.tuples(st.sampled_from(["wait", "killed"]), st.sampled_from([10, 60, 200, 500]))
KNOWN = [(kind, name, fact, 0) for kind, fact in FIRST.items() for name in "abc"]
STEPS = st.lists(st.one_of(HEARD, HEARD, PASSING), min_size=30, max_size=60)
JOURNALS = STEPS.map(lambda steps: KNOWN + steps)
ON_TIME = st.lists(st.one_of(heard(st.just(0)), st.tuples(st.just("wait"), st.just(77))), min_size=30)
PROMPT = ON_TIME.map(lambda steps: KNOWN + steps)
POLICIES = st.one_of(st.just(TRIGGERS), st.lists(st.sampled_from(TRIGGERS), min_size=1, unique_by=repr))


def live(guardian: Guardian, journal: list[Any]) -> None:
    """Let all of it happen: while the guardian is killed its timers stand, and fire when it is back."""
    for kind, *step in journal:
        STEPS_OF[kind](guardian, *step)


def task(guardian: Guardian, task_id: str, fact: str, late: float) -> None:
    known: dict[str, Any] = {"priority": "HIGH", "timeout_seconds": 40, "retries_left": 1}
    if task_id == "a":
        known["deadline"] = "2026-01-01T12:20:00Z"
    changes = known if fact == "created" else TASKS[fact]
    guardian.task(task_id, fact, changes, late=late, spent=int(fact == "retry_scheduled"))


def agent(guardian: Guardian, agent_id: str, fact: str, _: float) -> None:
    more = {"attempt_began": 1, "attempt_ended": -1}.get(fact, 0)
    guardian.agent(agent_id, fact, AGENTS[fact], more=more)


def ticket(guardian: Guardian, ticket_id: str, fact: str, late: float) -> None:
    guardian.ticket(ticket_id, fact, late=late, changes=TICKETS[fact])


STEPS_OF: dict[str, Callable[..., None]] = {
    "wait": Guardian.wait,
    "killed": Guardian.sleep,
    "task": task,
    "agent": agent,
    "ticket": ticket,
}


def what(met: Met) -> tuple[str, str, str]:
    """What does not depend on the ids that the log has."""
    return met.trigger, met.subject_id, met.at.isoformat()


@settings(max_examples=150, deadline=None)
@given(JOURNALS, POLICIES, STEPS)
def test_a_backtest_says_what_shadow_recorded(
    before: list[Any], triggers: list[Any], after: list[Any]
) -> None:
    guardian, tried = Guardian(), policy(*triggers, shadow=True)
    live(guardian, before)
    guardian.load(tried)
    first = next(n for n, event in enumerate(guardian.log) if isinstance(event, GuardianPolicyLoaded))
    live(guardian, after)
    assert told(replayed(tried, guardian.log, first)) == told(guardian.met)


@settings(max_examples=60, deadline=None)
@given(JOURNALS, POLICIES, POLICIES)
def test_other_policies_make_no_difference(
    journal: list[Any], triggers: list[Any], others: list[Any]
) -> None:
    guardian, tried = Guardian(), policy(*triggers, shadow=True)
    guardian.load(policy(*others, name="other"))
    guardian.load(tried)
    live(guardian, journal)
    recorded = [met for met in guardian.met if met.policy == "p"]
    assert told(replayed(tried, guardian.log, 0)) == told(recorded)


@settings(max_examples=60, deadline=None)
@given(PROMPT, POLICIES)
def test_a_policy_that_was_never_loaded_would_have_done_what_one_in_shadow_did(
    journal: list[Any], triggers: list[Any]
) -> None:
    watched, unwatched, tried = Guardian(), Guardian(), policy(*triggers, shadow=True)
    watched.load(tried)
    live(watched, journal)
    live(unwatched, journal)
    tested = replayed(tried, unwatched.log, 0, unwatched.now)
    assert sorted(map(what, tested)) == sorted(map(what, watched.met))


@settings(max_examples=60, deadline=None)
@given(POLICIES, JOURNALS)
def test_no_trigger_is_met_twice_in_a_cooldown(triggers: list[Any], journal: list[Any]) -> None:
    guardian = Guardian()
    guardian.load(policy(*triggers))
    live(guardian, journal)
    free_from: dict[Any, Any] = {}
    for met in guardian.met:
        name = (met.trigger, met.subject_id)
        assert name not in free_from or met.at >= free_from[name]
        free_from[name] = met.cooled_at


@settings(max_examples=60, deadline=None)
@given(JOURNALS)
def test_what_must_last_has_lasted(journal: list[Any]) -> None:
    guardian = Guardian()
    guardian.load(policy({**TRIGGERS[0], "missed_after": "10h", "cooldown": 0}))
    live(guardian, journal)
    running: dict[str, datetime] = {}
    for event in guardian.log:
        match event:
            case GuardianTaskFollowed(task_id=task_id, at=at) if event.task.status == "running":
                running.setdefault(task_id, at)
            case GuardianTaskFollowed(task_id=task_id):
                running.pop(task_id, None)
            case GuardianPolicyTriggered(subject_id=task_id, at=at) if task_id in running:
                assert at - running[task_id] >= timedelta(seconds=80)


def test_a_backtest_of_another_cooldown_says_something_else() -> None:
    guardian, often = Guardian(), policy({"on": "task.retry_scheduled", "cooldown": "1m"}, shadow=True)
    guardian.load(often)
    guardian.task("a", "created")
    for _ in range(3):
        guardian.task("a", "retry_scheduled")
        guardian.wait(61)
    assert len(replayed(often, guardian.log, 0)) == len(guardian.met) == 3
    seldom = policy({"on": "task.retry_scheduled", "cooldown": "1h"}, shadow=True)
    assert len(replayed(seldom, guardian.log, 0)) == 1


def test_a_moment_that_came_late_came_late_in_the_backtest_too() -> None:
    guardian, tried = Guardian(), policy(TRIGGERS[0], shadow=True)
    guardian.load(tried)
    task(guardian, "a", "created", 0)
    task(guardian, "a", "started", 0)
    guardian.sleep(500)
    task(guardian, "b", "created", 0)
    guardian.wait(6)
    assert told(replayed(tried, guardian.log, 0)) == told(guardian.met)
    assert [type(met).__name__ for met in guardian.met] == ["GuardianPolicyMissed"]
