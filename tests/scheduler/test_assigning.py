"""Push mode by its rules: what is to be assigned, who gets it, and how the agent hears of it."""

from datetime import timedelta
from typing import Any

import pytest

from services.scheduler.agent import Agent
from services.scheduler.assignment import Assignment
from services.scheduler.claim import StaleClaim
from services.scheduler.task import TaskNotFound
from services.scheduler.ticket import TicketNotFound
from shared.contracts.messages import Authority
from shared.contracts.task import (
    AgentAssigned,
    AssignmentLapsed,
    AssignReadyTasks,
    AssignTask,
    CancelTask,
    Claimed,
    ClaimTask,
    CompleteTask,
    EndAssignment,
    FollowAgent,
    HandOverClaim,
    ReleaseClaims,
    StartTask,
    TaskAssignmentEnded,
    TaskAssignmentRequested,
    TaskClaimed,
    TaskPickedUp,
    TaskRefs,
)
from shared.kernel.decider import Facts, Waiting
from tests.scheduler.workshop import WORKFLOW, Workshop, plain_ticket


def noted(shop: Workshop, **wish: Any) -> tuple[str, ...]:
    """Have ready tasks assigned; answers which are to be."""
    facts: Facts = shop.do(AssignReadyTasks(**wish))
    return next(fact.task_ids for fact in facts if isinstance(fact, TaskRefs))


def assign(shop: Workshop, task_id: str = "a", agent_id: str = "bob", request: int | None = None) -> None:
    """What the registry's answer leads to."""
    shop.do(AssignTask(task_id=task_id, agent_id=agent_id, request=request))


def outcome(shop: Workshop, task_id: str = "a") -> tuple[bool, str | None, str]:
    """Whether an assignment is open, who got the task, and why nobody did."""
    assignment = shop.past.of(Assignment, task_id)
    return assignment.open, assignment.agent_id, assignment.reason


def test_the_first_ready_tasks_in_rank_are_to_be_assigned_and_each_is_noted_once() -> None:
    shop = Workshop()
    shop.create("late", priority="LOW")
    shop.create("soon", priority="HIGH")
    shop.create("next")
    shop.create("waits", "next")
    assert noted(shop, limit=2) == ("soon", "next")
    assert noted(shop) == ("soon", "next", "late")
    requested = shop.of_type(TaskAssignmentRequested)
    assert [(event.task_id, event.request) for event in requested] == [("soon", 1), ("next", 1), ("late", 1)]


def test_only_tasks_of_the_ticket_that_is_named_are_to_be_assigned() -> None:
    shop = Workshop()
    shop.do(plain_ticket("T-2"))
    shop.create("a")
    shop.create("b", ticket_id="T-2")
    assert noted(shop, ticket_id="T-2") == ("b",)
    with pytest.raises(TicketNotFound):
        noted(shop, ticket_id="T-3")


def test_a_task_that_may_not_be_handed_out_is_not_to_be_assigned() -> None:
    shop = Workshop()
    shop.create("a", resources=("saw",))
    shop.create("b", resources=("saw",))
    shop.take("a")
    assert noted(shop) == ()
    shop.create("c")
    shop.enter("BLOCKED")
    assert noted(shop) == ()


def test_an_assigned_task_is_claimed_for_the_agent_with_an_epoch_a_lease_and_its_locks() -> None:
    shop = Workshop()
    shop.create("a", resources=("saw",))
    shop.create("b", resources=("saw",))
    noted(shop)
    assign(shop, request=1)
    claimed = shop.of_type(TaskClaimed)[-1]
    assert (claimed.agent_id, claimed.claim_epoch, claimed.attempt) == ("bob", 1, 1)
    assert claimed.lease_expires_at == shop.now + timedelta(seconds=60)
    assert outcome(shop) == (False, "bob", "")
    assert shop.reasons("b") == ["lock_held"]


