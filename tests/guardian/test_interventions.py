"""Each intervention on the running system: done, seen, undone; and not undone once the world has moved on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.testing.world import World, until
from tests.guardian.fleet import SECONDS, Fleet, at_work


@pytest.fixture
async def fleet(a_world: World) -> AsyncIterator[Fleet]:
    async with at_work(a_world) as made:
        yield made


async def test_a_cancelled_task_is_queued_again_with_those_that_ended_with_it(fleet: Fleet) -> None:
    await fleet.task("saw", resources=["bench"])
    await fleet.task("glue", depends_on=["saw"], on_dependency_failure="skip")
    await fleet.task("paint", depends_on=["glue"], on_dependency_failure="fail")
    assert await fleet.claimed() == ["saw"]
    done = await fleet.intervene("cancel_task", task_id="saw", caused_by="smoke")
    assert done["before"] == {"status": "claimed", "attempt": 1, "agent_id": "ann"}
    assert done["after"]["ended_with_it"] == {"glue": "cancelled", "paint": "failed"}
    saw = await fleet.seen("saw")
    assert (saw["status"], saw["cancelled"]["by"], saw["reason"]) == ("cancelled", "operator", "It burns.")
    assert (await fleet.query("scheduler.list_locks"))["locks"] == []
    told = await fleet.done("scheduler.extend_claim", actor="ann", task_id="saw", claim_epoch=1)
    assert (told["cancelled"], told["cancel_reason"]) == (True, "It burns.")
    again = await fleet.undo(done)
    assert again == {
        "status": "ready",
        "with_it": {"glue": "waiting", "paint": "waiting"},
        "not_restored": {},
    }
    assert (await fleet.seen("saw"))["failures"] == 0
    assert await fleet.claimed() == ["saw"]
    stands = await fleet.query("guardian.get_intervention", intervention_id=done["intervention_id"])
    assert (stands["status"], stands["ticket_id"], stands["caused_by"]) == ("reverted", "T-1", "smoke")
    twice = await fleet.refused("guardian.revert", intervention_id=done["intervention_id"], reason="Again.")
    assert twice["code"] == "already_reverted"
    assert "reverted already, by operator" in twice["message"]


async def test_a_task_is_not_queued_again_for_a_ticket_that_went_on(fleet: Fleet) -> None:
    await fleet.task("saw")
    done = await fleet.intervene("cancel_task", task_id="saw")
    await fleet.move("TEST")
    changed = await fleet.cannot_undo(done)
    assert changed == {"visit": {"left_as": "BUILD 1", "is_now": "TEST 1", "by": None}}
    assert (await fleet.seen("saw"))["status"] == "cancelled"


async def test_a_task_that_was_retried_and_cancelled_again_stays_cancelled(fleet: Fleet) -> None:
    await fleet.task("saw")
    done = await fleet.intervene("cancel_task", task_id="saw")
    await fleet.done("scheduler.retry_task", task_id="saw")
    assert (await fleet.cannot_undo(done))["status"]["is_now"] == "ready"
    await fleet.done("scheduler.cancel_task", task_id="saw")
    assert "status" in await fleet.cannot_undo(done)


async def test_an_overridden_priority_moves_the_task_at_once_and_back(fleet: Fleet) -> None:
    for task_id in ("first", "second"):
        await fleet.task(task_id)
    rank = (await fleet.seen("second"))["rank"]
    done = await fleet.intervene("override_priority", task_id="second", priority="critical")
    assert (done["before"]["priority"], done["after"]["priority"]) == ("MEDIUM", "CRITICAL")
    ready = (await fleet.query("scheduler.ready_tasks"))["tasks"]
    assert [task["task_id"] for task in ready] == ["second", "first"]
    assert await fleet.undo(done) == {"priority": "MEDIUM"}
    assert (await fleet.seen("second"))["rank"] == rank
    assert await fleet.claimed() == ["first"]


async def test_a_priority_that_somebody_gave_since_stays(fleet: Fleet) -> None:
    await fleet.task("saw")
    done = await fleet.intervene("override_priority", task_id="saw", priority="HIGH")
    await fleet.done("scheduler.reprioritise_task", actor="bob", task_id="saw", priority="LOW")
    changed = await fleet.cannot_undo(done)
    assert changed == {"priority": {"left_as": "HIGH", "is_now": "LOW", "by": "bob"}}
    assert (await fleet.seen("saw"))["priority"] == "LOW"


async def test_a_paused_ticket_hands_out_nothing_by_any_way_until_it_is_resumed(fleet: Fleet) -> None:
    await fleet.agent("ann")
    for task_id in ("running", "waiting"):
        await fleet.task(task_id)
    assert await fleet.claimed() == ["running"]
    done = await fleet.intervene("pause_ticket", ticket_id="T-1")
    await fleet.task("later")
    assert await fleet.claimed("bob", 5) == await fleet.claimed("bob", 5, tickets=["T-1"]) == []
    assert (await fleet.done("scheduler.assign_ready_tasks", ticket_id="T-1"))["task_ids"] == []
    assert (await fleet.query("scheduler.ready_tasks"))["tasks"] == []
    for task_id in ("waiting", "later"):
        reason = (await fleet.reasons(task_id))["ticket_paused"]
        assert (reason["paused_by"], reason["reason"]) == ("operator", "It burns.")
        assert "omoi guardian resume" in reason["way_out"]
    await fleet.done("scheduler.complete_task", actor="ann", task_id="running", claim_epoch=1)
    again = await fleet.refused("guardian.pause_ticket", ticket_id="T-1", reason="Twice.")
    assert again["code"] == "ticket_already_paused"
    assert await fleet.undo(done) == {"paused": None}
    assert sorted(await fleet.claimed("bob", 5)) == ["later", "waiting"]


async def test_a_pause_outlives_a_restart_and_a_move_and_one_that_was_resumed_is_not_undone(
    a_world: World,
) -> None:
    async with at_work(a_world) as fleet:
        await fleet.task("early")
        done = await fleet.intervene("pause_ticket", ticket_id="T-1")
        await fleet.move("TEST")
    async with at_work(a_world) as fleet:
        await fleet.task("late", phase_id="TEST")
        assert "ticket_paused" in await fleet.reasons("late")
        assert await fleet.claimed("bob", 5) == []
        resumed = await fleet.intervene("resume_ticket", ticket_id="T-1", reason="Enough.")
        assert resumed["before"]["paused"]["reason"] == "It burns."
        assert (await fleet.cannot_undo(done))["paused"]["by"] == "operator"
        assert (await fleet.undo(resumed))["paused"]["reason"] == "It burns."
        assert "ticket_paused" in await fleet.reasons("late")
        assert await fleet.undo(done) == {"paused": None}
        assert await fleet.claimed("bob", 5) == ["late"]


async def test_moved_capacity_is_what_the_agents_get_and_goes_back(fleet: Fleet) -> None:
    await fleet.agent("ann", 3)
    await fleet.agent("bob", 1)
    for number in range(6):
        await fleet.task(f"t{number}")
    done = await fleet.intervene("reallocate_capacity", from_agent="ann", to_agent="bob", capacity=2)
    assert done["after"] == {"capacity": {"ann": 1, "bob": 3}}
    await fleet.limit_heard("ann", 1)
    won = await fleet.claim("ann", 5)
    assert (len(won["tasks"]), won["capacity"], won["running"]) == (1, 1, 1)
    assert await fleet.claimed("ann", 5) == []
    await fleet.limit_heard("bob", 3)
    assert len(await fleet.claimed("bob", 5)) == 3
    left = (await fleet.query("scheduler.ready_tasks"))["tasks"][0]["task_id"]
    explained = await fleet.query("scheduler.explain", task_id=left)
    assert [remark["code"] for remark in explained["remarks"]] == ["agents_full"]
    beat = await fleet.done("registry.heartbeat", actor="ann", agent_id="ann", session=1)
    assert beat["capacity"] == 1
    back = await fleet.agent("ann", 3)
    assert back["capacity"] == 1
    assert await fleet.undo(done) == {"capacity": {"ann": 3, "bob": 1}}
    await fleet.limit_heard("ann", None)
    assert len(await fleet.claimed("ann", 5)) == 2
    none_left: dict[str, Any] = {"from_agent": "bob", "to_agent": "ann", "capacity": 1, "reason": "More."}
    assert (await fleet.refused("guardian.reallocate_capacity", **none_left))["code"] == "capacity_exhausted"


async def test_claims_of_one_moment_do_not_go_beyond_what_a_guardian_lets_an_agent_have(fleet: Fleet) -> None:
    await fleet.agent("ann", 5)
    await fleet.agent("bob", 1)
    for number in range(8):
        await fleet.task(f"t{number}")
    await fleet.intervene("reallocate_capacity", from_agent="ann", to_agent="bob", capacity=2)
    await fleet.limit_heard("ann", 3)
    won = await asyncio.gather(*(fleet.claimed("ann", 2) for _ in range(12)))
    assert sum(map(len, won)) == 3
    [first, *_] = [task_id for tasks in won for task_id in tasks]
    await fleet.done("scheduler.complete_task", actor="ann", task_id=first, claim_epoch=1)
    again = await asyncio.gather(*(fleet.claimed("ann", 2) for _ in range(6)))
    assert sum(map(len, again)) == 1


async def test_capacity_that_was_changed_since_stays(fleet: Fleet) -> None:
    await fleet.agent("ann", 3)
    await fleet.agent("bob", 1)
    moved = {"from_agent": "ann", "to_agent": "bob", "capacity": 1}
    first = await fleet.intervene("reallocate_capacity", **moved)
    second = await fleet.intervene("reallocate_capacity", **moved)
    changed = await fleet.cannot_undo(first)
    assert changed["capacity of ann"] == {"left_as": 2, "is_now": 1, "by": "operator"}
    await fleet.undo(second)
    await fleet.done("registry.update", actor="bob", agent_id="bob", capacity=7)
    changed = await fleet.cannot_undo(first)
    assert changed == {"capacity of bob": {"left_as": 2, "is_now": 7, "by": "bob"}}
    assert (await fleet.known("ann"))["capacity"] == 2


async def test_a_quarantined_agent_loses_its_work_and_gets_some_again_once_it_is_released(
    fleet: Fleet,
) -> None:
    await fleet.agent("ann")
    await fleet.task("saw")
    assert await fleet.claimed() == ["saw"]

    async def has_it() -> bool:
        return bool((await fleet.known("ann"))["tasks"])

    await until(has_it, seconds=SECONDS)
    done = await fleet.intervene("quarantine_agent", agent_id="ann")
    assert done["before"] == {"status": "RUNNING", "tasks": ["saw"]}

    async def is_free() -> bool:
        return bool((await fleet.seen("saw"))["status"] == "ready")

    await until(is_free, seconds=SECONDS)
    refused = await fleet.refused("scheduler.claim_task", actor="ann", agent_id="ann")
    assert refused["code"] == "agent_is_quarantined"
    again = await fleet.undo(done)
    assert again["not_restored"] == {"tasks": ["saw"]}

    async def may_claim() -> bool:
        answer = await fleet.do("scheduler.claim_task", actor="ann", agent_id="ann")
        return bool(answer["ok"] and answer["result"]["tasks"])

    await until(may_claim, seconds=SECONDS)


async def test_an_agent_that_others_released_and_shut_up_again_stays_in_quarantine(fleet: Fleet) -> None:
    await fleet.agent("ann")
    done = await fleet.intervene("quarantine_agent", agent_id="ann")
    await fleet.done("registry.release", agent_id="ann")
    assert (await fleet.cannot_undo(done))["status"] == {
        "left_as": "QUARANTINED",
        "is_now": "IDLE",
        "by": "operator",
    }
    await fleet.done("registry.quarantine", agent_id="ann", reason="It lies.")
    assert (await fleet.cannot_undo(done))["status"]["is_now"] == "QUARANTINED"
    await fleet.done("registry.deregister", agent_id="ann")
    assert (await fleet.cannot_undo(done))["status"]["is_now"] == "TERMINATED"


async def test_what_cannot_be_done_is_answered_with_the_owner_s_own_code(fleet: Fleet) -> None:
    await fleet.task("saw")
    await fleet.done("scheduler.cancel_task", task_id="saw")
    asked = [
        ("cancel_task", {"task_id": "saw"}, "task_ended"),
        ("cancel_task", {"task_id": "nope"}, "task_not_found"),
        ("override_priority", {"task_id": "saw", "priority": "LOW"}, "task_ended"),
        ("resume_ticket", {"ticket_id": "T-1"}, "ticket_not_paused"),
        ("pause_ticket", {"ticket_id": "T-9"}, "ticket_not_found"),
        ("quarantine_agent", {"agent_id": "nobody"}, "agent_not_found"),
    ]
    for number, (name, body, code) in enumerate(asked):
        named = {"intervention_id": f"i-{number}", "reason": "Why not."}
        assert (await fleet.refused(f"guardian.{name}", **named, **body))["code"] == code
        assert (await fleet.refused("guardian.revert", **named))["code"] == "not_in_effect"
    other = {"intervention_id": "i-0", "reason": "Why not.", "task_id": "other"}
    assert (await fleet.refused("guardian.cancel_task", **other))["code"] == "intervention_exists"
    listed = await fleet.query("guardian.list_interventions", status="refused")
    assert len(listed["interventions"]) == len(asked)


async def test_only_guardians_intervene(fleet: Fleet) -> None:
    refused = await fleet.refused("guardian.pause_ticket", actor="ann", ticket_id="T-1", reason="No.")
    assert refused["code"] == "not_authorised"


async def test_a_command_on_the_durable_lane_is_answered_at_once_and_takes_effect(fleet: Fleet) -> None:
    await fleet.task("saw")
    sent = {"task_id": "saw", "reason": "It burns.", "intervention_id": "i-1"}
    told = await fleet.world.tell("guardian.cancel_task", sent, actor="operator", seconds=SECONDS)
    assert told["result"]["status"] in ("requested", "in_effect")

    async def in_effect() -> bool:
        found = await fleet.query("guardian.get_intervention", intervention_id="i-1")
        return bool(found["status"] == "in_effect")

    await until(in_effect, seconds=SECONDS)
    assert (await fleet.seen("saw"))["status"] == "cancelled"
