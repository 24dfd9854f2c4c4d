from datetime import timedelta

import pytest

from services.scheduler.allotment import ClaimsOf
from services.scheduler.claim import FIRST_PAGE, ReadyCandidates, StaleClaim
from services.scheduler.decision import AGGREGATES
from services.scheduler.service import scheduler
from services.scheduler.task import TaskNotFound
from shared.contracts.messages import Priority
from shared.contracts.task import (
    CancelTask,
    Claimed,
    ClaimedTask,
    ClaimTask,
    ExpireClaim,
    ExtendClaim,
    Extended,
    ReleaseClaims,
    StartTask,
    TaskClaimed,
    TaskFailed,
    TaskLeaseExpired,
)
from shared.kernel.decider import CancelTimer, Timer, Waiting
from shared.testing.scenario import NOON, Scenario
from tests.scheduler.workshop import WORKFLOW, Workshop, plain_ticket

LEASE = timedelta(seconds=60)


def test_a_claim_hands_the_task_over_with_an_epoch_and_a_lease() -> None:
    shop = Workshop(repository="/chairs")
    shop.create("parent")
    shop.take("parent", "eve")
    shop.create("a", description="four legs", parent_task_id="parent", timeout_seconds=9)
    assert shop.do(ClaimTask(agent_id="bob")) == [
        TaskClaimed(
            task_id="a",
            ticket_id="T-1",
            phase_id="BACKLOG",
            agent_id="bob",
            claim_epoch=1,
            attempt=1,
            claimed_at=NOON,
            lease_expires_at=NOON + LEASE,
            claimed_by="ann",
        ),
        Timer("lease-a", NOON + LEASE, ExpireClaim(task_id="a", claim_epoch=1)),
        Claimed(
            tasks=(
                ClaimedTask(
                    task_id="a",
                    ticket_id="T-1",
                    phase_id="BACKLOG",
                    visit=1,
                    task_type="chore",
                    title="a",
                    description="four legs",
                    priority=Priority.MEDIUM,
                    claim_epoch=1,
                    lease_expires_at=NOON + LEASE,
                    lease_seconds=60,
                    attempt=1,
                    timeout_seconds=9,
                    repository="/chairs",
                    parent_task_id="parent",
                ),
            )
        ),
    ]


def test_the_lease_is_as_long_as_the_workflow_says() -> None:
    shop = Workshop(WORKFLOW.model_copy(update={"lease_seconds": 5}))
    shop.create("a")
    assert shop.claim()[0].lease_expires_at == NOON + timedelta(seconds=5)


def test_an_agent_takes_as_many_as_it_asks_for_in_the_order_of_rank() -> None:
    shop = Workshop()
    shop.create("late", priority="LOW")
    shop.create("soon", priority="HIGH")
    shop.create("next")
    assert [task.task_id for task in shop.claim(max_tasks=2)] == ["soon", "next"]
    assert [task.task_id for task in shop.claim(max_tasks=2)] == ["late"]
    assert shop.claim(max_tasks=2) == ()


def test_an_agent_gets_no_more_than_one_message_can_hold() -> None:
    shop = Workshop()
    for task_id in "abc":
        shop.create(task_id, description="\N{CHAIR}" * 80_000)
    assert [len(shop.claim(max_tasks=9)) for _ in range(3)] == [2, 1, 0]


def test_an_agent_gets_only_what_it_can_do() -> None:
    shop = Workshop()
    shop.create("a", required_capabilities=("saw", "paint"))
    assert shop.claim(capabilities=("saw",)) == ()
    assert shop.claim(capabilities=()) == ()
    assert len(shop.claim(capabilities=(" Paint", "SAW"))) == 1
    shop.create("b", required_capabilities=("saw",))
    assert len(shop.claim(capabilities=("saw", "drill"))) == 1


def test_an_agent_that_names_no_capabilities_gets_anything() -> None:
    shop = Workshop()
    shop.create("a", required_capabilities=("saw",))
    assert len(shop.claim()) == 1


def test_an_agent_gets_only_tasks_of_the_phases_it_asks_for() -> None:
    shop = Workshop()
    shop.create("a")
    assert shop.claim(phases=("CHECK",)) == ()
    assert len(shop.claim(phases=("CHECK", "BACKLOG"))) == 1


