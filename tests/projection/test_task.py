"""A task as it is read, with every attempt at it."""

from typing import Any, get_args

import pytest

from services.projection.queries.task import TaskNotFound
from services.projection.task import _CHANGES, TaskEvent, evolve
from services.projection.task_row import Task
from shared.contracts.discovery import DiscoveryBranchCreated
from shared.contracts.messages import Event
from shared.contracts.projection import GetTask, ListTasks
from shared.contracts.task import (
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDependencyAdded,
    TaskDependencyEnded,
    TaskFailed,
    TaskLateReport,
    TaskLeaseExpired,
    TaskProgressed,
    TaskReady,
    TaskRetried,
    TaskRetryScheduled,
    TaskStarted,
    TaskTimedOut,
)
from tests.projection.given import at, claimed, created, of_task
from tests.projection.records import Records

READY = of_task(TaskReady, ready_at=at(1), rank=1.0)
STARTED = of_task(TaskStarted, agent_id="A1", claim_epoch=1, attempt=1, started_at=at(11))


def completed(result: Any) -> TaskCompleted:
    found: TaskCompleted = of_task(
        TaskCompleted, agent_id="A1", claim_epoch=1, attempt=1, result=result, completed_at=at(20)
    )
    return found


def after(*events: Event) -> Task:
    task: Task | None = None
    for event in (created(), *events):
        task = evolve(task, event)  # type: ignore[arg-type]
    assert task is not None
    return task


def test_a_task_is_followed_from_its_making_to_its_end() -> None:
    progressed = of_task(TaskProgressed, agent_id="A1", claim_epoch=1, message="Half of it.", percent=50)
    steps = [(), (READY,), (claimed(),), (STARTED, progressed), (completed({}),)]
    told = [event for step in steps for event in step]
    counts = [sum(map(len, steps[: number + 1])) for number in range(len(steps))]
    assert [after(*told[:count]).status for count in counts] == [
        "waiting",
        "ready",
        "claimed",
        "running",
        "completed",
    ]
    task = after(*told)
    assert (task.message, task.percent, task.ended_at, task.agent_id) == ("Half of it.", 50, at(20), "A1")
    [attempt] = task.attempts
    assert (attempt.claimed_at, attempt.started_at, attempt.ended_at) == (at(10), at(11), at(20))
    assert attempt.outcome == "completed"


def test_an_attempt_that_failed_is_kept_beside_the_next_one() -> None:
    retry = of_task(TaskRetryScheduled, attempt=1, error="It broke.", not_before=at(25), failed_at=at(20))
    task = after(READY, claimed(), STARTED, retry)
    assert (task.status, task.reason, task.not_before, task.agent_id) == (
        "waiting",
        "It broke.",
        at(25),
        None,
    )
    again = after(READY, claimed(), STARTED, retry, READY, claimed(agent_id="A2", attempt=2, seconds=30))
    assert [(a.agent_id, a.outcome, a.error) for a in again.attempts] == [
        ("A1", "failed", "It broke."),
        ("A2", None, None),
    ]


def test_a_timeout_is_not_hidden_by_the_failure_that_follows_from_it() -> None:
    timeout = of_task(TaskTimedOut, agent_id="A1", attempt=1, timeout_seconds=5, at=at(16))
    failure = of_task(TaskFailed, agent_id="A1", attempt=1, error="Attempt 1 ran too long.", failed_at=at(16))
    task = after(READY, claimed(), STARTED, timeout, failure)
    assert (task.status, task.reason, task.agent_id) == ("failed", "Attempt 1 ran too long.", "A1")
    assert [(a.outcome, a.error) for a in task.attempts] == [("timed_out", "It ran longer than 5 s.")]


def test_a_silent_agent_loses_its_attempt_and_the_task_is_ready_again() -> None:
    expired = of_task(TaskLeaseExpired, agent_id="A1", claim_epoch=1, attempt=1, reason="Silent.", at=at(70))
    task = after(READY, claimed(), STARTED, expired, READY)
    assert (task.status, task.agent_id, task.attempts[0].outcome) == ("ready", None, "lease_expired")


def test_a_task_cancelled_while_it_waits_had_no_attempt() -> None:
    cancelled = of_task(TaskCancelled, reason="Not wanted.", actor="ann", cancelled_at=at(5))
    task = after(READY, cancelled)
    assert (task.status, task.reason, task.attempts, task.ended_at) == ("cancelled", "Not wanted.", (), at(5))
    assert after(READY, claimed(), cancelled).attempts[0].outcome == "cancelled"


