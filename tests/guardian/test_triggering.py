"""When policies are triggered: what must hold, for how long, how often, and what is heard too late."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.contracts.guardian import (
    GuardianInterventionProposed,
    GuardianInterventionRequested,
    GuardianPolicyMissed,
    Intended,
)
from shared.testing.scenario import NOON
from tests.guardian.watching import Guardian, policy

LONG: dict[str, Any] = {
    "on": "task.started",
    "when": 'task.status == "running"',
    "lasting": "task.timeout_seconds * 2",
}


def watching(*triggers: Mapping[str, Any], **fields: Any) -> Guardian:
    guardian = Guardian()
    guardian.load(policy(*triggers, **fields))
    return guardian


def started(guardian: Guardian, task_id: str = "a", timeout: float | None = 60) -> None:
    guardian.task(task_id, "created", {"timeout_seconds": timeout, "priority": "HIGH"})
    guardian.task(task_id, "started", {"status": "running", "agent_id": "bo", "started_at": guardian.now})


def test_what_lasts_long_enough_is_met_at_the_exact_moment() -> None:
    guardian = watching(LONG)
    started(guardian)
    guardian.wait(119)
    assert guardian.triggered == []
    guardian.wait(5)
    [met] = guardian.triggered
    assert (met.at, met.subject_id, met.about) == (NOON + timedelta(seconds=120), "a", "ticket-a")
    assert met.cause == ("event-3",)


def test_what_ends_before_is_not_met() -> None:
    guardian = watching(LONG)
    started(guardian)
    guardian.wait(119)
    guardian.task("a", "completed", {"status": "completed"})
    guardian.wait(1000)
    assert guardian.met == []
    assert guardian.timers == {}


def test_what_was_met_before_the_news_that_ends_it_counts() -> None:
    guardian = watching(LONG)
    started(guardian)
    guardian.sleep(121)
    guardian.task("a", "completed", {"status": "completed"})
    assert [met.at for met in guardian.triggered] == [NOON + timedelta(seconds=120)]


def test_a_task_without_the_time_that_counts_is_not_watched() -> None:
    guardian = watching(LONG)
    started(guardian, timeout=None)
    guardian.wait(10_000)
    assert guardian.met == []


def test_it_is_triggered_once_a_cooldown_and_subject() -> None:
    guardian = watching({"on": "task.retry_scheduled", "cooldown": "10m"})
    for task_id in "ab":
        guardian.task(task_id, "created")
    for _ in range(12):
        for task_id in "ab":
            guardian.task(task_id, "retry_scheduled")
        guardian.wait(60)
    assert [(met.subject_id, (met.at - NOON).seconds) for met in guardian.triggered] == [
        ("a", 0),
        ("b", 0),
        ("a", 600),
        ("b", 600),
    ]


def test_history_heard_late_is_recorded_as_missed_and_nothing_is_done() -> None:
    guardian = watching({"on": "task.failed", "actions": [{"cancel_task": {"task_id": "task.id"}}]})
    guardian.task("a", "created", late=600)
    guardian.task("a", "failed", {"status": "failed"}, late=500)
    [missed] = guardian.met
    assert isinstance(missed, GuardianPolicyMissed)
    assert missed.late_seconds == 500
    assert not [event for event in guardian.log if isinstance(event, GuardianInterventionRequested)]


def test_a_time_that_came_while_the_guardian_was_away_is_missed() -> None:
    guardian = watching(LONG)
    started(guardian)
    guardian.sleep(120 + 301)
    guardian.wait(6)
    assert [type(met) for met in guardian.met] == [GuardianPolicyMissed]


def test_a_guardian_that_was_away_hears_first_what_happened_meanwhile() -> None:
    guardian = watching(LONG)
    started(guardian)
    guardian.sleep(150)
    guardian.wait(1)
    guardian.task("a", "completed", {"status": "completed"}, late=60)
    guardian.wait(1000)
    assert guardian.met == []
    assert guardian.timers == {}


def test_a_deadline_that_moves_moves_the_time() -> None:
    at: dict[str, Any] = {
        "on": ["task.created"],
        "when": 'task.status == "waiting"',
        "at": 'task.deadline - t"PT30M"',
    }
    guardian = watching(at)
    guardian.task("a", "created", {"deadline": NOON + timedelta(hours=1)})
    guardian.task("a", "reprioritised", {"deadline": NOON + timedelta(hours=2)})
    guardian.wait(3600)
    assert guardian.met == []
    guardian.wait(1800)
    assert [met.at for met in guardian.triggered] == [NOON + timedelta(minutes=90)]


def test_a_deadline_before_which_there_is_no_time_is_followed_without_a_fault() -> None:
    guardian = watching({"on": "task.created", "at": 'task.deadline - t"PT30M"'})
    guardian.task("a", "created", {"deadline": "0001-01-01T00:00:00Z"})
    assert guardian.met == []


def test_a_capacity_without_end_is_a_problem_of_the_action() -> None:
    endless = {"from_agent": "agent.id", "to_agent": "agent.id", "capacity": "1e999"}
    guardian = watching({"on": "agent.registered", "actions": [{"reallocate_capacity": endless}]})
    guardian.agent("bo", "registered")
    assert guardian.triggered[0].actions[0].problem == "capacity cannot be told: 1e999 is not known."


def test_a_deadline_that_is_near_already_is_met_at_once() -> None:
    guardian = watching({"on": "task.created", "at": 'task.deadline - t"PT30M"'})
    guardian.task("a", "created", {"deadline": NOON + timedelta(minutes=10)})
    assert [met.at for met in guardian.triggered] == [NOON]


def test_facts_are_counted_within_a_time() -> None:
    surge: dict[str, Any] = {
        "on": "discovery.recorded",
        "within": "10m",
        "when": "count > 3",
        "cooldown": "1h",
    }
    guardian = watching(surge)
    guardian.ticket("t", "phase.ticket_opened")
    for _ in range(3):
        guardian.ticket("t", "discovery.recorded")
    guardian.wait(599)
    guardian.ticket("t", "phase.ticket_edited")
    assert guardian.met == []
    guardian.ticket("t", "discovery.recorded")
    assert len(guardian.triggered) == 1


def test_facts_of_another_time_are_counted_no_more() -> None:
    guardian = watching({"on": "discovery.recorded", "within": "10m", "when": "count > 1"})
    guardian.ticket("t", "phase.ticket_opened")
    guardian.ticket("t", "discovery.recorded")
    guardian.wait(600)
    guardian.ticket("t", "discovery.recorded")
    assert guardian.met == []


WAITING: dict[str, Any] = {
    "on": "task.ready",
    "when": 'task.status == "ready" and task.priority == CRITICAL',
    "lasting": "5m",
    "provided": "fleet.free == 0",
    "actions": [{"reallocate_capacity": {"from_agent": "fleet.donor", "to_agent": "fleet.recipient"}}],
}


def test_capacity_is_moved_from_who_cannot_do_the_task_to_who_can() -> None:
    guardian = watching(WAITING)
    guardian.agent("bo", "registered", {"capacity": 4, "capabilities": ["docs"]})
    guardian.agent("cy", "registered", {"capacity": 1, "capabilities": ["deploy"]})
    guardian.agent("cy", "attempt_began", more=1)
    guardian.task("a", "created", {"priority": "CRITICAL", "required_capabilities": ["deploy"]})
    guardian.task("a", "ready", {"status": "ready"})
    guardian.wait(301)
    [met] = guardian.triggered
    assert met.actions[0].intended == Intended(
        kind="reallocate_capacity", from_agent="bo", to_agent="cy", capacity=1
    )
    [requested] = [event for event in guardian.log if isinstance(event, GuardianInterventionRequested)]
    assert (requested.policy, requested.caused_by) == ("p", met.cause[-1])


def test_while_there_is_room_it_is_looked_at_again_after_the_same_time() -> None:
    guardian = watching(WAITING)
    guardian.agent("cy", "registered", {"capacity": 1})
    guardian.task("a", "created", {"priority": "CRITICAL"})
    guardian.task("a", "ready", {"status": "ready"})
    guardian.wait(400)
    guardian.agent("cy", "attempt_began", more=1)
    guardian.wait(199)
    assert guardian.met == []
    guardian.wait(2)
    [met] = guardian.triggered
    assert met.at == NOON + timedelta(seconds=600)
    assert met.actions[0].problem == "from_agent cannot be told: fleet.donor is not known."


def test_many_waiting_tasks_are_counted_by_priority() -> None:
    guardian = watching({"on": "fleet.waiting_changed", "when": "fleet.waiting_high > 2"})
    for task_id in "abc":
        guardian.task(task_id, "created", {"priority": "HIGH"})
        guardian.task(task_id, "ready", {"status": "ready"})
    assert len(guardian.triggered) == 1
    assert guardian.triggered[0].subject == "fleet"


def test_in_shadow_nothing_is_done() -> None:
    cancel: dict[str, Any] = {"on": "task.failed", "actions": [{"cancel_task": {"task_id": "task.id"}}]}
    guardian = watching(cancel, shadow=True)
    guardian.task("a", "created")
    guardian.task("a", "failed", {"status": "failed"})
    [met] = guardian.triggered
    assert met.shadow
    assert met.actions[0].intended == Intended(kind="cancel_task", task_id="a")
    assert met.actions[0].intervention_id is None
    assert not [event for event in guardian.log if isinstance(event, GuardianInterventionRequested)]


def test_what_needs_an_approval_is_only_proposed() -> None:
    pause: dict[str, Any] = {
        "on": "task.failed",
        "actions": [{"pause_ticket": {"ticket_id": "task.ticket_id"}}],
    }
    guardian = watching({**pause, "requires_approval": True})
    guardian.task("a", "created")
    guardian.task("a", "failed", {"status": "failed"})
    assert [type(event) for event in guardian.log[-1:]] == [GuardianInterventionProposed]


def test_a_policy_that_is_loaded_anew_waits_anew() -> None:
    guardian = watching(LONG)
    started(guardian)
    guardian.load(policy({**LONG, "cooldown": "1m"}))
    guardian.wait(1000)
    assert guardian.met == []


def test_a_policy_that_is_switched_off_sees_nothing() -> None:
    guardian = watching({"on": "task.created"}, enabled=False)
    guardian.task("a", "created")
    assert guardian.met == []
