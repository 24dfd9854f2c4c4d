"""Gates among the other services, over NATS alone: what an agent claims, and what outlives a crash."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats.errors
import pytest

from services.phase.service import phase
from services.registry.service import registry
from services.scheduler.service import scheduler
from shared.kernel.schema import migrate
from shared.testing.model import Reply, model_server, says
from shared.testing.world import World, until
from tests.system.conftest import OMOI

PATIENCE_SECONDS = 60
GRANTS = '{"operator": 5, "ann": 3, "bob": 3}'
MEASURED = [{"type": "test_coverage", "min_percentage": 80, "measured": True}]


def document(description: str = "", **gate: Any) -> dict[str, Any]:
    """A workflow with one gated phase, which goes on by itself, and may be entered again."""
    return {
        "name": "careful",
        "description": description,
        "initial_phase": "TODO",
        "phases": [
            {"id": "TODO", "name": "To do", "sequence_order": 0, "allowed_transitions": ["CHECK"]},
            {
                "id": "CHECK",
                "name": "Check",
                "sequence_order": 1,
                "allowed_transitions": ["DONE", "TODO"],
                "auto_advance": True,
                "gate": gate,
                "tasks": [{"id": "draw"}],
            },
            {"id": "DONE", "name": "Done", "sequence_order": 2, "is_terminal": True},
        ],
    }


async def serve_gates(world: World, **environment: str) -> Process:
    """Gates as a process of its own; returns when it answers."""
    process = await asyncio.create_subprocess_exec(
        str(OMOI),
        "serve",
        "gates",
        env={
            **os.environ,
            "OMOI_DATABASE_URL": world.database_url,
            "OMOI_NATS_URL": world.nats_url,
            "OMOI_GRANTS": GRANTS,
            **environment,
        },
        stdout=DEVNULL,
    )

    async def answers() -> bool:
        assert process.returncode is None, "the service ended before it was ready"
        try:
            await world.query("gates.pending_reviews", seconds=2)
        except (nats.errors.NoRespondersError, TimeoutError):
            return False
        return True

    await until(answers, PATIENCE_SECONDS, 0.2)
    return process


@asynccontextmanager
async def serving_gates(world: World, **environment: str) -> AsyncIterator[Process]:
    process = await serve_gates(world, **environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)


@pytest.fixture
async def town(a_world: World) -> AsyncIterator[World]:
    """Everything but gates runs in this process."""
    await migrate(a_world.database_url, ["phase", "scheduler", "registry", "gates"])
    async with a_world.running(phase, scheduler, registry):
        yield a_world


async def ask(world: World, name: str, body: Any, actor: str = "operator") -> Any:
    answer = await world.ask(name, body, actor=actor, seconds=30)
    assert answer["ok"], answer
    return answer["result"]


async def see(world: World, name: str, **body: Any) -> Any:
    answer = await world.query(name, body, seconds=30)
    return answer.get("result", {})


async def load(world: World, workflow: dict[str, Any]) -> str:
    """The version it is loaded as."""
    loaded = await ask(world, "phase.load_workflow", {"document": workflow})
    return str(loaded["version"])


async def in_check(world: World, workflow: dict[str, Any]) -> str:
    """A ticket that has entered CHECK."""
    await load(world, workflow)
    opened = await ask(world, "phase.open_ticket", {"title": "Draw", "workflow": "careful"})
    await ask(world, "phase.transition", {"ticket_id": opened["ticket_id"], "to_phase": "CHECK"})
    return str(opened["ticket_id"])


async def do_task(world: World, *artifacts: dict[str, Any]) -> None:
    """The agent coder-1 claims the next task and completes it."""

    async def claimed() -> Any:
        found = await ask(world, "scheduler.claim_task", {"agent_id": "coder-1"}, actor="coder-1")
        return found["tasks"]

    (task,) = await until(claimed, PATIENCE_SECONDS)
    report = {"task_id": task["task_id"], "claim_epoch": task["claim_epoch"]}
    await ask(world, "scheduler.start_task", report, actor="coder-1")
    result = {"summary": "done", "artifacts": list(artifacts)}
    await ask(world, "scheduler.complete_task", {**report, "result": result}, actor="coder-1")


async def gate_is(world: World, ticket_id: str, status: str, visit: int = 1) -> Any:
    """The gate of CHECK, once it stands so and has said why."""

    async def found() -> Any:
        gate = await see(world, "gates.get_gate", ticket_id=ticket_id, phase_id="CHECK", visit=visit)
        return gate if gate.get("status") == status and not not_known_yet(gate) else None

    return await until(found, PATIENCE_SECONDS)


def not_known_yet(gate: Any) -> bool:
    return any("not known yet" in reason or "not completed" in reason for reason in gate["blocking_reasons"])


async def phase_is(world: World, ticket_id: str, phase_id: str) -> Any:
    async def found() -> Any:
        ticket = await see(world, "phase.get_ticket", ticket_id=ticket_id)
        return ticket if ticket.get("phase_id") == phase_id else None

    return await until(found, PATIENCE_SECONDS)


COVERAGE = {"artifact_type": "test_coverage", "content": {"percentage": 100}}


async def test_a_claim_of_full_coverage_without_a_measured_file_fails_with_that_reason(town: World) -> None:
    async with serving_gates(town):
        ticket_id = await in_check(town, document(criteria=MEASURED))
        await do_task(town, {**COVERAGE, "measured": True})
        gate = await gate_is(town, ticket_id, "failed")
        assert gate["blocking_reasons"] == ["test_coverage was only claimed (100 %), not measured."]
        by_hand = {"ticket_id": ticket_id, **COVERAGE}
        await ask(town, "gates.submit_artifact", by_hand, actor="coder-1")
        judged = await ask(town, "gates.validate_gate", {"ticket_id": ticket_id})
        assert judged["status"] == "failed"
        assert (await see(town, "phase.get_ticket", ticket_id=ticket_id))["phase_id"] == "CHECK"


async def test_evidence_of_an_earlier_visit_never_satisfies_a_later_one(town: World) -> None:
    note = {"artifact_type": "note", "artifact_path": "n.md", "content": "Because."}
    workflow = document(criteria=[{"type": "note", "must_exist": True}], approval={"count": 1})
    async with serving_gates(town):
        ticket_id = await in_check(town, workflow)
        await do_task(town, note)
        await gate_is(town, ticket_id, "pending")
        for to_phase in ("TODO", "CHECK"):
            await ask(town, "phase.transition", {"ticket_id": ticket_id, "to_phase": to_phase})
        await do_task(town)
        gate = await gate_is(town, ticket_id, "failed", visit=2)
        assert gate["blocking_reasons"] == ["note is missing: no artifact of this type was handed in."]
        assert gate["artifacts"] == []
        first = await see(town, "gates.get_gate", ticket_id=ticket_id, phase_id="CHECK", visit=1)
        assert [request["status"] for request in first["approvals"]] == ["withdrawn"]


async def test_an_approval_outlives_the_kill_of_the_service_and_another_workflow_version(town: World) -> None:
    first = await serve_gates(town)
    ticket_id = await in_check(town, document(approval={"count": 3, "expires_seconds": 3600}))
    await do_task(town)
    asked = await gate_is(town, ticket_id, "pending")
    (request,) = asked["approvals"]
    await ask(town, "gates.approve", {"ticket_id": ticket_id}, actor="ann")
    first.kill()
    await first.wait()

    version = await load(town, document("two are enough", approval={"count": 2}))
    migrate_ticket = {"ticket_id": ticket_id, "workflow_version": version}
    await ask(town, "phase.migrate_ticket", migrate_ticket)
    async with serving_gates(town):
        waiting = await gate_is(town, ticket_id, "pending")
        assert [one["request_id"] for one in waiting["approvals"]] == [request["request_id"]]

        async def of_two() -> bool:
            found = await see(town, "gates.get_gate", ticket_id=ticket_id)
            return "1 of 2; ann approved" in found["blocking_reasons"][0]

        await until(of_two, PATIENCE_SECONDS)
        consent = {"ticket_id": ticket_id, "request_id": request["request_id"]}
        assert (await ask(town, "gates.approve", consent, actor="bob"))["status"] == "passed"
        await phase_is(town, ticket_id, "DONE")
        done = await see(town, "gates.get_gate", ticket_id=ticket_id, phase_id="CHECK")
        assert [word["actor"] for word in done["approvals"][0]["decisions"]] == ["ann", "bob"]


async def test_a_review_outlives_the_kill_of_the_service_that_was_asking(town: World) -> None:
    verdict = says('{"passed": true, "feedback": "Good.", "evidence": []}')
    async with model_server(Reply("{}", after_seconds=600), verdict) as model:
        configured = {"OMOI_MODEL": "judge-1", "OMOI_MODEL_URL": model.url}
        first = await serve_gates(town, **configured)
        ticket_id = await in_check(town, document(review={"by": "model"}))
        await do_task(town)

        async def asked() -> bool:
            return len(model.asked) == 1

        await until(asked, PATIENCE_SECONDS)
        first.kill()
        await first.wait()
        async with serving_gates(town, **configured):
            await phase_is(town, ticket_id, "DONE")
        assert len(model.asked) == 2
