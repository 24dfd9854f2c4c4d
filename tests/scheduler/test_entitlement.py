"""Whose reports on a claim are heard, and who may touch a lock."""

from datetime import timedelta
from typing import Any

import pytest

from services.scheduler.claim import StaleClaim
from services.scheduler.lock import Lock
from shared.contracts.lock import AcquireLock, ExtendLock, ReleaseLock
from shared.contracts.messages import Authority, Command
from shared.contracts.task import (
    AssignTask,
    CancelTask,
    ClaimTask,
    CompleteTask,
    ExtendClaim,
    FailTask,
    FollowCapabilities,
    HandOverClaim,
    ReportProgress,
    StartTask,
    TaskClaimantNamed,
)
from shared.kernel.decider import Fact, NotAuthorised, Waiting
from tests.scheduler.conftest import Shop
from tests.scheduler.workshop import Workshop


def say(shop: Workshop, actor: str, command: Command) -> list[Fact]:
    """As somebody who has no authority but that of a worker."""
    return shop.do(command, actor=actor, authority=Authority.WORKER)


def reports(epoch: int = 1) -> list[Command]:
    """Each leaves the claim open to those after it, but for the last."""
    claim: dict[str, Any] = {"task_id": "a", "claim_epoch": epoch}
    beat = ExtendClaim(**claim)
    return [
        StartTask(**claim),
        ReportProgress(**claim),
        beat,
        FailTask(**claim, error=""),
        CompleteTask(**claim),
    ]


def claimed(actor: str = "anonymous") -> Workshop:
    shop = Workshop()
    shop.create("a")
    say(shop, actor, ClaimTask(agent_id="a1"))
    return shop


def acquire(task_id: str, agent_id: str, **fields: Any) -> AcquireLock:
    return AcquireLock(resource_key="a.py", task_id=task_id, agent_id=agent_id, **fields)


def dispose(task_id: str) -> list[Command]:
    return [
        ExtendLock(resource_key="a.py", task_id=task_id),
        ReleaseLock(resource_key="a.py", task_id=task_id),
    ]


@pytest.mark.parametrize("number", range(5))
def test_nobody_reports_on_a_claim_of_others(number: int) -> None:
    shop = claimed()
    before, report = shop.task("a"), reports()[number]
    with pytest.raises(NotAuthorised) as refused:
        say(shop, "eve", report)
    assert refused.value.details == {"allowed": ["a1", "anonymous"], "required": "MONITOR", "held": "WORKER"}
    assert "a1 and anonymous may" in refused.value.message
    assert shop.task("a") == before
    with pytest.raises(NotAuthorised):
        shop.do(report, actor="eve", authority=Authority.WATCHDOG)
    assert shop.do(report, actor="eve", authority=Authority.MONITOR)


@pytest.mark.parametrize("actor", ["anonymous", "a1"])
@pytest.mark.parametrize("number", range(5))
def test_the_agent_and_who_claimed_for_it_report(actor: str, number: int) -> None:
    shop = claimed()
    assert say(shop, actor, reports()[number])


def test_after_the_end_too_a_claim_is_its_agents() -> None:
    shop = claimed()
    shop.do(CancelTask(task_id="a"))
    before = len(shop.events)
    for report in reports():
        with pytest.raises(NotAuthorised):
            say(shop, "eve", report)
    assert len(shop.events) == before
    assert all(say(shop, actor, report) for report in reports() for actor in ("a1", "anonymous"))


def test_who_picks_a_task_up_for_its_agent_reports_and_the_one_who_assigned_it_does_not() -> None:
    shop = Workshop()
    shop.create("a")
    shop.do(AssignTask(task_id="a", agent_id="a1"), actor="desk")
    say(shop, "anonymous", ClaimTask(agent_id="a1"))
    [named] = shop.of_type(TaskClaimantNamed)
    assert (named.claimed_by, named.claim_epoch) == ("anonymous", 1)
    assert (named.agent_id, named.attempt) == ("a1", 1)
    for stranger in ("desk", "eve"):
        with pytest.raises(NotAuthorised):
            say(shop, stranger, reports()[0])
    assert all(say(shop, actor, reports()[0]) for actor in ("a1", "anonymous"))


def test_an_agent_that_picks_up_its_task_itself_needs_no_other_name() -> None:
    shop = Workshop()
    shop.create("a")
    shop.do(AssignTask(task_id="a", agent_id="a1"))
    say(shop, "a1", ClaimTask(agent_id="a1"))
    assert shop.of_type(TaskClaimantNamed) == []


def test_after_a_handover_the_new_agent_reports_and_locks_and_the_old_one_does_not() -> None:
    shop = claimed()
    say(shop, "a1", acquire("a", "a1"))
    shop.do(HandOverClaim(task_id="a", from_agent="a1", to_agent="a2", claim_epoch=1, handoff_id="h"))
    for old in ("a1", "anonymous"):
        with pytest.raises(StaleClaim):
            say(shop, old, StartTask(task_id="a", claim_epoch=1))
        with pytest.raises(NotAuthorised):
            say(shop, old, StartTask(task_id="a", claim_epoch=2))
        with pytest.raises(NotAuthorised):
            say(shop, old, acquire("a", "a2"))
    assert all(say(shop, "a2", one) for one in (acquire("a", "a2"), *dispose("a"), *reports(2)[:3]))


