"""What the rules and people are told from the tables, on the real thing."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from services.scheduler.allotment import ClaimsOf
from services.scheduler.claim import ReadyCandidates
from services.scheduler.settle import OpenTasksOf
from services.scheduler.tables import row
from services.scheduler.task import Task, normalised
from tests.scheduler.conftest import Shop
from tests.scheduler.workshop import plain_ticket


async def test_candidates_are_the_tasks_an_agent_can_do_in_the_order_of_rank(shop: Shop) -> None:
    await shop.create("low", priority="LOW", required_capabilities=["saw"])
    await shop.create("high", priority="HIGH", required_capabilities=['o"k, {}', "saw"])
    await shop.create("plain")
    await shop.create("late", "plain", priority="CRITICAL")
    await shop.create("branch", phase_id="CHECK", priority="CRITICAL")

    async def candidates(*capabilities: str, phases: tuple[str, ...] | None = None, limit: int = 9) -> Any:
        return await shop.find(ReadyCandidates(capabilities, phases, limit))

    assert await candidates() == ("branch", "plain")
    assert await candidates("saw") == ("branch", "plain", "low")
    assert await candidates('o"k, {}', "saw", "x") == ("branch", "high", "plain", "low")
    assert await candidates('o"k, {}', "saw", limit=2) == ("branch", "high")
    assert await candidates("saw", phases=("BACKLOG", "BUILD")) == ("plain", "low")
    assert await shop.find(ReadyCandidates(None, None, 9)) == ("branch", "high", "plain", "low")


async def fill(shop: Shop, tasks: Sequence[Task]) -> None:
    """Put rows into the index as the kernel does."""
    await shop.world.fetch(
        "INSERT INTO scheduler.task_index SELECT * FROM"
        " jsonb_populate_recordset(NULL::scheduler.task_index, $1::text::jsonb)",
        json.dumps([dict(row(task)) for task in tasks], default=str),
    )


async def test_no_lookup_of_a_rule_scans_the_index(shop: Shop) -> None:
    ready = Task(phase_id="BUILD", required_capabilities=("a",), status="ready")
    await fill(
        shop, [replace(ready, task_id=f"{n}", ticket_id=f"T-{n % 900}", rank=float(n)) for n in range(9000)]
    )
    await shop.world.fetch("ANALYZE scheduler.task_index")
    for lookup in (
        ReadyCandidates(("a", "b"), ("BUILD",), 16),
        ReadyCandidates(None, None, 16, task_types=("chore",)),
        ReadyCandidates(("a", "b"), ("BUILD",), 16, tickets=("T-1", "T-2")),
        ClaimsOf("bob"),
        OpenTasksOf("T-1", "5", 200),
    ):
        plan = await shop.plan(lookup)
        assert "Index" in plan
        assert "Seq Scan" not in plan


async def test_candidates_are_exactly_the_first_of_all_that_fit_however_the_lanes_are_filled(
    shop: Shop,
) -> None:
    chance = random.Random(1)
    tasks = [
        Task(
            task_id=f"task-{number:03}",
            ticket_id=chance.choice(["T-1", "T-2", "T-3"]),
            phase_id=chance.choice(["BUILD", "CHECK"]),
            task_type=chance.choice(["a", "chore"]),
            required_capabilities=normalised(chance.sample("abcd", chance.randint(0, 3))),
            status="ready",
            rank=float(chance.randint(0, 60)),
        )
        for number in range(400)
    ]
    await fill(shop, tasks)
    everything: tuple[None, None] = (None, None)
    for capabilities, phases, limit, (tickets, task_types) in product(
        [None, (), ("a", "b"), tuple("abcd")],
        [None, ("CHECK",)],
        [1, 7, 60, 999],
        [everything, (("T-1", "T-3"), None), (None, ("chore",)), (("T-2",), ("a",))],
    ):
        fitting = [
            (task.rank, task.task_id)
            for task in tasks
            if (capabilities is None or set(task.required_capabilities) <= set(capabilities))
            and (phases is None or task.phase_id in phases)
            and (tickets is None or task.ticket_id in tickets)
            and (task_types is None or task.task_type in task_types)
        ]
        first = tuple(task_id for _, task_id in sorted(fitting)[:limit])
        lookup = ReadyCandidates(capabilities, phases, limit, tickets, task_types)
        assert await shop.find(lookup) == first


async def test_an_empty_index_has_no_candidates(shop: Shop) -> None:
    assert await shop.find(ReadyCandidates(("saw",), ("BUILD",), 9)) == ()


async def test_an_agent_is_found_by_what_it_has_until_it_has_it_no_more(shop: Shop) -> None:
    for task_id in ("a", "b"):
        await shop.create(task_id)
        await shop.claim()
    assert sorted(await shop.find(ClaimsOf("bob"))) == ["a", "b"]
    await shop.do("complete_task", task_id="a", claim_epoch=1)
    assert await shop.find(ClaimsOf("bob")) == ("b",)


async def test_the_open_tasks_of_a_ticket_are_found_in_pages(shop: Shop) -> None:
    for task_id in "dcba":
        await shop.create(task_id)
    await shop.do("cancel_task", task_id="b")
    assert await shop.find(OpenTasksOf("T-1", "", 2)) == ("a", "c")
    assert await shop.find(OpenTasksOf("T-1", "c", 2)) == ("d",)
    assert await shop.find(OpenTasksOf("T-2", "", 2)) == ()


async def test_the_tasks_of_a_ticket_on_hold_leave_the_lanes(shop: Shop) -> None:
    await shop.create("a")
    await shop.do("enter_phase", ticket_id="T-1", from_phase="BACKLOG", phase_id="BLOCKED", visit=1)
    assert await shop.find(ReadyCandidates(None, None, 9)) == ()
    assert (await shop.query("ready_tasks"))["tasks"] == []
    await shop.do("enter_phase", ticket_id="T-1", from_phase="BLOCKED", phase_id="BACKLOG", visit=1)
    assert await shop.find(ReadyCandidates(None, None, 9)) == ("a",)


async def test_ready_tasks_are_listed_in_the_order_in_which_they_will_be_claimed(shop: Shop) -> None:
    await shop.do("follow_ticket", **plain_ticket("T-2").model_dump(mode="json"))
    await shop.create("a", priority="LOW")
    await shop.create("b", priority="HIGH")
    await shop.do("create_task", task_id="c", ticket_id="T-2", task_type="chore", title="c")
    listed = (await shop.query("ready_tasks"))["tasks"]
    assert [task["task_id"] for task in listed] == ["b", "c", "a"]
    of_ticket = (await shop.query("ready_tasks", ticket_id="T-1", limit=1))["tasks"]
    assert of_ticket == listed[:1]
    assert of_ticket[0] | {"rank": 0, "ready_at": ""} == {
        "task_id": "b",
        "ticket_id": "T-1",
        "phase_id": "BACKLOG",
        "visit": 1,
        "task_type": "chore",
        "title": "b",
        "priority": "HIGH",
        "rank": 0,
        "ready_at": "",
    }


async def test_a_task_is_shown_with_its_attempts_and_its_lease(shop: Shop) -> None:
    await shop.create("b", await shop.create("a"), await shop.create("c", priority="LOW"))
    await shop.claim()
    await shop.do("fail_task", task_id="a", claim_epoch=1, error="it broke", retryable=False)
    await shop.do("retry_task", task_id="a")
    [claimed] = await shop.claim()
    shown = await shop.query("get_task", task_id="a")
    assert [(one["attempt"], one["status"], one["error"]) for one in shown["attempts"]] == [
        (1, "failed", "it broke"),
        (2, "claimed", None),
    ]
    assert [one["outcome"] for one in shown["attempts"]] == ["failed", None], "as list_attempts calls it"
    assert shown["lease_expires_at"] == claimed["lease_expires_at"].replace("Z", "+00:00")
    waiting = await shop.query("get_task", task_id="b")
    assert (waiting["depends_on"], waiting["waits_for"]) == (["a", "c"], ["a", "c"])
    assert (waiting["attempts"], waiting["lease_expires_at"]) == ([], None)


async def test_the_graph_of_a_ticket_is_drawn_with_what_it_waits_for_elsewhere(shop: Shop) -> None:
    await shop.do("follow_ticket", **plain_ticket("T-2").model_dump(mode="json"))
    await shop.do("create_task", task_id="x", ticket_id="T-2", task_type="chore", title="x")
    await shop.create("b", await shop.create("a"), "x")
    drawn = await shop.query("dag_status", ticket_id="T-1")
    assert [(node["task_id"], node["ticket_id"], node["status"]) for node in drawn["nodes"]] == [
        ("a", "T-1", "ready"),
        ("b", "T-1", "waiting"),
        ("x", "T-2", "ready"),
    ]
    assert drawn["edges"] == [{"from": "a", "to": "b"}, {"from": "x", "to": "b"}]
    assert drawn["critical_path"] == ["a", "b"]
    assert (drawn["counts"]["ready"], drawn["counts"]["waiting"], drawn["counts"]["failed"]) == (1, 1, 0)


async def test_a_task_explains_what_it_waits_for_by_name(shop: Shop) -> None:
    await shop.create("b", await shop.create("a"))
    explained = await shop.query("explain", task_id="b")
    assert (explained["status"], explained["dispatchable"]) == ("waiting", False)
    assert explained["reasons"] == [
        {
            "code": "waiting_for_tasks",
            "message": "1 more must complete of: a.",
            "task_ids": ["a"],
            "missing": 1,
            "tasks": [{"task_id": "a", "title": "a", "status": "ready", "agent_id": None}],
            "way_out": "The tasks it waits for complete.",
        }
    ]
    assert await shop.query("explain", task_id="a") == {
        "task_id": "a",
        "status": "ready",
        "dispatchable": True,
        "reasons": [],
    }


async def test_a_claimed_task_explains_by_whom_and_until_when(shop: Shop) -> None:
    await shop.create("a")
    await shop.claim()
    extended = await shop.do("extend_claim", task_id="a", claim_epoch=1)
    [reason] = (await shop.query("explain", task_id="a"))["reasons"]
    assert (reason["code"], reason["agent_id"]) == ("claimed", "bob")
    assert reason["until"] == extended["lease_expires_at"].replace("Z", "+00:00")


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ("get_task", {"task_id": "ghost"}, "task_not_found"),
        ("explain", {"task_id": "ghost"}, "task_not_found"),
        ("dag_status", {"ticket_id": "ghost"}, "ticket_not_found"),
    ],
)
async def test_what_does_not_exist_is_not_found(
    shop: Shop, query: str, body: dict[str, str], code: str
) -> None:
    refused = await shop.world.query(f"scheduler.{query}", body)
    assert refused["code"] == code
    assert "ghost" in refused["message"]
    assert "the id" in refused["message"]


async def test_an_agent_that_waits_gets_the_task_when_it_comes(shop: Shop) -> None:
    waiting = asyncio.create_task(shop.claim(wait_seconds=5))
    await asyncio.sleep(0.1)
    await shop.create("a")
    assert [task["task_id"] for task in await waiting] == ["a"]


async def test_a_delay_is_over_by_itself(shop: Shop) -> None:
    await shop.create("a")
    await shop.claim()
    await shop.do("fail_task", task_id="a", claim_epoch=1, error="it broke")
    [task] = await shop.claim(wait_seconds=5)
    assert task["attempt"] == 2
