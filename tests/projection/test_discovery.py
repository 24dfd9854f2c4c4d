"""Discoveries and the graph: a spawned task and its discovery are seen together or not at all."""

from typing import Any

import pytest

from services.projection.queries.task import TaskNotFound
from shared.contracts.discovery import DiscoveryBranchChanged, DiscoveryDismissed, DiscoveryResolved
from shared.contracts.messages import Event
from shared.contracts.projection import Discoveries, GetTask, GetTicket, Graph, ListTasks, Timeline
from shared.kernel.draft import dumps
from tests.projection.given import at, branched, claimed, created, found, loaded, opened
from tests.projection.records import Records

CREATION = created("K3", discovery_id="D1", parent_task_id="K1")
FINDING, BRANCH = found("D1", "K1", spawned_task_id="K3"), branched("D1", "K1", "K3")
ORDERS = [(CREATION, FINDING, BRANCH), (FINDING, CREATION, BRANCH), (FINDING, BRANCH, CREATION)]
"""Each service's events come in their order."""


async def seen(records: Records) -> set[str]:
    """Which of the two, the task and the discovery, is seen, and where."""
    graph = await records.ask(Graph(ticket_id="T1"))
    listed = await records.ask(ListTasks(ticket_id="T1"))
    ticket = await records.ask(GetTicket(ticket_id="T1"))
    figures = await records.ask(Discoveries(ticket_id="T1"))
    story = await records.ask(Timeline(ticket_id="T1"))
    places = {
        "node": any(node["id"] == "K3" for node in graph["nodes"]),
        "edge": any(edge["kind"] == "discovery" for edge in graph["edges"]),
        "task": any(task["task_id"] == "K3" for task in listed["tasks"]),
        "count": sum(ticket["tasks"].values()) == 2,
        "figures": figures["total"] == 1,
        "story": "discovery.branch_created" in {entry["type"] for entry in story["entries"]},
        "whole": await _is_found(records),
    }
    return {place for place, is_there in places.items() if is_there}


async def _is_found(records: Records) -> bool:
    try:
        await records.ask(GetTask(task_id="K3"))
    except TaskNotFound:
        return False
    return True


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(type(e).__name__ for e in order))
async def test_both_are_seen_from_one_moment_on_in_every_view(records: Records, order: Any) -> None:
    await records.hear(loaded(), opened(), created("K1"))
    everywhere = {"node", "edge", "task", "count", "figures", "story", "whole"}
    is_there = False
    for event in order:
        await records.hear(event)
        is_there = is_there or event is BRANCH
        assert await seen(records) == (everywhere if is_there else set()), event
    for name in ("tasks", "discoveries"):
        assert (await records.rebuild(name)).identical


async def test_a_task_that_was_claimed_before_its_discovery_was_heard_is_hidden_until_then(
    records: Records,
) -> None:
    await records.hear(loaded(), opened(), created("K1"), FINDING, CREATION, claimed("K3"))
    assert await seen(records) == set()
    await records.hear(BRANCH)
    task = await records.ask(GetTask(task_id="K3"))
    assert (task["status"], task["agent_id"], task["parent_task_id"]) == ("claimed", "A1", "K1")


async def test_a_graph_shows_what_waits_for_what_and_what_branched_off(records: Records) -> None:
    await records.hear(loaded(), opened(), created("K1"), created("K2", seconds=1, depends_on=("K1",)))
    await records.hear(FINDING, CREATION, BRANCH, created("K4", seconds=2, parent_task_id="K2"))
    graph = await records.ask(Graph(ticket_id="T1"))
    assert (graph["phase"], graph["phases"]) == ("DO", ["DO", "REVIEW", "DONE"])
    assert [node["id"] for node in graph["nodes"]] == ["K1", "K3", "K2", "K4"]
    assert sorted((edge["from"], edge["to"], edge["kind"]) for edge in graph["edges"]) == [
        ("K1", "K2", "dependency"),
        ("K1", "K3", "discovery"),
        ("K2", "K4", "parent"),
    ]
    [edge] = [edge for edge in graph["edges"] if edge["kind"] == "discovery"]
    assert (edge["discovery_type"], edge["description"]) == ("bug", "The last line is lost.")


async def test_a_graph_of_very_many_tasks_comes_in_pages_that_one_message_can_hold(records: Records) -> None:
    ids = [f"task-{number:032}" for number in range(5000)]
    tasks = [
        created(
            id_, seconds=number, depends_on=tuple(ids[max(0, number - 2) : number]), title="Saw it off. " * 16
        )
        for number, id_ in enumerate(ids)
    ]
    await records.hear(loaded(), opened())
    for first in range(0, 5000, 500):
        await records.hear(*tasks[first : first + 500])
    query = Graph(ticket_id="T1")
    pages = [await records.ask(query)]
    as_of = pages[0]["as_of"]["sequence"]
    await records.hear(created("of-later", seconds=9999))
    while pages[-1]["next"]:
        pages.append(await records.ask(Graph(ticket_id="T1", as_of=as_of, after=pages[-1]["next"])))
    assert all(len(dumps(page)) < 2**20 for page in pages)
    assert {page["total"] for page in pages} == {5000}
    assert [node["id"] for page in pages for node in page["nodes"]] == ids
    edges = [(edge["from"], edge["to"]) for page in pages for edge in page["edges"]]
    assert sorted(edges) == sorted((needed, task.task_id) for task in tasks for needed in task.depends_on)
    some = await records.ask(Graph(ticket_id="T1", limit=3, after=ids[6]))
    assert ([node["id"] for node in some["nodes"]], some["next"]) == (ids[7:10], ids[9])
    with pytest.raises(TaskNotFound):
        await records.ask(Graph(ticket_id="T1", after="nobodys"))


async def test_discoveries_are_counted_with_how_they_ended(records: Records) -> None:
    ended: dict[str, Any] = {"ticket_id": "T1", "actor": "ann"}
    events: list[Event] = [
        found("D1", recorded_at=at(0)),
        found("D2", discovery_type="technical_debt", phase_id="REVIEW", recorded_at=at(0)),
        found("D3", recorded_at=at(0), ticket_id="T2"),
        found("D4", recorded_at=at(0)),
        branched("D1", spawned="K3", depth=1),
        branched("D4", spawned="K5", depth=3, spawn_phase_id="REVIEW"),
        DiscoveryBranchChanged(
            discovery_id="D1", ticket_id="T1", spawned_task_id="K3", status="completed", at=at(30)
        ),
        DiscoveryResolved(discovery_id="D1", automatic=True, at=at(40), **ended),
        DiscoveryDismissed(discovery_id="D2", at=at(50), **ended),
    ]
    await records.hear(*events)
    figures = await records.ask(Discoveries())
    assert figures | {"as_of": None} == {
        "total": 4,
        "by_type": {"bug": 3, "technical_debt": 1},
        "by_phase": {"DO": 3, "REVIEW": 1},
        "by_status": {"open": 1, "in_progress": 1, "resolved": 1, "invalid": 1},
        "resolution_rate": pytest.approx(1 / 3),
        "resolution_seconds_mean": 40,
        "resolution_seconds_median": 40,
        "branches": 2,
        "branches_by_phase": {"DO": 1, "REVIEW": 1},
        "branch_depth_mean": 2,
        "branch_depth_max": 3,
        "as_of": None,
    }
    assert (await records.ask(Discoveries(ticket_id="T2")))["total"] == 1
    nothing = await records.ask(Discoveries(ticket_id="T9"))
    assert (nothing["total"], nothing["resolution_rate"], nothing["branch_depth_max"]) == (0, None, 0)
