from datetime import timedelta
from typing import get_args, get_type_hints

import pytest

from services.scheduler.dispatch import Reason, reasons
from services.scheduler.task import Task
from services.scheduler.ticket import Ticket
from services.scheduler.way_out import WAY_OUT
from shared.testing.scenario import NOON

HERE = Ticket(ticket_id="T-1", phase_id="BUILD", working_phase="BUILD", visits={"BUILD": 2})
READY = Task(task_id="a", ticket_id="T-1", phase_id="BUILD", visit=2, status="ready")


def task(**fields: object) -> Task:
    return Task(**{**vars(READY), **fields})


def test_nothing_keeps_a_ready_task_of_the_visit_that_is_worked_on() -> None:
    assert reasons(READY, HERE) == []


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_what_has_ended_is_not_handed_out_whatever_else_is_true(status: str) -> None:
    assert reasons(task(status=status, visit=1, held=True, reason="it broke"), HERE) == [
        {"code": "ended", "message": f"It is {status}: it broke", "status": status}
    ]


def test_what_somebody_has_is_not_handed_out() -> None:
    held = task(status="running", agent_id="bob", claim_epoch=3, claimed_at=NOON, attempt=2)
    assert reasons(held, HERE) == [
        {
            "code": "claimed",
            "message": "bob has it, in attempt 2.",
            "agent_id": "bob",
            "claim_epoch": 3,
            "claimed_at": NOON,
        }
    ]


def test_what_waits_for_others_says_for_whom_and_for_how_many() -> None:
    waiting = task(
        status="waiting", depends_on={"x": "completed", "z": "open", "y": "open", "w": "open"}, needs=2
    )
    assert reasons(waiting, HERE) == [
        {
            "code": "waiting_for_tasks",
            "message": "1 more must complete of: w, y, z.",
            "task_ids": ["w", "y", "z"],
            "missing": 1,
        }
    ]


def test_what_can_no_longer_have_what_it_needs_says_who_failed_it() -> None:
    stuck = task(status="waiting", depends_on={"x": "failed", "y": "open"})
    open_, failed = reasons(stuck, HERE)
    assert open_["code"] == "waiting_for_tasks"
    assert failed == {
        "code": "dependency_failed",
        "message": "These did not complete: x. Retry them, or cancel this task.",
        "task_ids": ["x"],
    }


def test_what_is_between_two_attempts_says_until_when() -> None:
    later = NOON + timedelta(seconds=2)
    assert reasons(task(status="waiting", not_before=later, attempt=1), HERE) == [
        {
            "code": "retry_scheduled",
            "message": "Attempt 1 came to nothing; the next waits until 2026-01-01T12:00:02.000000+00:00.",
            "not_before": later,
            "attempt": 1,
        }
    ]


@pytest.mark.parametrize("held", [True, False])
def test_a_ticket_keeps_its_tasks_from_the_first_moment_to_the_last_for_every_reason(held: bool) -> None:
    on_hold = Ticket(**{**vars(HERE), "on_hold": True, "phase_id": "BLOCKED"})
    blocked = Ticket(**{**vars(HERE), "blocked_by": ("T-7", "T-8")})
    both = Ticket(**{**vars(on_hold), "blocked_by": ("T-7",)})
    found = [reasons(task(held=held), ticket) for ticket in (on_hold, blocked, both)]
    assert [[reason["code"] for reason in all_of_them] for all_of_them in found] == [
        ["ticket_on_hold"],
        ["ticket_blocked"],
        ["ticket_on_hold", "ticket_blocked"],
    ]


def test_a_blocked_ticket_names_its_blockers() -> None:
    [reason] = reasons(task(), Ticket(**{**vars(HERE), "blocked_by": ("T-7", "T-8")}))
    assert reason["code"] == "ticket_blocked"
    assert reason["blocked_by"] == ["T-7", "T-8"]
    assert reason["message"] == "Ticket T-1 waits for T-7, T-8; its tasks go on when all are done."


def test_a_task_that_is_about_to_be_let_go_is_not_handed_out_before() -> None:
    assert [reason["code"] for reason in reasons(task(held=True), HERE)] == ["being_released"]


@pytest.mark.parametrize("place", [{"visit": 1}, {"phase_id": "CHECK"}])
def test_what_the_ticket_left_behind_is_not_handed_out(place: dict[str, object]) -> None:
    assert [reason["code"] for reason in reasons(task(**place), HERE)] == ["ticket_moved_on"]


def test_a_branch_is_handed_out_until_the_ticket_is_over() -> None:
    branch = task(phase_id="CHECK", branched=True)
    assert reasons(branch, HERE) == []
    over = Ticket(**{**vars(HERE), "ended": True})
    assert [reason["code"] for reason in reasons(branch, over)] == ["ticket_moved_on"]


def test_everything_that_stands_in_the_way_is_named() -> None:
    waiting = task(status="waiting", visit=1, held=True, depends_on={"x": "open"})
    codes = [reason["code"] for reason in reasons(waiting, HERE)]
    assert codes == ["ticket_moved_on", "waiting_for_tasks"]


def test_every_reason_says_what_would_move_the_task() -> None:
    codes = {get_args(get_type_hints(reason)["code"])[0] for reason in _kinds(Reason)}
    assert codes == set(WAY_OUT)


def _kinds(union: object) -> list[type]:
    return [kind for part in get_args(union) for kind in (_kinds(part) if get_args(part) else [part])]
