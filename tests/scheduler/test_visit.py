from typing import Any

import pytest

from services.scheduler import settle
from services.scheduler.ticket import Ticket
from shared.contracts.task import (
    CancelTask,
    CompleteTask,
    EnterPhase,
    FollowWorkflow,
    PhaseEntered,
    SettleTasks,
    TaskCancelled,
    TaskCreated,
    TaskHeld,
    TaskReleased,
    TicketFollowed,
    WorkflowFollowed,
)
from shared.contracts.workflow import Workflow
from shared.kernel.decider import Timer, Unavailable
from shared.testing.scenario import NOON
from tests.scheduler.workshop import WORKFLOW, Workshop, plain_ticket


def working_in(phase_id: str, **fields: Any) -> Workshop:
    shop = Workshop()
    shop.enter(phase_id, **fields)
    return shop


def test_a_ticket_is_followed_into_the_phase_it_starts_in() -> None:
    shop = Workshop()
    followed, entered = shop.do(plain_ticket("T-2", tags=("oak",), workflow="crafts"))
    assert followed == TicketFollowed(**dict(plain_ticket("T-2", tags=("oak",), workflow="crafts")))
    assert entered == PhaseEntered(ticket_id="T-2", phase_id="BACKLOG", visit=1, generated=0)


def test_a_ticket_that_starts_where_there_is_work_gets_its_tasks() -> None:
    shop = Workshop(phase_id="CHECK")
    assert [event.task_type for event in shop.of_type(TaskCreated)] == ["look"]


def test_a_ticket_and_a_workflow_are_followed_once() -> None:
    shop = Workshop()
    assert shop.do(plain_ticket(title="another")) == []
    assert shop.do(FollowWorkflow(version=WORKFLOW.version, document=WORKFLOW)) == []


def test_a_workflow_is_remembered_by_its_version() -> None:
    shop = Workshop()
    other = WORKFLOW.model_copy(update={"name": "arts"})
    followed = WorkflowFollowed(version=other.version, document=other)
    assert shop.do(FollowWorkflow(version=other.version, document=other)) == [followed]


def test_what_is_heard_too_early_waits_for_what_comes_before_it() -> None:
    shop = Workshop()
    with pytest.raises(Unavailable, match="workflow version 42"):
        shop.do(plain_ticket("T-2", workflow_version="42"))
    with pytest.raises(Unavailable, match="in no phase"):
        shop.do(EnterPhase(ticket_id="T-2", from_phase="BACKLOG", phase_id="BUILD", visit=1))
    with pytest.raises(Unavailable, match="in BACKLOG"):
        shop.do(EnterPhase(ticket_id="T-1", from_phase="BUILD", phase_id="CHECK", visit=1))


def test_a_move_that_was_followed_already_changes_nothing() -> None:
    shop = working_in("BUILD")
    assert shop.do(EnterPhase(ticket_id="T-1", from_phase="BACKLOG", phase_id="BUILD", visit=1)) == []


def test_the_open_tasks_of_the_visit_that_is_left_are_cancelled() -> None:
    shop = working_in("BUILD")
    saw, paint = shop.task_ids
    shop.start(saw)
    shop.enter("CHECK")
    cancelled = {event.task_id: event for event in shop.of_type(TaskCancelled)}
    assert {task_id: event.agent_id for task_id, event in cancelled.items()} == {saw: "bob", paint: None}
    assert cancelled[saw].reason == "Ticket T-1 left visit 1 of BUILD for CHECK."
    assert [shop.status(task_id) for task_id in shop.task_ids[2:]] == ["ready"]


def test_what_was_completed_in_a_visit_stays_completed() -> None:
    shop = working_in("CHECK")
    [look] = shop.task_ids
    shop.complete(look)
    shop.enter("BUILD")
    assert shop.status(look) == "completed"
    assert shop.of_type(TaskCancelled) == []


