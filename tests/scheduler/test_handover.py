from datetime import timedelta
from typing import Any

import pytest

from services.scheduler.attempt import attempts
from services.scheduler.claim import StaleClaim
from services.scheduler.lock import Lock
from services.scheduler.lock_request import LockHeld
from services.scheduler.tables import lock_row
from services.scheduler.task import TaskNotFound
from shared.contracts.lock import AcquireLock
from shared.contracts.messages import Authority
from shared.contracts.task import (
    CompleteTask,
    ExtendClaim,
    FollowAgent,
    HandOverClaim,
    StartTask,
    TaskClaimed,
    TaskHandoverFailed,
    TaskTimedOut,
)
from shared.kernel.decider import Waiting
from tests.scheduler.workshop import Workshop


def hand_over(epoch: int, **fields: Any) -> HandOverClaim:
    """Bob's claim on task a goes to eve."""
    told: dict[str, Any] = {"task_id": "a", "from_agent": "bob", "to_agent": "eve", "handoff_id": "h"}
    return HandOverClaim(claim_epoch=epoch, **told | fields)


def test_a_claim_moves_with_a_new_epoch_and_lease_and_the_old_one_is_stale_at_once() -> None:
    shop = Workshop()
    shop.create("a")
    epoch = shop.start("a")
    shop.wait(50)
    shop.do(hand_over(epoch, reason="No saw.", context={"legs": 4}))
    claimed = shop.of_type(TaskClaimed)[-1]
    assert (claimed.agent_id, claimed.claim_epoch, claimed.handed_over_from) == ("eve", epoch + 1, "bob")
    assert (claimed.handoff_id, claimed.handoff_context) == ("h", {"legs": 4})
    assert claimed.lease_expires_at == shop.now + timedelta(seconds=60)
    for late in (ExtendClaim, CompleteTask):
        with pytest.raises(StaleClaim):
            shop.do(late(task_id="a", claim_epoch=epoch))
    shop.wait(59)
    assert shop.status("a") == "claimed"
    shop.do(StartTask(task_id="a", claim_epoch=epoch + 1))
    shop.do(CompleteTask(task_id="a", claim_epoch=epoch + 1))
    assert [attempt.status for attempt in attempts(shop.events)] == ["handed_over", "completed"]


def test_a_handover_spends_no_retry_and_stops_the_timeout_of_the_attempt_before() -> None:
    shop = Workshop()
    shop.create("a", timeout_seconds=40, max_retries=0)
    epoch = shop.start("a")
    shop.wait(30)
    shop.do(hand_over(epoch))
    shop.wait(20)
    assert (shop.of_type(TaskTimedOut), shop.task("a").failures) == ([], 0)
    shop.do(StartTask(task_id="a", claim_epoch=epoch + 1))
    shop.wait(30)
    assert shop.status("a") == "running"


def test_a_claim_that_is_not_the_requesters_any_more_stays_where_it_is() -> None:
    shop = Workshop()
    shop.create("a")
    epoch = shop.take("a")
    for command in (hand_over(epoch - 1), hand_over(epoch + 1), hand_over(epoch, from_agent="joe")):
        shop.do(command)
        assert "bob has it" in shop.of_type(TaskHandoverFailed)[-1].reason
    shop.do(CompleteTask(task_id="a", claim_epoch=epoch))
    shop.do(hand_over(epoch))
    assert "it is completed" in shop.of_type(TaskHandoverFailed)[-1].reason
    assert len(shop.of_type(TaskClaimed)) == 1


def test_only_services_and_operators_move_claims_and_only_of_tasks_there_are() -> None:
    assert HandOverClaim.authority is Authority.SYSTEM
    with pytest.raises(TaskNotFound):
        Workshop().do(hand_over(1))


def test_the_locks_of_the_claim_go_with_the_task() -> None:
    shop = Workshop()
    shop.create("a", resources=("saw",))
    shop.create("b", resources=("saw",))
    epoch = shop.take("a")
    shop.do(hand_over(epoch))
    assert shop.claim("joe") == ()
    shop.do(CompleteTask(task_id="a", claim_epoch=epoch + 1))
    assert [task.task_id for task in shop.claim("joe")] == ["b"]


def test_a_claim_does_not_move_to_an_agent_in_quarantine() -> None:
    shop = Workshop()
    shop.create("a")
    epoch = shop.start("a")
    suspect = FollowAgent(agent_id="eve", cause="quarantine", withheld=True, reason="It lies.", at=shop.now)
    shop.do(suspect)
    shop.do(hand_over(epoch))
    assert shop.task("a").agent_id == "bob"
    assert "eve is quarantined: It lies." in shop.of_type(TaskHandoverFailed)[-1].reason


def test_the_locks_of_the_claim_name_the_new_agent_and_the_old_one_waits_for_none() -> None:
    shop = Workshop()
    shop.create("a", resources=("saw",))
    epoch = shop.take("a")
    shop.do(AcquireLock(resource_key="glue", task_id="a", agent_id="bob"))
    shop.do(AcquireLock(resource_key="vice", task_id="t1", agent_id="joe"))
    with pytest.raises(Waiting):
        shop.do(AcquireLock(resource_key="vice", task_id="a", agent_id="bob", wait_seconds=60))
    shop.do(hand_over(epoch))
    for resource_key in ("saw", "glue"):
        [hold] = shop.past.of(Lock, resource_key).holders
        assert (hold.agent_id, hold.acquired_by, hold.fencing_token) == ("eve", None, 1)
        row = lock_row(shop.past.of(Lock, resource_key))
        assert row is not None
        assert row["who"] == ["agent:eve", "task:a"]
    assert shop.past.of(Lock, "vice").waiting == ()
    with pytest.raises(LockHeld, match="eve holds it for task a"):
        shop.do(AcquireLock(resource_key="saw", task_id="t2", agent_id="joe"))
