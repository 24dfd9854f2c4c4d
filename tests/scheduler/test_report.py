import pytest

from services.scheduler.claim import StaleClaim
from services.scheduler.task import TaskEnded, TaskNotFound
from shared.contracts.messages import Command
from shared.contracts.task import (
    CancelTask,
    CompleteTask,
    FailTask,
    ReportProgress,
    RetryTask,
    StartTask,
    TaskCancelled,
    TaskCompleted,
    TaskLateReport,
    TaskProgressed,
    TaskRef,
    TaskStarted,
)
from shared.testing.scenario import NOON
from tests.scheduler.workshop import Workshop


def reports(epoch: int, task_id: str = "a") -> list[Command]:
    return [
        StartTask(task_id=task_id, claim_epoch=epoch),
        ReportProgress(task_id=task_id, claim_epoch=epoch),
        CompleteTask(task_id=task_id, claim_epoch=epoch),
        FailTask(task_id=task_id, claim_epoch=epoch, error="it broke"),
    ]


@pytest.mark.parametrize("report", reports(1, "ghost"))
def test_a_report_on_an_unknown_task_is_refused(report: Command) -> None:
    with pytest.raises(TaskNotFound):
        Workshop().do(report)


@pytest.mark.parametrize("report", reports(1))
def test_a_report_of_an_old_claim_is_refused(report: Command) -> None:
    shop = Workshop()
    shop.create("a")
    shop.take("a")
    shop.wait(60)
    with pytest.raises(StaleClaim):
        shop.do(report)
    shop.take("a", "eve")
    with pytest.raises(StaleClaim) as refused:
        shop.do(report)
    assert refused.value.details == {"current_epoch": 2, "status": "claimed"}


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_report_on_a_task_that_nobody_had_is_refused(epoch: int) -> None:
    shop = Workshop()
    shop.create("a")
    for report in reports(epoch):
        with pytest.raises(StaleClaim):
            shop.do(report)
    shop.do(CancelTask(task_id="a"))
    for report in reports(epoch):
        with pytest.raises(StaleClaim):
            shop.do(report)


def test_an_attempt_begins_once() -> None:
    shop = Workshop()
    shop.create("a")
    shop.take("a")
    begin = StartTask(task_id="a", claim_epoch=1)
    assert shop.do(begin) == [
        TaskStarted(
            task_id="a",
            ticket_id="T-1",
            phase_id="BACKLOG",
            agent_id="bob",
            claim_epoch=1,
            attempt=1,
            started_at=NOON,
        ),
        TaskRef(task_id="a", status="running"),
    ]
    assert shop.do(begin) == [TaskRef(task_id="a", status="running")]


def test_progress_is_told() -> None:
    shop = Workshop()
    shop.create("a")
    shop.take("a")
    assert shop.do(ReportProgress(task_id="a", claim_epoch=1, message="two legs", percent=50))[0] == (
        TaskProgressed(
            task_id="a", ticket_id="T-1", agent_id="bob", claim_epoch=1, message="two legs", percent=50
        )
    )


@pytest.mark.parametrize("begun", [True, False])
def test_a_task_is_completed_with_its_result(begun: bool) -> None:
    shop = Workshop()
    shop.create("a")
    epoch = shop.start("a") if begun else shop.take("a")
    done = CompleteTask(task_id="a", claim_epoch=epoch, result={"summary": "it stands"})
    [completed, *_, answer] = shop.do(done)
    assert completed == TaskCompleted(
        task_id="a",
        ticket_id="T-1",
        phase_id="BACKLOG",
        visit=1,
        task_type="chore",
        agent_id="bob",
        claim_epoch=1,
        attempt=1,
        result={"summary": "it stands"},
        completed_at=NOON,
        reported_by="ann",
    )
    assert answer == TaskRef(task_id="a", status="completed")
    assert shop.timers == {}


def test_completing_twice_is_completing_once() -> None:
    shop = Workshop()
    shop.create("a")
    shop.complete("a")
    assert shop.do(CompleteTask(task_id="a", claim_epoch=1)) == [TaskRef(task_id="a", status="completed")]


def test_failing_twice_is_failing_once() -> None:
    shop = Workshop()
    shop.create("a")
    shop.fail("a")
    again = FailTask(task_id="a", claim_epoch=1, error="it broke")
    assert shop.do(again) == [TaskRef(task_id="a", status="failed")]


@pytest.mark.parametrize("report", reports(1))
def test_a_cancelled_task_takes_a_late_report_of_its_last_claim_and_stays_cancelled(report: Command) -> None:
    shop = Workshop()
    shop.create("a")
    shop.start("a")
    shop.do(CancelTask(task_id="a"))
    before = shop.task("a")
    late = TaskLateReport(
        task_id="a", ticket_id="T-1", report=report.wire_name(), claim_epoch=1, actor="bob", at=NOON
    )
    assert shop.do(report, actor="bob") == [late, TaskRef(task_id="a", status="cancelled")]
    assert shop.task("a") == before


def test_a_task_that_completed_takes_a_late_failure_and_one_that_failed_a_late_success() -> None:
    shop = Workshop()
    shop.create("a")
    shop.complete("a")
    shop.create("b")
    shop.fail("b")
    shop.do(FailTask(task_id="a", claim_epoch=1, error="it broke"))
    shop.do(CompleteTask(task_id="b", claim_epoch=1))
    assert [event.report for event in shop.of_type(TaskLateReport)] == ["fail_task", "complete_task"]
    assert (shop.status("a"), shop.status("b")) == ("completed", "failed")


@pytest.mark.parametrize("report", reports(1))
def test_a_late_report_of_an_older_claim_is_refused(report: Command) -> None:
    shop = Workshop()
    shop.create("a")
    shop.take("a")
    shop.wait(60)
    shop.complete("a")
    with pytest.raises(StaleClaim) as refused:
        shop.do(report)
    assert refused.value.details == {"current_epoch": 2, "status": "completed"}


@pytest.mark.parametrize("report", reports(1))
def test_a_report_from_before_a_retry_is_refused(report: Command) -> None:
    shop = Workshop()
    shop.create("a")
    shop.start("a")
    shop.do(CancelTask(task_id="a"))
    shop.do(RetryTask(task_id="a"))
    with pytest.raises(StaleClaim):
        shop.do(report)


def test_cancelling_ends_a_task_at_once_and_says_who_had_it() -> None:
    shop = Workshop()
    shop.create("a")
    shop.start("a")
    cancelled, *_, answer = shop.do(CancelTask(task_id="a", reason="no more chairs"))
    assert cancelled == TaskCancelled(
        task_id="a",
        ticket_id="T-1",
        phase_id="BACKLOG",
        visit=1,
        task_type="chore",
        agent_id="bob",
        reason="no more chairs",
        actor="ann",
        cancelled_at=NOON,
    )
    assert answer == TaskRef(task_id="a", status="cancelled")


def test_cancelling_twice_is_cancelling_once() -> None:
    shop = Workshop()
    shop.create("a")
    shop.do(CancelTask(task_id="a"))
    assert shop.do(CancelTask(task_id="a")) == [TaskRef(task_id="a", status="cancelled")]


def test_what_has_ended_otherwise_cannot_be_cancelled() -> None:
    shop = Workshop()
    shop.create("a")
    shop.complete("a")
    shop.create("b")
    shop.fail("b")
    for task_id in "ab":
        with pytest.raises(TaskEnded):
            shop.do(CancelTask(task_id=task_id))
    with pytest.raises(TaskNotFound):
        shop.do(CancelTask(task_id="ghost"))
