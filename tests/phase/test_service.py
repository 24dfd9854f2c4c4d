"""The phase service as people meet it: over the wire, with the real database and the real broker."""

from collections.abc import AsyncIterator
from operator import itemgetter
from typing import Any

import orjson
import pytest

from services.phase.service import phase
from shared.contracts.workflow import Workflow
from shared.kernel.schema import migrate
from shared.testing.world import World, until
from tests.phase.given import ALL_SHIPPED, SHIPPED, SMALL, changed


@pytest.fixture
async def running(a_world: World) -> AsyncIterator[World]:
    """A world in which the phase service has loaded what ships."""
    await migrate(a_world.database_url, ["phase"])
    async with a_world.running(phase):
        yield a_world


async def ask(world: World, command: str, /, **fields: Any) -> Any:
    answer = await world.ask(f"phase.{command}", fields, actor="operator")
    return answer["result"] if answer["ok"] else answer


async def query(world: World, name: str, /, **fields: Any) -> Any:
    answer = await world.query(f"phase.{name}", fields)
    return answer["result"] if answer["ok"] else answer


def as_json(workflow: Workflow) -> dict[str, Any]:
    return workflow.model_dump(mode="json")


async def test_a_ticket_is_seen_as_it_was_opened(running: World) -> None:
    wish = {"ticket_id": "t1", "title": "Log in", "priority": "high", "tags": ["web"], "repository": "/src"}
    assert await ask(running, "open_ticket", **wish) == {"ticket_id": "t1"}
    ticket = await query(running, "get_ticket", ticket_id="t1")
    details = ticket.pop("details")
    assert ticket == {
        "ticket_id": "t1",
        "title": "Log in",
        "phase_id": "PHASE_BACKLOG",
        "visit": 1,
        "workflow": "software_development",
        "workflow_version": SHIPPED.version,
        "priority": "HIGH",
        "gate": "not_configured",
        "blocking_reasons": [],
    }
    assert (details["tags"], details["repository"], details["opened_by"]) == (["web"], "/src", "operator")
    assert (details["visits"], details["blocked_from"]) == ({"PHASE_BACKLOG": 1}, None)


async def test_a_ticket_tells_how_its_gate_stands_and_what_each_way_waits_for(running: World) -> None:
    await ask(running, "open_ticket", ticket_id="t1", title="Log in")
    await ask(running, "transition", ticket_id="t1", to_phase="PHASE_REQUIREMENTS")
    assert (await query(running, "get_ticket", ticket_id="t1"))["gate"] == "pending"
    pending = {
        "phase_id": "PHASE_REQUIREMENTS",
        "blocking_reasons": ["The gate of PHASE_REQUIREMENTS has not passed yet."],
    }
    assert await query(running, "valid_transitions", ticket_id="t1") == {
        "ticket_id": "t1",
        "phase_id": "PHASE_REQUIREMENTS",
        "visit": 1,
        "transitions": [
            {"to_phase": "PHASE_DESIGN", "open": False, "waits_for": [pending]},
            {"to_phase": "PHASE_BLOCKED", "open": True, "waits_for": []},
        ],
    }
    verdict = {"ticket_id": "t1", "phase_id": "PHASE_REQUIREMENTS", "visit": 1}
    await ask(running, "settle_gate", **verdict, passed=False, blocking_reasons=["No scope."])
    failed = await query(running, "get_ticket", ticket_id="t1")
    assert (failed["gate"], failed["blocking_reasons"]) == ("failed", ["No scope."])
    await ask(running, "block", ticket_id="t1", reason="Ask the customer.")
    await ask(running, "settle_gate", **verdict, passed=True)
    held = await query(running, "get_ticket", ticket_id="t1")
    assert (held["details"]["blocked_from"], held["details"]["reason"]) == (
        "PHASE_REQUIREMENTS",
        "Ask the customer.",
    )
    await ask(running, "unblock", ticket_id="t1")
    assert (await query(running, "get_ticket", ticket_id="t1"))["phase_id"] == "PHASE_DESIGN"