def test_a_regression_starts_with_new_tasks() -> None:
    shop = working_in("CHECK")
    shop.enter("BUILD")
    shop.enter("CHECK", visit=2)
    first, second = [event for event in shop.of_type(TaskCreated) if event.phase_id == "CHECK"]
    assert (shop.status(first.task_id), shop.status(second.task_id)) == ("cancelled", "ready")


def test_the_tasks_of_a_ticket_on_hold_are_not_handed_out_and_go_on_after_it() -> None:
    shop = working_in("CHECK")
    [look] = shop.task_ids
    shop.enter("BLOCKED")
    assert [(each.task_id, each.at) for each in shop.of_type(TaskHeld)] == [(look, shop.now)]
    assert (shop.claim(), shop.reasons(look)) == ((), ["ticket_on_hold"])
    shop.enter("CHECK")
    assert [(each.task_id, each.at) for each in shop.of_type(TaskReleased)] == [(look, shop.now)]
    assert len(shop.of_type(TaskCreated)) == 1
    shop.take(look)


def test_coming_back_from_a_hold_to_a_new_visit_starts_clean() -> None:
    shop = working_in("CHECK")
    [look] = shop.task_ids
    shop.enter("BLOCKED")
    shop.enter("CHECK", visit=2)
    assert shop.status(look) == "cancelled"
    assert [shop.reasons(task_id) for task_id in shop.task_ids] == [["ended"], []]


def test_coming_back_from_a_hold_to_another_phase_cancels_what_was_held() -> None:
    shop = working_in("CHECK")
    shop.enter("BLOCKED")
    shop.enter("BUILD")
    assert shop.status(shop.task_ids[0]) == "cancelled"


def test_a_hold_asks_for_no_tasks_of_its_own() -> None:
    shop = working_in("BLOCKED")
    assert shop.of_type(TaskCreated) == []
    assert shop.of_type(PhaseEntered)[-1] == (
        PhaseEntered(ticket_id="T-1", phase_id="BLOCKED", visit=1, generated=0, on_hold=True, move=1)
    )


def test_whoever_works_when_the_ticket_is_put_on_hold_goes_on_but_is_not_followed() -> None:
    shop = working_in("BUILD")
    saw, paint = shop.task_ids
    epoch = shop.start(saw)
    shop.enter("BLOCKED")
    shop.do(CompleteTask(task_id=saw, claim_epoch=epoch))
    assert (shop.status(paint), shop.claim()) == ("ready", ())
    shop.enter("BUILD")
    shop.take(paint)


def test_a_task_made_while_the_ticket_is_on_hold_belongs_to_the_work_that_waits() -> None:
    shop = working_in("CHECK", visit=3)
    shop.enter("BLOCKED")
    task = shop.task(shop.create("a"))
    assert (task.phase_id, task.visit, task.branched, task.held) == ("CHECK", 3, False, True)
    assert shop.claim() == ()


def test_a_branch_outlives_the_visit_in_which_it_was_made() -> None:
    shop = working_in("CHECK")
    shop.create("fix", phase_id="BUILD")
    shop.enter("BUILD")
    shop.enter("CHECK", visit=2)
    assert shop.reasons("fix") == []


def test_when_the_ticket_is_over_its_branches_are_cancelled() -> None:
    shop = working_in("CHECK")
    shop.create("fix", phase_id="BUILD")
    shop.enter("DONE")
    assert shop.task("fix").reason == "Ticket T-1 is over: it is in DONE."
    assert shop.of_type(PhaseEntered)[-1].ended


def test_tasks_of_other_tickets_are_left_alone() -> None:
    shop = working_in("CHECK")
    shop.do(plain_ticket("T-2"))
    shop.create("a", ticket_id="T-2")
    shop.enter("BLOCKED")
    assert shop.reasons("a") == []


