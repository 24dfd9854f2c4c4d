"""The phases of the built-in workflow as they hold over the wire: its table, its races and its gates."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise, product
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from shared.testing.world import until
from tests.system.conftest import System
from tests.system.test_wire import ask

TABLE = {
    "PHASE_BACKLOG": {"PHASE_REQUIREMENTS"},
    "PHASE_REQUIREMENTS": {"PHASE_DESIGN", "PHASE_BLOCKED"},
    "PHASE_DESIGN": {"PHASE_IMPLEMENTATION", "PHASE_BLOCKED"},
    "PHASE_IMPLEMENTATION": {"PHASE_TESTING", "PHASE_BLOCKED"},
    "PHASE_TESTING": {"PHASE_DEPLOYMENT", "PHASE_IMPLEMENTATION", "PHASE_BLOCKED"},
    "PHASE_DEPLOYMENT": {"PHASE_DONE", "PHASE_BLOCKED"},
    "PHASE_BLOCKED": {"PHASE_REQUIREMENTS", "PHASE_DESIGN", "PHASE_IMPLEMENTATION", "PHASE_TESTING"},
    "PHASE_DONE": set[str](),
}
GATED = {
    "PHASE_REQUIREMENTS": "PHASE_DESIGN",
    "PHASE_DESIGN": "PHASE_IMPLEMENTATION",
    "PHASE_IMPLEMENTATION": "PHASE_TESTING",
    "PHASE_TESTING": "PHASE_DEPLOYMENT",
    "PHASE_DEPLOYMENT": "PHASE_DONE",
}
"""Phase with a gate -> where its gate leads."""
CLIENTS = 32


@pytest.fixture
async def broker(system: System) -> AsyncIterator[Client]:
    client = await nats.connect(system.json("doctor", "--json")["nats_url"])
    yield client
    await client.close()


async def placed(broker: Client, phase_id: str, workflow: str = "software_development") -> str:
    """A new ticket that the operator has put into a phase."""
    opened = await ask(broker, "ask.phase.open_ticket", {"title": f"In {phase_id}", "workflow": workflow})
    ticket_id = str(opened["result"]["ticket_id"])
    if phase_id != "PHASE_BACKLOG":
        await forced(broker, ticket_id, phase_id)
    return ticket_id


async def forced(broker: Client, ticket_id: str, phase_id: str) -> None:
    wish = {"ticket_id": ticket_id, "to_phase": phase_id, "reason": "for the test"}
    assert (await ask(broker, "ask.phase.override_transition.operator", wish))["ok"]


async def move(broker: Client, ticket_id: str, to_phase: str, **fields: Any) -> dict[str, Any]:
    return await ask(broker, "ask.phase.transition", {"ticket_id": ticket_id, "to_phase": to_phase, **fields})


async def history(broker: Client, ticket_id: str) -> list[dict[str, Any]]:
    found = await ask(broker, "qry.phase.phase_history", {"ticket_id": ticket_id})
    entries: list[dict[str, Any]] = found["result"]["history"]
    assert [entry["from_phase"] for entry in entries[1:]] == [entry["to_phase"] for entry in entries[:-1]]
    assert [entry["move"] for entry in entries[1:]] == list(range(1, len(entries)))
    assert all(before["at"] <= after["at"] for before, after in pairwise(entries))
    return entries


async def test_of_all_pairs_of_phases_exactly_the_moves_of_the_table_are_allowed(broker: Client) -> None:
    """A move of the table that a gate keeps closed is answered `gate_not_passed`: allowed, but not yet.

    No agent works here, so no gate passes; a move out of the table is refused whatever the gates say.
    """

    async def tried(from_phase: str, to_phase: str) -> None:
        ticket_id = await placed(broker, from_phase)
        answer = await move(broker, ticket_id, to_phase)
        expected = "ok" if to_phase in TABLE[from_phase] else "illegal_transition"
        if GATED.get(from_phase) == to_phase:
            expected = "gate_not_passed"
        assert answer.get("code", "ok") == expected, (from_phase, to_phase, answer)
        if expected == "illegal_transition":
            assert set(answer["details"]["legal_targets"]) == TABLE[from_phase]
            assert all(target in answer["message"] for target in TABLE[from_phase])
        end = (await history(broker, ticket_id))[-1]
        assert end["to_phase"] == (to_phase if expected == "ok" else from_phase)

    pairs = list(product(TABLE, TABLE))
    assert len(pairs) == 64
    await asyncio.gather(*(tried(*pair) for pair in pairs))


async def test_the_way_out_of_a_phase_is_asked_for_and_is_the_table(broker: Client) -> None:
    for phase_id, targets in TABLE.items():
        ticket_id = await placed(broker, phase_id)
        answer = await ask(broker, "qry.phase.valid_transitions", {"ticket_id": ticket_id})
        ways = {way["to_phase"]: way["open"] for way in answer["result"]["transitions"]}
        assert set(ways) == targets
        assert {target for target, is_open in ways.items() if not is_open} == targets & {GATED.get(phase_id)}


@pytest.mark.parametrize(
    ("targets", "fields", "code"),
    [
        (("PHASE_BLOCKED", "PHASE_BLOCKED"), {}, "illegal_transition"),
        (("PHASE_BLOCKED", "PHASE_IMPLEMENTATION"), {"expected_phase": "PHASE_TESTING"}, "phase_changed"),
    ],
)
async def test_of_moves_sent_at_once_by_many_clients_one_wins(
    system: System, broker: Client, targets: tuple[str, str], fields: dict[str, str], code: str
) -> None:
    ticket_id = await placed(broker, "PHASE_TESTING")
    url = system.json("doctor", "--json")["nats_url"]
    async with AsyncExitStack() as stack:
        clients = [await nats.connect(url) for _ in range(CLIENTS)]
        for client in clients:
            stack.push_async_callback(client.close)
        answers = await asyncio.gather(
            *(move(client, ticket_id, targets[n % 2], **fields) for n, client in enumerate(clients))
        )
    assert Counter(answer.get("code", "ok") for answer in answers) == {"ok": 1, code: CLIENTS - 1}
    [won] = [answer for answer in answers if answer["ok"]]
    opened, put, moved = await history(broker, ticket_id)
    assert (opened["to_phase"], put["to_phase"]) == ("PHASE_BACKLOG", "PHASE_TESTING")
    assert (moved["to_phase"], moved["visit"]) == (won["result"]["to_phase"], won["result"]["visit"])


async def guarded(broker: Client, *, lax: bool = False) -> str:
    """The built-in workflow under another name, or a version of it that has no gates; answers its version."""
    found = await ask(broker, "qry.phase.get_workflow", {"name": "software_development"})
    document = found["result"]["document"] | {"name": "guarded"}
    if lax:
        none: dict[str, Any] = {"tasks": [], "gate": None, "expected_outputs": [], "auto_advance": False}
        document["phases"] = [phase | none | {"on_failure": "stay"} for phase in document["phases"]]
    loaded = await ask(broker, "ask.phase.load_workflow", {"document": document})
    return str(loaded["result"]["version"])


async def test_no_way_but_an_override_leads_a_ticket_past_its_gate(broker: Client) -> None:
    await guarded(broker)
    ticket_id = await placed(broker, "PHASE_IMPLEMENTATION", "guarded")
    lax = await guarded(broker, lax=True)
    ticket = {"ticket_id": ticket_id}
    visit = {**ticket, "phase_id": "PHASE_IMPLEMENTATION", "visit": 1}
    onward = {"to_phase": "PHASE_TESTING"}
    claim = {**ticket, "phase_id": "PHASE_IMPLEMENTATION", "task_id": "claimed", "completed_criteria": []}
    check = (await ask(broker, "qry.phase.validate_done", claim))["result"]
    artifact = {**ticket, "artifact_type": "code_changes", "content": {"files": [{"path": "a.py"}]}}
    attempts: list[tuple[str, dict[str, Any], str]] = [
        ("phase.transition", {**ticket, **onward}, "gate_not_passed"),
        ("phase.unblock", {**ticket, **onward}, "illegal_transition"),
        ("phase.migrate_ticket", {**ticket, "workflow_version": lax}, "gate_not_passed"),
        ("phase.record_done_claim", {**claim, "completed_criteria": check["missing"]}, "ok"),
        ("phase.settle_gate", {**visit, "passed": True}, "not_authorised"),
        ("phase.override_transition", {**ticket, **onward, "reason": "because"}, "not_authorised"),
        ("gates.submit_artifact", artifact, "ok"),
        ("gates.validate_gate", ticket, "ok"),
        ("gates.expect_tasks", {**visit, "generated": 0}, "not_authorised"),
        (
            "gates.follow_ticket",
            {**ticket, "phase_id": "PHASE_DONE", "workflow_version": lax},
            "not_authorised",
        ),
        ("scheduler.generate_tasks", ticket, "ok"),
        ("scheduler.enter_phase", {**visit, "from_phase": "PHASE_DESIGN"}, "not_authorised"),
        ("phase.block", {**ticket, "reason": "a way round?"}, "ok"),
        ("phase.unblock", {**ticket, **onward}, "gate_not_passed"),
        ("phase.transition", {**ticket, **onward}, "gate_not_passed"),
        ("phase.migrate_ticket", {**ticket, "workflow_version": lax}, "gate_not_passed"),
        ("phase.unblock", ticket, "ok"),
        ("phase.transition", {**ticket, **onward}, "gate_not_passed"),
    ]
    for command, body, expected in attempts:
        answer = await ask(broker, f"ask.{command}", body)
        assert answer.get("code", "ok") == expected, (command, body, answer)
    seen = await ask(broker, "qry.phase.get_ticket", ticket)
    assert (seen["result"]["phase_id"], seen["result"]["visit"]) == ("PHASE_IMPLEMENTATION", 1)
    await forced(broker, ticket_id, "PHASE_TESTING")
    entries = await history(broker, ticket_id)
    assert [(entry["to_phase"], entry["forced"]) for entry in entries] == [
        ("PHASE_BACKLOG", False),
        ("PHASE_IMPLEMENTATION", True),
        ("PHASE_BLOCKED", False),
        ("PHASE_IMPLEMENTATION", False),
        ("PHASE_TESTING", True),
    ]
    assert (entries[-1]["actor"], entries[-1]["reason"]) == ("operator", "for the test")


async def test_a_blocked_ticket_is_planned_but_worked_on_only_when_its_blocker_is_done(
    broker: Client,
) -> None:
    first, then = [await placed(broker, "PHASE_BACKLOG") for _ in range(2)]
    waits = {"ticket_id": then, "blocker_id": first}
    assert (await ask(broker, "ask.phase.add_blocker", waits))["ok"]
    back = await ask(broker, "ask.phase.add_blocker", {"ticket_id": first, "blocker_id": then})
    assert (back["code"], back["details"]["cycle"]) == ("blocker_cycle", [first, then, first])
    assert (await move(broker, then, "PHASE_REQUIREMENTS"))["ok"]
    task_id = await until(lambda: ready_task(broker, then), seconds=30)
    assert await reasons(broker, task_id) == ["ticket_blocked"]
    await forced(broker, first, "PHASE_DONE")
    await until(lambda: is_free(broker, task_id), seconds=30)
    seen = await ask(broker, "qry.phase.get_ticket", {"ticket_id": then})
    assert seen["result"]["details"]["blocked_by"] == []


async def ready_task(broker: Client, ticket_id: str) -> str | None:
    found = await ask(broker, "qry.scheduler.dag_status", {"ticket_id": ticket_id})
    tasks = found["result"]["nodes"] if found["ok"] else []
    return next((task["task_id"] for task in tasks if task["status"] == "ready"), None)


async def is_free(broker: Client, task_id: str) -> bool:
    return not await reasons(broker, task_id)


async def reasons(broker: Client, task_id: str) -> list[str]:
    found = await ask(broker, "qry.scheduler.explain", {"task_id": task_id})
    return [reason["code"] for reason in found["result"]["reasons"]]