async def test_a_ticket_on_hold_tells_why_a_gate_put_it_there(running: World) -> None:
    strict = changed(SMALL, "CHECK", on_failure="HOLD")
    await ask(running, "load_workflow", document=as_json(strict))
    await ask(running, "open_ticket", ticket_id="t1", title="Log in", workflow="small")
    await ask(running, "override_transition", ticket_id="t1", to_phase="CHECK", reason="Try it.")
    await ask(
        running,
        "settle_gate",
        ticket_id="t1",
        phase_id="CHECK",
        visit=1,
        passed=False,
        blocking_reasons=["Red."],
    )
    held = await query(running, "get_ticket", ticket_id="t1")
    assert (held["phase_id"], held["gate"], held["blocking_reasons"]) == ("HOLD", "not_configured", ["Red."])


async def test_a_history_begins_with_the_opening_and_names_everybody(running: World) -> None:
    await ask(running, "open_ticket", ticket_id="t1", title="Log in")
    await ask(running, "settle_gate", ticket_id="t1", phase_id="PHASE_BACKLOG", visit=1, passed=True)
    await ask(running, "override_transition", ticket_id="t1", to_phase="PHASE_DONE", reason="Done by hand.")
    answer = await query(running, "phase_history", ticket_id="t1")
    opened, forced = answer["history"]
    assert answer["ticket_id"] == "t1"
    assert opened.pop("at") < forced.pop("at")
    assert opened == {
        "from_phase": None,
        "to_phase": "PHASE_BACKLOG",
        "reason": "",
        "visit": 1,
        "forced": False,
        "actor": "operator",
        "artifacts": [],
        "blocking_reasons": [],
        "regression": False,
        "terminal": False,
        "move": 0,
        "migration": 0,
    }
    assert forced == {
        "from_phase": "PHASE_BACKLOG",
        "to_phase": "PHASE_DONE",
        "reason": "Done by hand.",
        "visit": 1,
        "forced": True,
        "actor": "operator",
        "artifacts": [],
        "blocking_reasons": [],
        "regression": False,
        "terminal": True,
        "move": 1,
        "migration": 0,
    }


@pytest.mark.parametrize("name", ["get_ticket", "phase_history", "valid_transitions"])
async def test_nothing_is_told_of_a_ticket_nobody_opened(running: World, name: str) -> None:
    assert (await query(running, name, ticket_id="t9"))["code"] == "ticket_not_found"


async def test_workflows_are_listed_and_read_by_name_and_version(running: World) -> None:
    newer = changed(SMALL, description="newer")
    await ask(running, "load_workflow", document=as_json(SMALL))
    await ask(running, "load_workflow", document=as_json(newer))
    assert await query(running, "list_workflows") == {
        "workflows": sorted(
            [
                {"name": "small", "version": newer.version},
                *({"name": name, "version": shipped.version} for name, shipped in ALL_SHIPPED.items()),
            ],
            key=itemgetter("name"),
        )
    }
    read = await query(running, "get_workflow", name="small")
    assert (read["version"], read["versions"]) == (newer.version, [SMALL.version, newer.version])
    older = await query(running, "get_workflow", name="small", version=SMALL.version)
    assert Workflow.model_validate(older["document"]) == SMALL
    await ask(running, "load_workflow", document=as_json(SMALL))
    again = await query(running, "get_workflow", name="small")
    assert (again["version"], again["versions"]) == (SMALL.version, read["versions"])


async def test_a_workflow_nobody_loaded_is_told_with_those_there_are(running: World) -> None:
    wish = {"title": "Log in", "workflow": "smal"}
    for answer in (
        await query(running, "get_workflow", name="smal"),
        await ask(running, "open_ticket", **wish),
    ):
        assert (answer["code"], answer["details"]["loaded"]) == ("unknown_workflow", sorted(ALL_SHIPPED))
    version = await query(running, "get_workflow", name="software_development", version="0")
    assert (version["code"], version["details"]["versions"]) == ("unknown_workflow", [SHIPPED.version])


