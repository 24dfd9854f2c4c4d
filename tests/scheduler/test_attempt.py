import pytest

from services.scheduler.attempt import attempts
from services.scheduler.tables import attempt_rows
from shared.contracts.task import CancelTask, FailTask, StartTask
from shared.testing.scenario import NOON
from tests.scheduler.conftest import Shop
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


def test_a_task_keeps_its_attempts_with_errors_cut_short() -> None:
    shop = Workshop()
    shop.create("a", max_retries=9)
    epoch = shop.start("a")
    shop.do(FailTask(task_id="a", claim_epoch=epoch, error="x" * 5000))
    shop.wait(2)
    shop.complete("a")
    [first, second] = attempts(shop.events)
    [row, other] = attempt_rows(shop.task("a"))
    assert (row["attempt_id"], row["outcome"], row["error"]) == ("a/1", "failed", "x" * 2000)
    assert (row["started_at"], row["ended_at"]) == (first.started_at, first.ended_at)
    assert (other["attempt_id"], other["outcome"], other["error"]) == ("a/2", "completed", None)
    assert shop.task("a").attempts[1] == second


async def test_attempts_are_listed_by_who_made_them_and_how_they_ended_newest_first(shop: Shop) -> None:
    for task_id in ("a", "b", "c"):
        await shop.create(task_id)
        await shop.do("claim_task", agent_id="eve" if task_id == "c" else "bob")
    await shop.do("start_task", task_id="a", claim_epoch=1)
    await shop.do("complete_task", task_id="a", claim_epoch=1)
    await shop.do("fail_task", task_id="c", claim_epoch=1, error="it broke", retryable=False)

    async def listed(**wanted: object) -> list[str]:
        return [one["attempt_id"] for one in (await shop.query("list_attempts", **wanted))["attempts"]]

    assert await listed() == ["c/1", "b/1", "a/1"]
    assert await listed(agent_id="bob") == await listed(agent_id="bob", ticket_id="T-1") == ["b/1", "a/1"]
    assert (await listed(task_id="c"), await listed(ticket_id="T-2")) == (["c/1"], [])
    assert (await listed(outcome="completed"), await listed(outcome="open")) == (["a/1"], ["b/1"])
    assert await listed(agent_id="bob", outcome="failed") == []
    [failed] = (await shop.query("list_attempts", outcome="failed"))["attempts"]
    named = ("agent_id", "attempt", "claim_epoch", "task_type", "phase_id", "outcome", "error")
    assert [failed[name] for name in named] == ["eve", 1, 1, "chore", "BACKLOG", "failed", "it broke"]
    assert failed["ended_at"] > failed["claimed_at"]
    [done] = (await shop.query("list_attempts", outcome="completed"))["attempts"]
    assert done["started_at"] < done["ended_at"]


async def test_attempts_are_listed_in_pages_that_lose_none(shop: Shop) -> None:
    for number in range(5):
        await shop.create(f"task-{number}")
    assert len(await shop.claim(max_tasks=5)) == 5
    found, after = list[str](), ""
    for _ in range(3):
        page = await shop.query("list_attempts", limit=2, after=after)
        found += [one["task_id"] for one in page["attempts"]]
        after = page.get("next") or ""
    assert found == [f"task-{number}" for number in reversed(range(5))]
    assert after == ""


@pytest.mark.parametrize("by", ["ann", "operator"])
async def test_a_cancelled_task_tells_who_stopped_it_and_why(shop: Shop, by: str) -> None:
    await shop.create("a")
    assert (await shop.query("get_task", task_id="a"))["cancelled"] is None
    body = {"task_id": "a", "reason": "no more chairs"}
    assert (await shop.world.ask("scheduler.cancel_task", body, actor=by))["ok"]
    told = (await shop.query("get_task", task_id="a"))["cancelled"]
    assert (told["by"], told["reason"]) == (by, "no more chairs")
    await shop.do("retry_task", task_id="a")
    assert (await shop.query("get_task", task_id="a"))["cancelled"] is None