def test_what_came_into_being_while_the_ticket_moved_is_settled_right_after_it() -> None:
    shop = working_in("CHECK")
    facts = shop.do(EnterPhase(ticket_id="T-1", from_phase="CHECK", phase_id="BUILD", visit=1))
    assert facts[-1] == Timer("settle-T-1", NOON, SettleTasks(ticket_id="T-1"))
    shop.happen(shop.of_type(TaskCreated)[0].model_copy(update={"task_id": "unseen"}))
    assert shop.reasons("unseen") == ["ticket_moved_on"]
    shop.wait(0)
    assert shop.status("unseen") == "cancelled"


def test_a_very_large_ticket_is_settled_page_by_page() -> None:
    shop = working_in("CHECK")
    for number in range(settle.PAGE + 5):
        shop.create(f"task-{number:04}")
    shop.do(EnterPhase(ticket_id="T-1", from_phase="CHECK", phase_id="BLOCKED", visit=1))
    assert len(shop.of_type(TaskHeld)) == settle.PAGE
    assert shop.claim() == ()
    shop.wait(0)
    assert len(shop.of_type(TaskHeld)) == settle.PAGE + 6


def test_settling_a_settled_ticket_changes_nothing() -> None:
    shop = working_in("CHECK")
    shop.enter("BLOCKED")
    assert shop.do(SettleTasks(ticket_id="T-1")) == []


def test_a_task_that_ends_another_while_its_ticket_moves_ends_it_once() -> None:
    shop = working_in("BACKLOG", visit=2)
    shop.create("b", shop.create("a"), on_dependency_failure="fail")
    shop.enter("BUILD")
    assert (shop.status("a"), shop.status("b")) == ("cancelled", "failed")


def test_a_ticket_in_a_phase_its_workflow_does_not_know_has_no_tasks() -> None:
    shop = Workshop(phase_id="ELSEWHERE")
    assert shop.past.of(Ticket, "T-1").phase_id == "ELSEWHERE"
    assert shop.of_type(PhaseEntered) == [
        PhaseEntered(ticket_id="T-1", phase_id="ELSEWHERE", visit=1, generated=0)
    ]
    assert shop.of_type(TaskCreated) == []


def test_a_workflow_without_a_blocked_phase_holds_nothing() -> None:
    shop = Workshop(Workflow(**dict(WORKFLOW) | {"blocked_phase": None}))
    shop.enter("BLOCKED")
    assert not shop.past.of(Ticket, "T-1").on_hold


def test_a_cancelled_task_of_a_held_ticket_is_not_released() -> None:
    shop = working_in("CHECK")
    [look] = shop.task_ids
    shop.enter("BLOCKED")
    shop.do(CancelTask(task_id=look))
    shop.enter("CHECK")
    assert shop.of_type(TaskReleased) == []


def test_a_ticket_that_goes_round_is_followed_in_the_order_of_its_moves() -> None:
    shop = Workshop()
    place = {"ticket_id": "T-1", "visit": 1}
    away = EnterPhase(from_phase="CHECK", phase_id="BACKLOG", move=2, **place | {"visit": 2})
    on = EnterPhase(from_phase="BACKLOG", phase_id="BUILD", move=3, **place)
    for early in (away, on):
        with pytest.raises(Unavailable, match="after 0 moves"):
            shop.do(early)
    shop.do(EnterPhase(from_phase="BACKLOG", phase_id="CHECK", move=1, **place))
    shop.do(away)
    shop.do(on)
    assert shop.past.of(Ticket, "T-1").phase_id == "BUILD"
    assert shop.do(away) == []


def test_moves_without_numbers_are_told_by_their_phases() -> None:
    shop = Workshop()
    shop.do(EnterPhase(ticket_id="T-1", from_phase="BACKLOG", phase_id="BUILD", visit=1))
    assert shop.past.of(Ticket, "T-1").move == 1
    shop.enter("CHECK", move=2)
    assert shop.past.of(Ticket, "T-1").phase_id == "CHECK"