def test_the_agent_hears_of_its_task_first_under_the_same_epoch_and_once() -> None:
    shop = Workshop()
    shop.create("urgent", priority="CRITICAL")
    shop.create("a", resources=("saw",), description="four legs")
    assign(shop, "a")
    assert [task.task_id for task in shop.claim("eve")] == ["urgent"]
    shop.create("other", priority="CRITICAL")
    shop.wait(50)
    (told,) = shop.claim("bob")
    assert (told.task_id, told.claim_epoch, told.attempt, told.description) == ("a", 1, 1, "four legs")
    assert [(lock.resource_key, lock.fencing_token) for lock in told.locks] == [("saw", 1)]
    assert told.lease_expires_at == shop.now + timedelta(seconds=60)
    assert [task.task_id for task in shop.claim("bob", max_tasks=9)] == ["other"]
    shop.wait(59)
    assert shop.status("a") == "claimed"
    shop.do(StartTask(task_id="a", claim_epoch=told.claim_epoch))
    shop.do(CompleteTask(task_id="a", claim_epoch=told.claim_epoch))
    assert len(shop.of_type(TaskPickedUp)) == 1


def test_what_is_assigned_and_what_is_ready_come_in_one_answer_within_what_was_asked_for() -> None:
    shop = Workshop()
    for task_id in "abcd":
        shop.create(task_id)
    for task_id in "cd":
        assign(shop, task_id)
    assert [task.task_id for task in shop.claim("bob", max_tasks=3)] == ["c", "d", "a"]
    assert [task.task_id for task in shop.claim("bob", max_tasks=3)] == ["b"]


def test_an_agent_hears_only_of_tasks_that_it_asks_for_with_this_claim() -> None:
    shop = Workshop()
    shop.create("a", required_capabilities=("saw",))
    assign(shop)
    assert shop.claim("bob", task_types=("other",)) == ()
    assert shop.claim("bob", tickets=("T-2",)) == ()
    assert [task.task_id for task in shop.claim("bob", capabilities=("saw",))] == ["a"]


def test_an_agent_that_was_taken_out_keeps_what_was_assigned_to_it() -> None:
    shop = Workshop()
    shop.create("a")
    shop.create("b")
    assign(shop)
    shop.do(FollowAgent(agent_id="bob", cause="unavailable", withheld=True, at=shop.now))
    assert [task.task_id for task in shop.claim("bob", max_tasks=2)] == ["a"]


def test_an_agent_that_waits_for_a_task_is_told_when_one_is_assigned_to_it() -> None:
    shop = Workshop()
    with pytest.raises(Waiting):
        shop.do(ClaimTask(agent_id="bob", capabilities=(), wait_seconds=30))
    shop.create("a")
    assign(shop)
    facts = shop.do(ClaimTask(agent_id="bob", capabilities=(), wait_seconds=30), waited_seconds=5)
    assert [task.task_id for fact in facts if isinstance(fact, Claimed) for task in fact.tasks] == ["a"]


def test_a_task_that_is_not_picked_up_in_time_goes_back_as_any_claim() -> None:
    shop = Workshop()
    shop.create("a", max_retries=1)
    assign(shop)
    shop.wait(61)
    assert (shop.status("a"), shop.task("a").failures) == ("ready", 1)
    with pytest.raises(StaleClaim):
        shop.do(StartTask(task_id="a", claim_epoch=1))
    assert [task.claim_epoch for task in shop.claim("bob")] == [2]
    assert [event.claim_epoch for event in shop.of_type(AssignmentLapsed)] == [1]
    assert shop.past.of(Agent, "bob").assigned == {}


@pytest.mark.parametrize(
    "over",
    [
        CancelTask(task_id="a"),
        CompleteTask(task_id="a", claim_epoch=1),
        StartTask(task_id="a", claim_epoch=1),
        HandOverClaim(task_id="a", from_agent="bob", to_agent="eve", claim_epoch=1, handoff_id="h"),
        ReleaseClaims(agent_id="bob", reason="It is gone."),
    ],
    ids=lambda command: str(command.wire_name()),
)
def test_a_claim_that_is_over_or_begun_is_not_handed_out_again(over: Any) -> None:
    shop = Workshop()
    shop.create("a")
    assign(shop)
    shop.do(over)
    assert shop.claim("bob", task_types=("none",)) == ()
    assert shop.of_type(TaskPickedUp) == []
    assert shop.past.of(Agent, "bob").assigned == {}