@pytest.mark.parametrize("number", range(2))
def test_nobody_extends_or_releases_a_lock_of_others(number: int) -> None:
    shop = Workshop()
    say(shop, "anonymous", acquire("t1", "a1"))
    before = shop.past.of(Lock, "a.py")
    with pytest.raises(NotAuthorised) as refused:
        say(shop, "eve", dispose("t1")[number])
    assert refused.value.details["allowed"] == ["a1", "anonymous"]
    assert shop.past.of(Lock, "a.py") == before
    assert shop.do(dispose("t1")[number], actor="eve", authority=Authority.MONITOR)


@pytest.mark.parametrize("actor", ["anonymous", "a1"])
def test_the_agent_and_who_acquired_a_lock_for_it_extend_and_release_it(actor: str) -> None:
    shop = Workshop()
    say(shop, "anonymous", acquire("t1", "a1"))
    assert all(say(shop, actor, one) for one in dispose("t1"))
    assert shop.past.of(Lock, "a.py").holders == ()


def test_nobody_acquires_what_others_hold_by_naming_their_task() -> None:
    shop = Workshop()
    say(shop, "anonymous", acquire("t1", "a1"))
    for agent_id in ("a1", "eve"):
        with pytest.raises(NotAuthorised):
            say(shop, "eve", acquire("t1", agent_id))
    say(shop, "a1", acquire("t1", "a1"))
    assert [(hold.depth, hold.acquired_by) for hold in shop.past.of(Lock, "a.py").holders] == [
        (2, "anonymous")
    ]


def test_nobody_locks_for_a_task_that_others_have() -> None:
    shop = claimed()
    with pytest.raises(NotAuthorised):
        say(shop, "eve", acquire("a", "a1"))
    assert say(shop, "anonymous", acquire("a", "a1"))


def test_a_lock_that_was_waited_for_is_of_whoever_asked_and_not_of_whoever_let_go() -> None:
    shop = Workshop()
    say(shop, "ann", acquire("t1", "a1"))
    with pytest.raises(Waiting):
        say(shop, "joe", acquire("t2", "a2", wait_seconds=60))
    say(shop, "ann", dispose("t1")[1])
    with pytest.raises(NotAuthorised):
        say(shop, "ann", dispose("t2")[1])
    assert all(say(shop, "joe", one) for one in dispose("t2"))


async def test_on_the_wire_a_claim_and_a_lock_are_of_those_who_took_them(shop: Shop) -> None:
    async def ask(actor: str, name: str, **body: Any) -> str:
        answer = await shop.world.ask(f"scheduler.{name}", body, actor=actor)
        return "" if answer["ok"] else str(answer["code"])

    await shop.create("a")
    lock = {"resource_key": "a.py", "task_id": "a"}
    assert await ask("ann", "claim_task", agent_id="a1") == ""
    assert await ask("eve", "acquire_lock", **lock, agent_id="a1") == "not_authorised"
    assert await ask("ann", "acquire_lock", **lock, agent_id="a1") == ""
    assert await ask("eve", "release_lock", **lock) == "not_authorised"
    assert await ask("eve", "complete_task", task_id="a", claim_epoch=1) == "not_authorised"
    [held] = (await shop.query("list_locks"))["locks"]
    assert held["holders"][0]["acquired_by"] == "ann"
    assert await ask("a1", "release_lock", **lock) == ""
    assert await ask("ann", "complete_task", task_id="a", claim_epoch=1) == ""


def registered(*registrars: str) -> Workshop:
    """A shop with one task, that has heard of agent a1 being registered."""
    shop = Workshop()
    shop.create("a")
    for registrar in registrars:
        shop.wait(1)
        shop.do(FollowCapabilities(agent_id="a1", capabilities=(), registered_by=registrar, at=shop.now))
    return shop


@pytest.mark.parametrize("actor", ["bob", "anonymous"])
def test_nobody_claims_for_an_agent_that_somebody_else_registered(actor: str) -> None:
    shop = registered("ann")
    with pytest.raises(NotAuthorised) as refused:
        say(shop, actor, ClaimTask(agent_id="a1"))
    assert refused.value.details["allowed"] == ["a1", "ann"]
    assert f"{actor} may not claim tasks for agent a1: a1 and ann may" in refused.value.message


@pytest.mark.parametrize("actor", ["a1", "ann"])
def test_an_agent_and_who_registered_it_claim_for_it(actor: str) -> None:
    shop = registered("ann")
    say(shop, actor, ClaimTask(agent_id="a1"))
    assert shop.task("a").agent_id == "a1"


def test_a_monitor_claims_for_any_agent() -> None:
    shop = registered("ann")
    shop.do(ClaimTask(agent_id="a1"), actor="eve", authority=Authority.MONITOR)
    assert shop.task("a").agent_id == "a1"


@pytest.mark.parametrize("registrars", [(), ("anonymous",), ("ann", "anonymous")])
def test_an_agent_that_nobody_registered_under_a_name_is_anybodys(registrars: tuple[str, ...]) -> None:
    shop = registered(*registrars)
    say(shop, "bob", ClaimTask(agent_id="a1"))
    assert shop.task("a").agent_id == "a1"


def test_what_an_agent_says_of_itself_later_does_not_change_whose_it_is() -> None:
    shop = registered("ann")
    later = shop.now + timedelta(seconds=1)
    shop.do(FollowCapabilities(agent_id="a1", capabilities=("testing",), at=later))
    with pytest.raises(NotAuthorised):
        say(shop, "bob", ClaimTask(agent_id="a1"))
