"""Discoveries as agents meet them: over the wire."""

import asyncio
from typing import Any

import nats

from services.discovery.service import discovery
from services.scheduler.service import scheduler
from shared.testing.world import World, until
from tests.discovery.conftest import BUG, SECONDS, WORKFLOW, Bench


async def test_a_discovery_is_recorded_once_and_linked_where_it_is_found_again(bench: Bench) -> None:
    first = await bench.done("discovery.record", **BUG, metadata={"leg": 3})
    assert (first["status"], first["known"]) == ("open", False)
    await bench.task("table")
    again = await bench.done(
        "discovery.record", **BUG | {"source_task_id": "table", "description": "a LEG is   loose"}
    )
    assert again == first | {"known": True}
    view = await bench.discovery(first["discovery_id"])
    assert (view["linked_task_ids"], view["times_recorded"], view["metadata"]) == (["table"], 2, {"leg": 3})
    assert (view["phase_id"], view["recorded_by"], view["source_task_id"]) == ("BUILD", "ann", "chair")
    other = await bench.done("discovery.record", **BUG | {"discovery_type": "woodworm"})
    assert other["discovery_id"] != first["discovery_id"]


async def test_a_branch_answers_once_the_task_is_there_and_repeats_its_answer(bench: Bench) -> None:
    answer = await bench.branch(key="b-1", spawn_description="Glue it.", spawn_capabilities=["glue"])
    assert (answer["workflow_branched"], answer["known"]) == (True, False)
    assert await bench.branch(key="b-1", spawn_description="Glue it.", spawn_capabilities=["glue"]) == answer
    task = await bench.query("scheduler.get_task", task_id=answer["spawned_task_id"])
    assert (task["phase_id"], task["task_type"], task["title"]) == ("TEST", "discovery_bug", "Glue it.")
    assert (task["priority"], task["status"], task["parent_task_id"]) == ("MEDIUM", "ready", "chair")
    assert task["required_capabilities"] == ["glue"]
    view = await bench.discovery(answer["discovery_id"])
    (branch,) = view["branches"]
    assert (view["status"], branch["spawned_task_id"]) == ("in_progress", answer["spawned_task_id"])
    source = await bench.query("scheduler.get_task", task_id="chair")
    assert source["status"] == "ready"


async def test_the_answer_names_the_events_that_a_branch_led_to(bench: Bench) -> None:
    answer = await bench.world.ask("discovery.branch", BUG | {"spawn_phase_id": "TEST"}, command_id="b-1")
    types = [event["type"] for event in answer["events"]]
    assert types[0] == "discovery.fingerprinted"
    assert types.index("discovery.branch_requested") < types.index("discovery.recorded")
    rows = await bench.world.fetch("SELECT type, stream, version, position FROM discovery.events")
    known = {row["position"]: dict(row) for row in rows}
    assert answer["events"] == [known[event["position"]] for event in answer["events"]]
    assert (
        await bench.world.ask("discovery.branch", BUG | {"spawn_phase_id": "TEST"}, command_id="b-1")
        == answer
    )


async def test_a_branch_is_announced_with_all_that_shows_it(bench: Bench) -> None:
    answer = await bench.branch(priority_boost=True)
    recorded = await bench.announced("recorded")
    created = await bench.announced("branch_created")
    assert recorded[0]["spawned_task_id"] == answer["spawned_task_id"]
    (told,) = created
    task = await bench.query("scheduler.get_task", task_id=answer["spawned_task_id"])
    same = ("title", "description", "task_type", "priority", "parent_task_id", "visit", "ticket_id")
    assert {name: told[name] for name in same} == {name: task[name] for name in same}
    assert (told["priority"], told["depth"], told["recorded"]) == ("HIGH", 1, True)
    (asked,) = await bench.announced("branch_requested")
    assert asked["branch"]["spawned_task_id"] == answer["spawned_task_id"]
    heard = await bench.world.events(1, subject="evt.task.created.T-1")
    assert b"discovery_id" in heard[0].data