def test_whoever_claims_first_has_the_task_and_the_assignment_says_so() -> None:
    shop = Workshop()
    shop.create("a")
    noted(shop)
    shop.take("a", "eve")
    assign(shop, request=1)
    assert shop.task("a").agent_id == "eve"
    assert outcome(shop) == (False, None, "eve has it, in attempt 1.")
    assert shop.of_type(AgentAssigned) == []


def test_locks_and_the_hold_of_a_ticket_keep_a_task_from_being_assigned() -> None:
    shop = Workshop()
    shop.create("a", resources=("saw",))
    shop.create("b", resources=("saw",))
    noted(shop, limit=1)
    assert outcome(shop)[0]
    shop.take("a", "eve")
    assign(shop, "b")
    shop.create("c")
    shop.enter("BLOCKED")
    assign(shop, "c")
    assert (shop.status("b"), shop.status("c")) == ("ready", "ready")


def test_a_limit_of_the_workflow_holds_for_what_is_assigned_too() -> None:
    shop = Workshop(WORKFLOW.model_copy(update={"max_running_per_ticket": 1}))
    for task_id in "ab":
        shop.create(task_id)
        assign(shop, task_id)
    assert (shop.status("a"), shop.status("b")) == ("claimed", "ready")
    shop.do(CompleteTask(task_id="a", claim_epoch=1))
    assign(shop, "b")
    assert shop.status("b") == "claimed"


@pytest.mark.parametrize("cause", ["quarantine", "unavailable"])
def test_nothing_is_assigned_to_an_agent_that_may_have_no_tasks(cause: Any) -> None:
    shop = Workshop()
    shop.create("a")
    noted(shop)
    shop.do(FollowAgent(agent_id="bob", cause=cause, withheld=True, at=shop.now))
    assign(shop, request=1)
    assert shop.status("a") == "ready"
    assert outcome(shop) == (False, None, f"Agent bob is given no tasks: {cause}.")


def test_a_request_is_settled_once_and_late_answers_change_nothing() -> None:
    shop = Workshop()
    shop.create("a")
    noted(shop)
    shop.do(EndAssignment(task_id="a", request=1, reason="No agent fits."))
    assert (shop.status("a"), outcome(shop)) == ("ready", (False, None, "No agent fits."))
    assign(shop, request=1)
    shop.do(EndAssignment(task_id="a", request=1, reason="Again."))
    assert (shop.status("a"), len(shop.of_type(TaskAssignmentEnded))) == ("ready", 1)
    assert noted(shop) == ("a",)
    assign(shop, request=1)
    shop.do(EndAssignment(task_id="a", request=1, reason="Again."))
    assert outcome(shop)[0]
    assign(shop, request=2)
    assert outcome(shop) == (False, "bob", "")


def test_only_services_and_operators_choose_the_agent() -> None:
    assert AssignReadyTasks.authority is Authority.WORKER
    assert {AssignTask.authority, EndAssignment.authority} == {Authority.SYSTEM}
    with pytest.raises(TaskNotFound):
        assign(Workshop())


def test_the_lease_of_an_assignment_is_as_long_as_the_workflow_says() -> None:
    shop = Workshop(WORKFLOW.model_copy(update={"lease_seconds": 5}))
    shop.create("a")
    assign(shop)
    assert shop.timers["lease-a"].due_at == shop.now + timedelta(seconds=5)
    shop.wait(4)
    assert shop.claim("bob")[0].lease_seconds == 5
    assert shop.timers["lease-a"].due_at == shop.now + timedelta(seconds=5)