async def test_a_document_is_loaded_as_yaml_text_and_refused_in_words(running: World) -> None:
    text = "name: tiny\ninitial_phase: A\nphases: [{id: A, name: A, sequence_order: 0, is_terminal: true}]"
    assert (await ask(running, "load_workflow", document=text))["name"] == "tiny"
    unsound = await ask(
        running, "load_workflow", document=text.replace("initial_phase: A", "initial_phase: B")
    )
    assert (unsound["code"], unsound["details"]["problems"][0]["key"]) == (
        "invalid_workflow",
        "initial_phase",
    )
    broken = await ask(running, "load_workflow", document=text + "]")
    [problem] = broken["details"]["problems"]
    assert (broken["code"], problem["line"], problem["key"]) == ("invalid_workflow", 3, "")


async def test_what_was_said_of_a_ticket_is_told_with_it(running: World) -> None:
    await ask(running, "open_ticket", ticket_id="t1", title="Log in", deadline="2026-03-01T12:00:00Z")
    await ask(running, "edit_ticket", ticket_id="t1", title="Log in again", priority="high", tags=["web"])
    for number in (1, 2):
        await ask(running, "add_comment", ticket_id="t1", comment_id=f"c{number}", text=f"Comment {number}.")
    ticket = await query(running, "get_ticket", ticket_id="t1")
    details = ticket["details"]
    assert (ticket["title"], ticket["priority"], details["tags"]) == ("Log in again", "HIGH", ["web"])
    assert details["deadline"] == "2026-03-01T12:00:00.000000+00:00"
    assert [comment["text"] for comment in details["comments"]] == ["Comment 1.", "Comment 2."]
    assert (details["comment_count"], details["comments"][0]["actor"]) == (2, "operator")
    assert len(details["comments"][0]["at"]) == len(details["opened_at"]) == len(details["deadline"])


async def test_a_ticket_is_unblocked_by_itself_when_the_last_blocker_is_done(running: World) -> None:
    for number in (1, 2):
        await ask(running, "open_ticket", ticket_id=f"b{number}", title="First")
    await ask(running, "open_ticket", ticket_id="t1", title="Then", blocked_by=["b1"])
    await ask(running, "add_blocker", ticket_id="t1", blocker_id="b2")
    circle = await ask(running, "add_blocker", ticket_id="b1", blocker_id="t1")
    assert (circle["code"], circle["details"]["cycle"]) == ("blocker_cycle", ["b1", "t1", "b1"])
    for number in (1, 2):
        await ask(running, "override_transition", ticket_id=f"b{number}", to_phase="PHASE_DONE", reason="x")

    async def is_free() -> bool:
        return not (await query(running, "get_ticket", ticket_id="t1"))["details"]["blocked_by"]

    await until(is_free, seconds=30)
    resolved = await running.events(2, subject="evt.phase.blocker_removed.t1", seconds=30)
    assert all(orjson.loads(event.data)["resolved"] for event in resolved)


async def test_a_done_claim_is_known_by_its_task_alone(running: World) -> None:
    await ask(running, "open_ticket", ticket_id="t1", title="Log in")
    visit = {"ticket_id": "t1", "phase_id": "PHASE_TESTING", "visit": 1}
    await ask(running, "follow_task", task_id="k1", **visit)
    wanted = SHIPPED.phase("PHASE_TESTING")
    assert wanted is not None
    claimed = await query(running, "validate_done", task_id="k1", completed_criteria=[])
    assert (claimed["all_met"], claimed["missing"]) == (False, list(wanted.done_definitions))
    recorded = await ask(running, "record_done_claim", task_id="k1", completed_criteria=claimed["missing"])
    assert recorded == {**visit, "all_met": True, "missing": []}
    unknown = await query(running, "validate_done", task_id="k2", completed_criteria=[])
    assert unknown["code"] == "task_not_found"