async def test_a_discovery_resolves_with_the_last_task_and_goes_on_with_a_retry(bench: Bench) -> None:
    one = await bench.branch()
    two = await bench.branch(spawn_phase_id="BUILD")
    assert two["discovery_id"] == one["discovery_id"]
    await bench.complete(one["spawned_task_id"])
    await bench.done("scheduler.cancel_task", task_id=two["spawned_task_id"], reason="no wood")
    view = await bench.status(one["discovery_id"], "resolved")
    assert (view["automatic"], view["closed_by"]) == (True, "discovery")
    await bench.done("scheduler.retry_task", task_id=two["spawned_task_id"])
    await bench.status(one["discovery_id"], "in_progress")
    await bench.complete(two["spawned_task_id"])
    await bench.status(one["discovery_id"], "resolved")
    ends = ("completed", "failed", "cancelled")
    resolved = await bench.announced("resolved", 2)
    assert [[told[end] for end in ends] for told in resolved] == [[1, 0, 1], [2, 0, 0]]


async def test_a_refusal_of_the_scheduler_reaches_who_asked_and_leaves_nothing(bench: Bench) -> None:
    enter = {"ticket_id": "T-1", "from_phase": "BUILD", "phase_id": "DONE", "visit": 1, "move": 1}
    await bench.done("scheduler.enter_phase", actor="operator", **enter)
    refusal = await bench.refused("discovery.branch", **BUG, spawn_phase_id="TEST", key="b-1")
    assert (refusal["code"], refusal["details"]["code"]) == ("branch_failed", "ticket_ended")
    assert await bench.refused("discovery.branch", **BUG, spawn_phase_id="TEST", key="b-1") == refusal
    listed = await bench.query("discovery.list_discoveries")
    assert (listed["discoveries"], listed["under_way"]) == ([], 0)
    recorded = await bench.done("discovery.record", **BUG)
    assert recorded["known"] is False


async def test_the_durable_lane_branches_too(bench: Bench) -> None:
    told = await bench.world.tell(
        "discovery.branch", BUG | {"spawn_phase_id": "TEST", "spawned_task_id": "glue"}, actor="ann"
    )
    assert (told["ok"], told["result"]["workflow_branched"]) == (True, False)
    view = await bench.status(told["result"]["discovery_id"], "in_progress")
    assert view["branches"][0]["spawned_task_id"] == "glue"


async def asked_alone(bench: Bench, number: int) -> Any:
    """The answer to an agent that branches over a connection of its own."""
    client = await nats.connect(bench.world.nats_url)
    try:
        own = World(bench.world.database_url, bench.world.nats_url, client)
        return await Bench(own).do(
            "discovery.branch",
            actor=f"agent-{number}",
            source_task_id="chair",
            discovery_type="bug",
            description=f"Leg {number} is loose.",
            spawn_phase_id=("BUILD", "TEST")[number % 2],
        )
    finally:
        await client.close()


async def test_thirty_two_who_branch_at_once_never_exceed_the_budget(bench: Bench) -> None:
    answers = await asyncio.gather(*(asked_alone(bench, number) for number in range(32)))
    taken = [answer for answer in answers if answer["ok"]]
    assert len(taken) == WORKFLOW.discovery.max_open_branches
    refusals = [answer for answer in answers if not answer["ok"]]
    assert {answer["code"] for answer in refusals} == {"branch_budget_exhausted"}
    assert {answer["details"]["limit"] for answer in refusals} == {"max_open_branches"}
    made = await bench.world.events(1 + len(taken), subject="evt.task.created.T-1", seconds=SECONDS)
    assert len(made) == 1 + len(taken)
    status = await bench.query("scheduler.dag_status", ticket_id="T-1")
    assert sum(status["counts"].values()) == 1 + len(taken)


async def test_two_replicas_share_one_budget(bench: Bench) -> None:
    async with bench.world.running(discovery, scheduler):
        await test_thirty_two_who_branch_at_once_never_exceed_the_budget(bench)


async def test_the_same_branched_by_many_at_once_is_one_discovery_and_one_task(bench: Bench) -> None:
    answers = await asyncio.gather(*(bench.branch() for _ in range(16)))
    assert len({(answer["discovery_id"], answer["spawned_task_id"]) for answer in answers}) == 1
    assert sorted(answer["known"] for answer in answers) == [False] + [True] * 15


async def test_a_branch_off_a_branch_is_deeper_until_it_is_too_deep(bench: Bench) -> None:
    source = "chair"
    for depth in (1, 2, 3):
        answer = await bench.branch(source_task_id=source, description=f"crack {depth}")
        view = await bench.discovery(answer["discovery_id"])
        assert view["branches"][0]["depth"] == depth
        source = answer["spawned_task_id"]
    refusal = await bench.refused(
        "discovery.branch", **BUG | {"source_task_id": source}, spawn_phase_id="TEST"
    )
    assert (refusal["code"], refusal["details"]["limit"]) == ("branch_budget_exhausted", "max_depth")


