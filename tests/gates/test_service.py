"""The gates service as people meet it: over the wire, with the real database and the real broker."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.gates.service import gates
from shared.kernel.schema import migrate
from shared.testing.world import World
from tests.gates.story import GOOD_DOCUMENT, WORKFLOW

DOCUMENT = {"artifact_type": "requirements_document", "artifact_path": "docs/needs.md"}
SINCE = "2026-01-01T12:00:00.000000+00:00"
TASK = {"ticket_id": "T", "phase_id": "REQUIREMENTS", "visit": 1, "task_id": "a", "task_type": "write"}


@pytest.fixture
async def running(a_world: World) -> AsyncIterator[World]:
    """A world in which gates knows of a ticket whose requirements are to be written by one task."""
    await migrate(a_world.database_url, ["gates"])
    async with a_world.running(gates):
        document = WORKFLOW.model_dump(mode="json")
        await ask(a_world, "follow_workflow", version=WORKFLOW.version, document=document)
        await ask(
            a_world,
            "follow_ticket",
            ticket_id="T",
            phase_id="BACKLOG",
            workflow_version=WORKFLOW.version,
        )
        await ask(a_world, "begin_visit", ticket_id="T", phase_id="REQUIREMENTS", visit=1, at=SINCE)
        await ask(a_world, "expect_tasks", ticket_id="T", phase_id="REQUIREMENTS", visit=1, generated=1)
        await ask(a_world, "collect_task", **TASK, template="write", status="open", at=SINCE)
        yield a_world


async def ask(world: World, command: str, /, **fields: Any) -> Any:
    answer = await world.ask(f"gates.{command}", fields, actor="operator")
    return answer["result"] if answer["ok"] else answer


async def query(world: World, **fields: Any) -> Any:
    answer = await world.query("gates.get_gate", {"ticket_id": "T"} | fields)
    return answer["result"] if answer["ok"] else answer


async def test_a_pending_gate_says_what_it_waits_for(running: World) -> None:
    found = await query(running)
    assert (found["phase_id"], found["visit"], found["status"]) == ("REQUIREMENTS", 1, "pending")
    assert found["blocking_reasons"] == ["Task a (write) is not completed."]
    assert found["tasks"] == [{"task_id": "a", "task_type": "write", "status": "open", "error": ""}]
    (output,) = found["outputs"]
    assert (output["artifact_type"], output["pattern"], output["met"]) == (
        "requirements_document",
        "docs/*.md",
        False,
    )


async def test_a_gate_shows_the_evidence_it_judged(running: World) -> None:
    first = DOCUMENT | {"content": "# Scope", "sha256": "0" * 64, "measured": True}
    await ask(running, "collect_task", **TASK, status="completed", at=SINCE, artifacts=[first])
    failed = await query(running)
    assert failed["status"] == "failed"
    assert failed["blocking_reasons"] == [
        "requirements_document (docs/needs.md) has 7 characters; at least 20 are demanded.",
        "requirements_document (docs/needs.md) has no section acceptance_criteria.",
    ]
    assert failed["outputs"][0]["reasons"] == failed["blocking_reasons"]

    better = DOCUMENT | {"ticket_id": "T", "artifact_id": "a2", "content": GOOD_DOCUMENT}
    assert (await ask(running, "submit_artifact", **better))["artifact_id"] == "a2"
    assert (await ask(running, "validate_gate", ticket_id="T"))["status"] == "passed"
    passed = await query(running)
    assert (passed["status"], passed["blocking_reasons"], passed["outputs"][0]["met"]) == ("passed", [], True)
    old, new = passed["artifacts"]
    assert (old["measured"], new["measured"], new["collected_by"]) == (True, False, "operator")
    assert [finding["criterion"] for finding in new["findings"]] == [
        "pattern",
        "min_length",
        "required_sections",
    ]
    assert "content" not in new


async def test_a_superseded_artifact_is_shown_as_such(running: World) -> None:
    for number in (1, 2):
        await ask(
            running,
            "submit_artifact",
            **DOCUMENT,
            ticket_id="T",
            artifact_id=f"a{number}",
            content=str(number),
        )
    found = await query(running)
    assert [(one["artifact_id"], one["superseded"]) for one in found["artifacts"]] == [
        ("a1", True),
        ("a2", False),
    ]


async def test_what_is_not_there_is_not_shown(running: World) -> None:
    assert (await query(running, ticket_id="nobody"))["code"] == "ticket_not_found"
    assert (await query(running, phase_id="NOWHERE"))["code"] == "unknown_phase"
    assert (await query(running, phase_id="DESIGN"))["code"] == "gate_not_found"
    assert (await query(running, visit=2))["code"] == "gate_not_found"
    await ask(running, "begin_visit", ticket_id="T", phase_id="REQUIREMENTS", visit=2, at=SINCE)
    assert [(await query(running, visit=visit))["tasks"] != [] for visit in (1, 2)] == [True, False]
    assert (await query(running, phase_id="BACKLOG"))["status"] == "not_configured"


async def test_a_worker_cannot_report_a_task_to_the_gate(running: World) -> None:
    answer = await running.ask("gates.collect_task", {**TASK, "status": "completed", "at": SINCE}, actor="w")
    assert answer["code"] == "not_authorised"