def test_an_agent_gets_only_tasks_of_the_tickets_and_types_it_asks_for() -> None:
    shop = Workshop()
    shop.do(plain_ticket("T-2"))
    shop.create("a")
    shop.create("b", ticket_id="T-2", task_type="errand")
    assert shop.claim(tickets=("T-3",)) == ()
    assert shop.claim(tickets=("T-2",), task_types=("chore",)) == ()
    assert [task.task_id for task in shop.claim(tickets=("T-2", "T-3"))] == ["b"]
    assert shop.claim(task_types=("errand",)) == ()
    assert [task.task_id for task in shop.claim(task_types=("chore",))] == ["a"]


@pytest.mark.parametrize(
    "wish",
    [
        {"capabilities": ("saw",)},
        {"phases": ("CHECK",)},
        {"tickets": ("T-2",)},
        {"task_types": ("errand",)},
    ],
)
def test_a_candidate_that_does_not_fit_is_not_handed_out_though_the_index_offers_it(
    wish: dict[str, object],
) -> None:
    shop = Workshop()
    shop.create("a", required_capabilities=("paint",))
    hints = scenario(shop).finding(ReadyCandidates, lambda lookup: ("a",))
    hints.when(ClaimTask.model_validate({"agent_id": "bob", **wish})).then(Claimed())


def scenario(shop: Workshop) -> Scenario:
    return Scenario(AGGREGATES, scheduler.obeys, past=tuple(shop.events))


def test_a_claim_steps_over_what_claims_decided_before_it_have_taken() -> None:
    shop = Workshop()
    ids = tuple(shop.create(f"task-{number:03}") for number in range(FIRST_PAGE + 2))
    hints = scenario(shop).finding(ReadyCandidates, lambda lookup: ids[: lookup.limit])
    for task_id in ids[: FIRST_PAGE + 1]:
        hints = hints.given(
            TaskClaimed(
                task_id=task_id,
                ticket_id="T-1",
                phase_id="BACKLOG",
                agent_id="eve",
                claim_epoch=1,
                attempt=1,
                claimed_at=NOON,
                lease_expires_at=NOON,
            )
        )
    [claimed] = hints.when(ClaimTask(agent_id="bob")).events()
    assert isinstance(claimed, TaskClaimed)
    assert claimed.task_id == ids[-1]


def test_an_agent_may_wait_for_a_task() -> None:
    shop = Workshop()
    patient = ClaimTask(agent_id="bob", wait_seconds=10)
    with pytest.raises(Waiting) as waiting:
        shop.decide(patient)
    assert waiting.value.until == NOON + timedelta(seconds=10)
    with pytest.raises(Waiting):
        shop.decide(patient, waited_seconds=9.9)
    assert shop.decide(patient, waited_seconds=10) == [Claimed()]
    shop.create("a")
    assert len(shop.claim(wait_seconds=10)) == 1


def test_a_heartbeat_holds_the_claim_for_another_lease_and_makes_no_history() -> None:
    shop = Workshop()
    shop.create("a")
    epoch = shop.take("a")
    shop.wait(40)
    until = NOON + timedelta(seconds=100)
    assert shop.do(ExtendClaim(task_id="a", claim_epoch=epoch)) == [
        Timer("lease-a", until, ExpireClaim(task_id="a", claim_epoch=epoch)),
        Extended(task_id="a", lease_expires_at=until),
    ]
    shop.wait(59)
    assert shop.status("a") == "claimed"
    shop.wait(1)
    assert shop.status("a") == "ready"


def test_a_claim_that_was_lost_cannot_be_extended() -> None:
    shop = Workshop()
    shop.create("a")
    epoch = shop.take("a")
    shop.wait(60)
    with pytest.raises(StaleClaim) as refused:
        shop.do(ExtendClaim(task_id="a", claim_epoch=epoch))
    assert refused.value.details == {"current_epoch": 1, "status": "ready"}
    shop.take("a", "eve")
    with pytest.raises(StaleClaim) as refused:
        shop.do(ExtendClaim(task_id="a", claim_epoch=epoch))
    assert refused.value.details == {"current_epoch": 2, "status": "claimed"}


def test_the_worker_of_a_cancelled_task_learns_so_from_its_heartbeat() -> None:
    shop = Workshop()
    shop.create("a")
    shop.start("a")
    shop.do(CancelTask(task_id="a", reason="no more chairs"))
    told = Extended(task_id="a", cancelled=True, cancel_reason="no more chairs")
    assert shop.do(ExtendClaim(task_id="a", claim_epoch=1)) == [told]
    with pytest.raises(StaleClaim):
        shop.do(ExtendClaim(task_id="a", claim_epoch=2))