async def test_a_task_made_a_moment_ago_can_be_the_source_at_once(bench: Bench) -> None:
    named = {"ticket_id": "T-1", "task_type": "chore", "title": "x"}
    for number in range(10):
        await bench.done("scheduler.create_task", task_id=f"new-{number}", **named)
        found = BUG | {"source_task_id": f"new-{number}", "description": f"splinter {number}"}
        await bench.done("discovery.record", **found)
    listed = await bench.query("discovery.list_discoveries", ticket_id="T-1")
    assert len(listed["discoveries"]) == 10


async def test_lists_are_filtered_and_paged_newest_first(bench: Bench) -> None:
    ids = []
    for number in range(5):
        body = BUG | {"description": f"n {number}", "discovery_type": ("bug", "woodworm")[number % 2]}
        ids.append((await bench.done("discovery.record", **body))["discovery_id"])
    await bench.done("discovery.dismiss", discovery_id=ids[0], reason="It was paint.")
    page = await bench.query("discovery.list_discoveries", limit=3)
    assert [one["discovery_id"] for one in page["discoveries"]] == ids[:1:-1]
    rest = await bench.query("discovery.list_discoveries", limit=3, before=page["next_before"])
    assert [one["discovery_id"] for one in rest["discoveries"]] == [ids[1], ids[0]]
    assert rest["next_before"] is None
    worms = await bench.query("discovery.list_discoveries", discovery_type="WOODWORM", status="open")
    assert [one["discovery_id"] for one in worms["discoveries"]] == [ids[3], ids[1]]
    elsewhere = await bench.query("discovery.list_discoveries", ticket_id="T-2")
    assert elsewhere["discoveries"] == []


async def test_analytics_count_what_was_found_and_how_it_ended(bench: Bench) -> None:
    empty = await bench.query("discovery.analytics")
    assert (empty["total"], empty["resolution_rate"], empty["branch_depth_max"]) == (0, None, 0)
    one = await bench.branch()
    deeper = {"source_task_id": one["spawned_task_id"], "discovery_type": "woodworm"}
    two = await bench.branch(**deeper, description="holes", spawn_phase_id="BUILD")
    three = await bench.done("discovery.record", **BUG | {"description": "a scratch"})
    four = await bench.done("discovery.record", **BUG | {"description": "a stain"})
    await bench.done("discovery.resolve", discovery_id=three["discovery_id"], reason="Polished.")
    await bench.done("discovery.dismiss", discovery_id=four["discovery_id"])
    await bench.complete(two["spawned_task_id"])
    await bench.status(two["discovery_id"], "resolved")
    found = await bench.query("discovery.analytics", ticket_id="T-1")
    assert found["by_type"] == {"bug": 3, "woodworm": 1}
    assert found["by_phase"] == {"BUILD": 3, "TEST": 1}
    assert found["by_status"] == {"in_progress": 1, "invalid": 1, "resolved": 2}
    assert found["resolution_rate"] == 2 / 3
    assert (found["branches"], found["branches_by_phase"]) == (2, {"BUILD": 1, "TEST": 1})
    assert (found["branch_depth_mean"], found["branch_depth_max"]) == (1.5, 2)
    assert 0 < found["resolution_seconds_median"] < 60
    assert (await bench.query("discovery.analytics", ticket_id="T-2"))["total"] == 0


async def test_readers_see_the_discovery_as_soon_as_its_task_can_be_seen(bench: Bench) -> None:
    """Whoever has seen the task asks for the discovery and gets it, however early the question comes."""
    asked = asyncio.create_task(
        bench.branch(discovery_id="d-1", spawned_task_id="glue", spawn_phase_id="TEST")
    )

    async def task_is_there() -> bool:
        answer = await bench.world.query("scheduler.get_task", {"task_id": "glue"})
        return bool(answer["ok"])

    await until(task_is_there, seconds=SECONDS, pause=0)
    view = await bench.discovery("d-1")
    assert [branch["spawned_task_id"] for branch in view["branches"]] == ["glue"]
    await asked