def test_a_task_tried_again_by_hand_has_not_ended() -> None:
    failure = of_task(TaskFailed, agent_id="A1", attempt=1, error="It broke.", failed_at=at(16))
    retried = of_task(TaskRetried, actor="ann", at=at(40))
    task = after(READY, claimed(), failure, retried)
    assert (task.status, task.ended_at, task.reason, len(task.attempts)) == ("waiting", None, "", 1)


def test_a_task_is_ready_when_the_last_one_that_it_needs_completes() -> None:
    task = evolve(evolve(None, created(depends_on=("K2",))), READY.model_copy(update={"dependency_id": "K2"}))
    assert task is not None
    assert (task.status, task.depends_on) == ("ready", {"K2": "completed"})


@pytest.mark.parametrize(
    ("needs", "status"), [("all", "waiting"), ("any", "ready"), (1, "ready"), (2, "waiting")]
)
def test_a_ready_task_waits_again_for_one_more_that_it_needs(needs: Any, status: str) -> None:
    task = evolve(None, created(depends_on=("K2",), needs=needs))
    for event in (
        of_task(TaskDependencyEnded, dependency_id="K2", completed=True),
        READY,
        of_task(TaskDependencyAdded, depends_on="K3"),
    ):
        task = evolve(task, event)
    assert task is not None
    assert task.status == status
    assert task.depends_on == {"K2": "completed", "K3": "open"}


@pytest.mark.parametrize(
    ("result", "summary", "artifacts"),
    [
        ({}, None, ()),
        ({"summary": "Done.", "commit": "abc"}, "Done.", ()),
        ({"artifacts": [{"artifact_type": "code", "artifact_path": "a.py"}]}, None, ("a.py",)),
        ({"artifacts": [{"artifact_type": "code", "artifact_path": None}]}, None, ("code",)),
        ({"summary": {"text": 1}, "artifacts": ["a.py", {}, 7]}, None, ()),
        ({"summary": 7, "artifacts": {"a": 1}}, None, ()),
    ],
)
def test_what_an_agent_hands_in_may_have_any_shape(
    result: dict[str, Any], summary: str | None, artifacts: tuple[str, ...]
) -> None:
    task = after(READY, claimed(), completed(result))
    assert (task.summary, task.artifacts) == (summary, artifacts)


def test_a_report_that_came_late_is_only_counted() -> None:
    late = of_task(TaskLateReport, report="fail_task", claim_epoch=1, actor="A1", at=at(30))
    task = after(READY, claimed(), completed({}), late)
    assert (task.status, task.late_reports) == ("completed", 1)


def test_every_event_of_a_task_is_followed() -> None:
    assert set(_CHANGES) == set(get_args(TaskEvent)) - {TaskCreated, DiscoveryBranchCreated}


async def test_a_task_is_read_with_its_attempts(records: Records) -> None:
    await records.hear(created(needs=1, depends_on=("K2",)), READY, claimed(), STARTED)
    task = await records.ask(GetTask(task_id="K1"))
    assert (task["status"], task["needs"], task["depends_on"]) == ("running", 1, {"K2": "open"})
    assert [(a["agent_id"], a["outcome"]) for a in task["attempts"]] == [("A1", None)]


async def test_tasks_are_listed_newest_first_page_by_page(records: Records) -> None:
    await records.hear(
        *(created(f"K{n}", f"T{n % 2}", seconds=n) for n in range(5)), claimed("K3", ticket_id="T1")
    )
    first = await records.ask(ListTasks(limit=3))
    assert [task["task_id"] for task in first["tasks"]] == ["K4", "K3", "K2"]
    last = await records.ask(ListTasks(limit=3, after=first["next"]))
    assert [task["task_id"] for task in last["tasks"]] == ["K1", "K0"]
    assert last["next"] is None
    of_ticket = await records.ask(ListTasks(ticket_id="T1", status="waiting"))
    assert [task["task_id"] for task in of_ticket["tasks"]] == ["K1"]


@pytest.mark.parametrize(
    "query", [GetTask(task_id="K9"), ListTasks(after="K9")], ids=lambda q: type(q).__name__
)
async def test_a_task_that_was_never_created_is_not_found(
    records: Records, query: GetTask | ListTasks
) -> None:
    with pytest.raises(TaskNotFound):
        await records.ask(query)


def test_an_attempt_that_was_handed_over_ends_without_a_failure() -> None:
    handed = claimed(agent_id="A2", attempt=2, seconds=30).model_copy(update={"handed_over_from": "A1"})
    task = after(READY, claimed(), STARTED, handed)
    assert (task.status, task.agent_id, task.claim_epoch) == ("claimed", "A2", 2)
    assert [(a.agent_id, a.outcome, a.ended_at) for a in task.attempts] == [
        ("A1", "handed_over", at(30)),
        ("A2", None, None),
    ]