def test_the_claim_of_an_unknown_task_cannot_be_extended() -> None:
    with pytest.raises(TaskNotFound):
        Workshop().do(ExtendClaim(task_id="ghost", claim_epoch=1))


def test_a_lease_that_expires_is_an_attempt_and_the_task_is_ready_at_once() -> None:
    shop = Workshop()
    shop.create("a", timeout_seconds=500)
    shop.start("a")
    shop.wait(60)
    [expired] = shop.of_type(TaskLeaseExpired)
    assert (expired.agent_id, expired.claim_epoch, expired.attempt, expired.at) == ("bob", 1, 1, shop.now)
    task = shop.task("a")
    assert (task.status, task.ready_at, task.agent_id, task.failures) == ("ready", shop.now, None, 1)
    assert shop.timers == {}
    assert shop.claim()[0].attempt == 2


def test_the_last_lease_that_expires_fails_the_task() -> None:
    shop = Workshop()
    shop.create("b", shop.create("a", max_retries=1), on_dependency_failure="fail")
    shop.start("a")
    shop.wait(60)
    shop.start("a")
    shop.wait(60)
    error = "Attempt 2 was the last one: bob did not extend its claim in time."
    first, second = shop.of_type(TaskFailed)
    assert (first.task_id, first.error, first.agent_id) == ("a", error, "bob")
    assert second.task_id == "b"


def test_an_expiry_that_comes_too_late_changes_nothing() -> None:
    shop = Workshop()
    shop.create("a")
    shop.take("a")
    shop.wait(60)
    shop.take("a", "eve")
    assert shop.do(ExpireClaim(task_id="a", claim_epoch=1)) == []
    shop.do(CancelTask(task_id="a"))
    assert shop.do(ExpireClaim(task_id="a", claim_epoch=2)) == []


def test_the_claims_of_an_agent_that_is_gone_are_ended_and_no_others() -> None:
    shop = Workshop()
    for task_id in "abc":
        shop.create(task_id)
        shop.start(task_id, "eve" if task_id == "b" else "bob")
    shop.do(ReleaseClaims(agent_id="bob", reason="bob is lost", before=shop.now))
    assert [shop.status(task_id) for task_id in "abc"] == ["ready", "running", "ready"]
    assert {event.reason for event in shop.of_type(TaskLeaseExpired)} == {"bob is lost"}


def test_claims_that_an_agent_made_after_it_came_back_stay() -> None:
    shop = Workshop()
    lost_at = shop.now
    shop.wait(1)
    shop.create("a")
    shop.take("a")
    assert shop.do(ReleaseClaims(agent_id="bob", reason="bob is lost", before=lost_at)) == []
    shop.do(ReleaseClaims(agent_id="bob", reason="bob is lost"))
    assert shop.status("a") == "ready"


def test_an_agent_that_is_gone_loses_nothing_that_the_index_only_says_it_has() -> None:
    shop = Workshop()
    shop.create("open")
    shop.take("open", "eve")
    shop.create("done")
    shop.complete("done")
    shop.create("ready")
    hints = scenario(shop).finding(ClaimsOf, lambda lookup: ("open", "done", "ready"))
    hints.when(ReleaseClaims(agent_id="bob", reason="bob is lost")).then()


@pytest.mark.parametrize("timeout_seconds", [None, 9])
def test_only_timers_that_run_are_stopped(timeout_seconds: float | None) -> None:
    shop = Workshop()
    shop.create("a", timeout_seconds=timeout_seconds)
    epoch = shop.take("a")
    if timeout_seconds is None:
        shop.do(StartTask(task_id="a", claim_epoch=epoch))
    stopped = [fact.key for fact in shop.do(CancelTask(task_id="a")) if isinstance(fact, CancelTimer)]
    assert stopped == ["lease-a"]


def test_beginning_sets_the_timeout_and_ending_stops_all_timers() -> None:
    shop = Workshop()
    shop.create("a", timeout_seconds=9)
    epoch = shop.take("a")
    facts = shop.do(StartTask(task_id="a", claim_epoch=epoch))
    assert [fact.key for fact in facts if isinstance(fact, Timer)] == ["timeout-a"]
    stopped = [fact.key for fact in shop.do(CancelTask(task_id="a")) if isinstance(fact, CancelTimer)]
    assert stopped == ["lease-a", "timeout-a"]
