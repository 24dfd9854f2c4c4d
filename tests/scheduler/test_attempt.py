from services.scheduler.attempt import attempts
from shared.contracts.task import CancelTask, StartTask
from shared.testing.scenario import NOON
from tests.scheduler.workshop import Workshop


def test_each_way_an_attempt_can_end_is_told_in_its_record() -> None:
    shop = Workshop()
    shop.create("a", timeout_seconds=10, max_retries=9)
    shop.lose("a")
    shop.wait(2)
    shop.start("a", "eve")
    shop.wait(20)
    shop.take("a")
    shop.wait(60)
    shop.complete("a")
    records = attempts(shop.events)
    assert [(record.attempt, record.agent_id, record.status) for record in records] == [
        (1, "bob", "failed"),
        (2, "eve", "timed_out"),
        (3, "bob", "lease_expired"),
        (4, "bob", "completed"),
    ]
    assert [record.error for record in records] == [
        "it broke",
        "It ran longer than 10 s.",
        "bob did not extend its claim in time.",
        None,
    ]
    assert [record.ended_at is not None for record in records] == [True] * 4


def test_an_attempt_in_work_is_told_as_far_as_it_is() -> None:
    shop = Workshop()
    shop.create("a")
    shop.take("a")
    [record] = attempts(shop.events)
    assert (record.status, record.claimed_at, record.started_at) == ("claimed", NOON, None)
    shop.wait(5)
    shop.do(StartTask(task_id="a", claim_epoch=1))
    [record] = attempts(shop.events)
    assert (record.status, record.started_at, record.ended_at) == ("running", shop.now, None)


def test_the_last_attempt_is_the_one_that_fails_or_is_cancelled() -> None:
    shop = Workshop()
    shop.create("a")
    shop.fail("a")
    assert [(record.status, record.error) for record in attempts(shop.events)] == [("failed", "it broke")]
    other = Workshop()
    other.create("a")
    other.start("a")
    other.do(CancelTask(task_id="a", reason="no more chairs"))
    assert [(record.status, record.error) for record in attempts(other.events)] == [
        ("cancelled", "no more chairs")
    ]


def test_what_ends_a_task_between_two_attempts_is_no_part_of_either() -> None:
    shop = Workshop()
    shop.create("a")
    shop.lose("a")
    shop.do(CancelTask(task_id="a"))
    assert [record.status for record in attempts(shop.events)] == ["failed"]
