"""Handoffs from end to end: the claim moves in the scheduler, or visibly does not."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from services.registry.service import registry
from shared.kernel.schema import migrate
from shared.testing.world import until
from tests.collaboration.conftest import SECONDS, SHORT_LEASE, Office


async def test_a_claim_moves_and_only_its_new_holder_completes_the_task(office: Office) -> None:
    await office.ticket()
    old = await office.claimed("chair", "ann")
    await office.done("ann", "scheduler.start_task", task_id="chair", claim_epoch=old)
    handoff_id = await office.requested("ann", "bob", "chair", reason="I have no saw.", context={"legs": 3})
    (asked,) = await office.texts("bob")
    assert "I have no saw." in asked
    accepted = await office.done("bob", "collaboration.accept_handoff", handoff_id=handoff_id)
    assert accepted["status"] == "accepted"
    moved = await office.done("bob", "collaboration.await_handoff", handoff_id=handoff_id)
    assert (moved["status"], moved["claim_epoch"]) == ("completed", old + 1)
    task = await office.query("scheduler.get_task", task_id="chair")
    assert (task["agent_id"], task["claim_epoch"], task["status"]) == ("bob", old + 1, "claimed")
    assert (task["handover"]["context"], task["handover"]["from_agent"]) == ({"legs": 3}, "ann")
    assert task["lease_expires_at"] == moved["lease_expires_at"]
    assert [attempt["status"] for attempt in task["attempts"]] == ["handed_over", "claimed"]
    late = {"task_id": "chair", "claim_epoch": old}
    assert await office.refused("ann", "scheduler.complete_task", **late) == "stale_claim"
    assert await office.refused("ann", "scheduler.extend_claim", **late) == "stale_claim"
    await office.done("bob", "scheduler.complete_task", task_id="chair", claim_epoch=moved["claim_epoch"])
    told = await office.texts("ann")
    assert "moved from ann to bob" in told[-1]


async def test_the_claim_is_announced_with_what_the_new_holder_must_know(office: Office) -> None:
    await office.ticket()
    await office.claimed("chair", "ann")
    handoff_id = await office.requested("ann", "bob", "chair", context="glue is wet")
    await office.done("bob", "collaboration.accept_handoff", handoff_id=handoff_id)
    await office.status(handoff_id, "completed")
    events = await office.world.events(2, subject="evt.task.claimed.T-1", seconds=30)
    assert b'"handed_over_from":"ann"' in events[1].data
    assert b"glue is wet" in events[1].data


async def test_a_claim_made_a_moment_ago_can_be_handed_over(office: Office) -> None:
    await office.ticket()
    for number in range(10):
        epoch = await office.claimed(f"task-{number}", "ann")
        await office.requested("ann", "bob", f"task-{number}", claim_epoch=epoch)
    listed = await office.query("collaboration.list_handoffs", agent_id="bob", pending_only=True)
    assert len(listed["handoffs"]) == 10


async def test_who_does_not_hold_the_task_cannot_hand_it_over(office: Office) -> None:
    await office.ticket()
    await office.claimed("chair", "ann")
    body = {"to": "bob", "task_id": "chair"}
    assert await office.refused("eve", "collaboration.request_handoff", **body) == "not_the_holder"


async def test_a_lease_that_ends_first_fails_the_handoff_and_both_are_told(office: Office) -> None:
    await office.ticket(SHORT_LEASE)
    await office.claimed("chair", "ann")
    handoff_id = await office.requested("ann", "bob", "chair")
    failed = await office.status(handoff_id, "failed")
    assert "did not extend" in failed["reason"]
    assert (
        await office.refused("bob", "collaboration.accept_handoff", handoff_id=handoff_id)
        == "handoff_answered"
    )
    assert "came to nothing" in (await office.texts("bob"))[-1]
    assert "came to nothing" in (await office.texts("ann"))[-1]


async def test_the_scheduler_has_the_last_word_on_an_accepted_handoff(office: Office) -> None:
    await office.ticket()
    epoch = await office.claimed("chair", "ann")
    handoff_id = await office.requested("ann", "bob", "chair")
    accepted, completed = await asyncio.gather(
        office.do("bob", "collaboration.accept_handoff", handoff_id=handoff_id),
        office.do("ann", "scheduler.complete_task", task_id="chair", claim_epoch=epoch),
    )
    ended = "failed" if completed["ok"] else "completed"
    view = await office.status(handoff_id, ended)
    task = await office.query("scheduler.get_task", task_id="chair")
    holder = "ann" if completed["ok"] else "bob"
    assert (task["agent_id"], view["status"]) == (holder, ended), accepted


async def test_an_accepted_handoff_of_a_claim_that_is_over_fails_and_both_are_told(office: Office) -> None:
    await office.ticket()
    epoch = await office.claimed("chair", "ann")
    handoff_id = await office.requested("ann", "bob", "chair")
    moved = {"task_id": "chair", "from_agent": "ann", "to_agent": "bob", "handoff_id": handoff_id}
    await office.done("operator", "scheduler.hand_over_claim", **moved, claim_epoch=epoch - 1)
    view = await office.status(handoff_id, "failed")
    assert "ann has it, under epoch 1" in view["reason"]
    assert "came to nothing" in (await office.texts("bob"))[-1]
    await office.done("ann", "scheduler.complete_task", task_id="chair", claim_epoch=epoch)


async def test_of_two_handoffs_at_once_one_is_taken(office: Office) -> None:
    await office.ticket()
    epoch = await office.claimed("chair", "ann")
    asked = [
        office.do("ann", "collaboration.request_handoff", to=name, task_id="chair", claim_epoch=epoch)
        for name in ("bob", "eve", "joe")
    ]
    answers = await asyncio.gather(*asked)
    assert sorted(answer["ok"] for answer in answers) == [False, False, True]
    assert {answer.get("code") for answer in answers} == {None, "handoff_open"}


async def test_a_handoff_is_answered_once_by_whoever_is_faster(office: Office) -> None:
    await office.ticket()
    await office.claimed("chair", "ann")
    handoff_id = await office.requested("ann", "bob", "chair")
    answers = await asyncio.gather(
        office.do("bob", "collaboration.accept_handoff", handoff_id=handoff_id),
        office.do("bob", "collaboration.decline_handoff", handoff_id=handoff_id),
        office.do("operator", "collaboration.expire_handoff", handoff_id=handoff_id),
    )
    view = await office.query("collaboration.get_handoff", handoff_id=handoff_id)
    settled = [answer for answer in answers if answer["ok"] and answer["events"]]
    assert len(settled) == 1, answers
    assert view["status"] in ("accepted", "completed", "declined", "expired")


async def test_a_handoff_that_nobody_answers_is_ended_by_its_timer(office: Office) -> None:
    await office.ticket()
    epoch = await office.claimed("chair", "ann")
    handoff_id = await office.requested("ann", "bob", "chair")
    view = await office.query("collaboration.get_handoff", handoff_id=handoff_id)
    waits = datetime.fromisoformat(view["expires_at"]) - datetime.fromisoformat(view["requested_at"])
    assert waits == timedelta(seconds=300)
    await office.world.execute("UPDATE collaboration.timers SET due_at = now() WHERE key LIKE 'handoff-%'")
    await office.status(handoff_id, "expired")
    accept = {"handoff_id": handoff_id}
    assert await office.refused("bob", "collaboration.accept_handoff", **accept) == "handoff_answered"
    assert "did not answer in time" in (await office.texts("ann"))[-1]
    await office.done("ann", "scheduler.complete_task", task_id="chair", claim_epoch=epoch)


async def test_both_can_wait_for_the_end_before_it_comes(office: Office) -> None:
    await office.ticket()
    await office.claimed("chair", "ann")
    handoff_id = await office.requested("ann", "bob", "chair")
    waiting = asyncio.create_task(
        office.done("ann", "collaboration.await_handoff", handoff_id=handoff_id, wait_seconds=25)
    )
    now = await office.done("bob", "collaboration.await_handoff", handoff_id=handoff_id, wait_seconds=0)
    assert now["status"] == "pending"
    await office.done("bob", "collaboration.decline_handoff", handoff_id=handoff_id, reason="No time.")
    ended = await waiting
    assert (ended["status"], ended["reason"]) == ("declined", "No time.")


async def test_a_requester_asks_no_longer_and_may_then_ask_somebody_else(office: Office) -> None:
    await office.ticket()
    await office.claimed("chair", "ann")
    handoff_id = await office.requested("ann", "bob", "chair")
    withdraw = {"handoff_id": handoff_id, "reason": "Found a saw."}
    assert await office.refused("bob", "collaboration.withdraw_handoff", **withdraw) == "not_the_requester"
    waiting = asyncio.create_task(
        office.done("bob", "collaboration.await_handoff", handoff_id=handoff_id, wait_seconds=25)
    )
    ended = await office.done("ann", "collaboration.withdraw_handoff", **withdraw)
    assert (ended["status"], ended["reason"]) == ("withdrawn", "Found a saw.")
    assert (await waiting)["status"] == "withdrawn"
    assert "no longer asks you" in (await office.texts("bob"))[-1]
    accept = {"handoff_id": handoff_id}
    assert await office.refused("bob", "collaboration.accept_handoff", **accept) == "handoff_answered"
    await office.requested("ann", "eve", "chair")


async def test_an_agent_can_be_handed_tasks_as_the_registry_tells(office: Office) -> None:
    await migrate(office.world.database_url, ["registry"])
    await office.ticket()
    await office.claimed("chair", "ann")
    ask = {"to": "max", "task_id": "chair"}
    assert await office.refused("ann", "collaboration.request_handoff", **ask) == "agent_not_found"

    async def asked() -> str:
        answer = await office.do("ann", "collaboration.request_handoff", **ask)
        if answer["ok"]:
            await office.done(
                "ann", "collaboration.withdraw_handoff", handoff_id=answer["result"]["handoff_id"]
            )
        return str(answer.get("code", "ok"))

    async with office.world.running(registry):
        changes: tuple[tuple[str, dict[str, Any], str], ...] = (
            ("register", {}, "ok"),
            ("quarantine", {"reason": "It lies."}, "agent_is_quarantined"),
            ("release", {}, "ok"),
            ("set_availability", {"available": False}, "agent_not_available"),
            ("set_availability", {"available": True}, "ok"),
            ("deregister", {}, "agent_not_found"),
        )
        for change, body, code in changes:
            await office.done("operator", f"registry.{change}", agent_id="max", **body)

            async def told(code: str = code) -> bool:
                return await asked() == code

            assert await until(told, seconds=SECONDS), change
