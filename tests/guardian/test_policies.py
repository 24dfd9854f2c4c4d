"""Policies on the running system: each trigger of the shipped ones fired by causing its condition, once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.board.service import board
from services.discovery.service import discovery
from services.guardian.policy import sound
from services.guardian.service import guardian
from services.phase.service import phase
from services.registry.service import registry
from services.scheduler.service import scheduler
from shared.contracts.policy import Policy, Trigger
from shared.contracts.workflow import Column
from shared.kernel.schema import migrate
from shared.testing.world import World, until
from tests.guardian.fleet import SECONDS, WORKFLOW, Fleet
from tests.kernel import process

SHIPPED = Path(__file__).parents[2] / "policies"
OTHERS = (phase, scheduler, registry, board, discovery)
BOARDED = WORKFLOW.model_copy(
    update={
        "columns": (
            Column(id="making", phases=("BUILD",)),
            Column(id="testing", wip_limit=1, phases=("TEST",)),
            Column(id="done", phases=("DONE",)),
        )
    }
)


def shipped(name: str, only: str, **faster: Any) -> Policy:
    """One trigger of a policy that ships, with shorter times."""
    policy = sound((SHIPPED / f"{name}.yaml").read_text("utf-8"))
    [trigger] = [each for each in policy.triggers if each.id == only]
    return policy.model_copy(
        update={"triggers": (Trigger.model_validate({**trigger.model_dump(), **faster}),)}
    )


class Office(Fleet):
    """A guardian over the services that it hears, with ticket T-1."""

    async def open(self, *ticket_ids: str) -> None:
        """Tickets of a workflow with a board."""
        await self.done("phase.load_workflow", document=BOARDED.model_dump(mode="json"))
        for ticket_id in ticket_ids:
            await self.done("phase.open_ticket", ticket_id=ticket_id, title="a chair", workflow=BOARDED.name)

            async def heard(heard_of: str = ticket_id) -> Any:
                select = "SELECT 1 FROM {}.streams WHERE id = 'ticket-' || $1"
                places = ("scheduler", "discovery", "guardian")
                return all([await self.world.fetch(select.format(place), heard_of) for place in places])

            await until(heard, SECONDS)

    async def load(self, policy: Policy) -> None:
        """Have a policy watched."""
        document = policy.model_dump(mode="json", exclude_defaults=True)
        await self.done("guardian.load_policy", document=document)

    async def met(self, count: int = 1) -> list[Any]:
        """Wait until policies were triggered so often; oldest first."""

        async def triggers() -> Any:
            found = (await self.query("guardian.list_triggers"))["triggers"]
            return found[::-1] if len(found) >= count else None

        found: list[Any] = await until(triggers, SECONDS)
        assert len(found) == count
        return found

    async def heard(self) -> None:
        """Wait until the guardian has heard all that was announced till now."""
        for source in ("scheduler", "registry", "phase", "board", "discovery"):
            [row] = await self.world.fetch(f"SELECT coalesce(max(position), 0) AS last FROM {source}.events")

            async def passed(source: str = source, last: int = row["last"]) -> bool:
                select = "SELECT 1 FROM guardian.checkpoints WHERE consumer = 'reactions' AND source = $1"
                return not last or bool(await self.world.fetch(f"{select} AND position >= $2", source, last))

            await until(passed, SECONDS)

    async def started(self, task_id: str, agent_id: str = "ann", **body: Any) -> int:
        """A task that an agent works on; the epoch of the claim."""
        await self.task(task_id, **body)
        [claimed] = (await self.claim(agent_id))["tasks"]
        assert claimed["task_id"] == task_id
        epoch: int = claimed["claim_epoch"]
        await self.done("scheduler.start_task", actor=agent_id, task_id=task_id, claim_epoch=epoch)
        return epoch

    async def intervention(self, met: Any, status: str, number: int = 0) -> Any:
        """Wait until an intervention stands so."""
        named = {"intervention_id": met["actions"][number]["intervention_id"]}

        async def stands() -> Any:
            found = await self.query("guardian.get_intervention", **named)
            return found if found["status"] == status else None

        return await until(stands, SECONDS)

    async def caused_by(self, met: Any, service: str, kind: str) -> None:
        """The event that made it is the one that made it."""
        rows = await self.world.fetch(f"SELECT id::text, type FROM {service}.events")
        types = {row["id"]: row["type"] for row in rows}
        assert types[met["cause"][-1]] == kind


@pytest.fixture
async def office(a_world: World) -> AsyncIterator[Office]:
    await migrate(a_world.database_url, [service.name for service in (guardian, *OTHERS)])
    async with a_world.running(guardian, *OTHERS):
        office = Office(a_world)
        await office.open("T-1")
        yield office


async def test_what_runs_too_long_is_cancelled(office: Office) -> None:
    await office.load(shipped("emergency", "running_too_long", lasting="task.timeout_seconds * 0.01"))
    await office.started("saw", timeout_seconds=60)
    [met] = await office.met()
    await office.caused_by(met, "scheduler", "task.started")
    done = await office.intervention(met, "in_effect")
    assert (done["policy"], done["caused_by"]) == ("emergency", met["cause"][-1])
    assert (await office.seen("saw"))["status"] == "cancelled"
    await office.done("scheduler.retry_task", task_id="saw")
    [again] = (await office.claim())["tasks"]
    await office.done("scheduler.start_task", actor="ann", task_id="saw", claim_epoch=again["claim_epoch"])
    await office.heard()
    await asyncio.sleep(1.0)
    await office.met(1)


async def test_an_agent_that_is_lost_at_work_is_quarantined_and_released_again(office: Office) -> None:
    await office.load(shipped("emergency", "agent_lost_at_work", rollback_after="2s"))
    beats = {"idle_seconds": 0.2, "running_seconds": 0.2}
    await office.done("registry.register", actor="ann", agent_id="ann", capacity=2, **beats)
    await office.started("saw")
    [met] = await office.met()
    await office.caused_by(met, "registry", "agent.lost")
    await office.intervention(met, "reverted")
    assert (await office.known("ann"))["status"] != "QUARANTINED"


async def a_critical_task_fails(office: Office, task_id: str) -> None:
    epoch = await office.started(task_id, priority="CRITICAL", max_retries=0)
    await office.done(
        "scheduler.fail_task", actor="ann", task_id=task_id, claim_epoch=epoch, error="It broke."
    )


async def test_what_needs_an_approval_happens_once_it_is_approved(office: Office) -> None:
    await office.load(shipped("emergency", "critical_task_failed"))
    await a_critical_task_fails(office, "saw")
    [met] = await office.met()
    proposed = await office.intervention(met, "proposed")
    assert (proposed["actor"], proposed["policy"]) == ("guardian", "emergency")
    await office.task("glue")
    assert "ticket_paused" not in await office.reasons("glue")
    named = {"intervention_id": proposed["intervention_id"]}
    assert (await office.done("guardian.approve", **named))["status"] == "in_effect"
    assert (await office.intervention(met, "in_effect"))["approver"] == "operator"
    assert "ticket_paused" in await office.reasons("glue")


async def test_what_is_rejected_or_approved_by_nobody_does_not_happen(office: Office) -> None:
    await office.load(shipped("emergency", "critical_task_failed"))
    await a_critical_task_fails(office, "saw")
    [rejected] = await office.met(1)
    proposed = await office.intervention(rejected, "proposed")
    named = {"intervention_id": proposed["intervention_id"], "reason": "It is known."}
    assert (await office.done("guardian.reject", **named))["status"] == "rejected"
    await a_critical_task_fails(office, "glue")
    _, lapsing = await office.met(2)
    await office.intervention(lapsing, "proposed")
    await office.world.execute("UPDATE guardian.timers SET due_at = now() WHERE key LIKE 'proposal-%'")
    await office.intervention(lapsing, "expired")
    await office.task("paint")
    assert "ticket_paused" not in await office.reasons("paint")


async def test_capacity_goes_to_who_can_do_a_critical_task(office: Office) -> None:
    await office.load(shipped("resource_reallocation", "critical_waiting", lasting="1s"))
    for agent_id, capacity, able in (("bo", 3, "docs"), ("cy", 1, "deploy")):
        told = {"agent_id": agent_id, "capacity": capacity, "capabilities": [able]}
        await office.done("registry.register", actor=agent_id, **told)
    await office.started("saw", "cy", required_capabilities=["deploy"])
    await office.task("ship", priority="CRITICAL", required_capabilities=["deploy"])
    [met] = await office.met()
    await office.caused_by(met, "scheduler", "task.ready")
    await office.intervention(met, "in_effect")
    assert [(await office.known(agent_id))["capacity"] for agent_id in ("bo", "cy")] == [2, 2]


async def test_many_tasks_of_priority_high_move_capacity_once(office: Office) -> None:
    await office.load(shipped("resource_reallocation", "many_high_waiting", lasting="1s"))
    for agent_id in ("bo", "cy"):
        await office.agent(agent_id, capacity=2)
    for number in range(10):
        await office.task(f"saw-{number}", priority="HIGH")
    await office.heard()
    await office.task("saw-10", priority="HIGH")
    [met] = await office.met()
    assert (met["subject"], met["subject_id"]) == ("fleet", "fleet")
    await office.intervention(met, "in_effect")
    assert sorted([(await office.known(agent_id))["capacity"] for agent_id in ("bo", "cy")]) == [1, 3]
    await office.task("saw-11", priority="HIGH")
    await office.heard()
    await asyncio.sleep(1.5)
    await office.met(1)


@pytest.mark.parametrize(
    ("trigger", "minutes", "before", "after"),
    [
        ("deadline_within_an_hour", 60, "MEDIUM", "HIGH"),
        ("deadline_within_half_an_hour", 30, "HIGH", "CRITICAL"),
    ],
)
async def test_a_task_becomes_urgent_as_its_deadline_comes_near(
    office: Office, trigger: str, minutes: int, before: str, after: str
) -> None:
    await office.load(shipped("priority_override", trigger))
    near = datetime.now(UTC) + timedelta(minutes=minutes, seconds=2)
    await office.task("saw", priority=before, deadline=near.isoformat())
    assert (await office.seen("saw"))["priority"] == before
    [met] = await office.met()
    assert met["at"] == (near - timedelta(minutes=minutes)).isoformat(timespec="microseconds")
    await office.intervention(met, "in_effect")
    assert (await office.seen("saw"))["priority"] == after


async def test_a_surge_of_discoveries_proposes_a_pause(office: Office) -> None:
    await office.load(shipped("emergency", "discovery_surge"))
    await office.task("saw")
    told = {"source_task_id": "saw", "discovery_type": "bug"}
    for number in range(10):
        await office.done("discovery.record", **told, description=f"Leg {number} is loose.")
    await office.heard()
    assert (await office.query("guardian.list_triggers"))["triggers"] == []
    for number in range(10, 13):
        await office.done("discovery.record", **told, description=f"Leg {number} is loose.")
    [met] = await office.met()
    assert (await office.intervention(met, "proposed"))["intended"]["ticket_id"] == "T-1"


async def test_a_column_over_its_limit_proposes_a_pause_of_the_last_card(office: Office) -> None:
    await office.load(shipped("resource_reallocation", "wip_exceeded"))
    await office.open("T-2")
    for ticket_id in ("T-1", "T-2"):
        await office.done(
            "phase.override_transition", ticket_id=ticket_id, to_phase="TEST", reason="It is wanted now."
        )
    [met] = await office.met()
    await office.caused_by(met, "board", "board.wip_exceeded")
    assert (await office.intervention(met, "proposed"))["intended"]["ticket_id"] == "T-2"


async def test_a_policy_in_shadow_records_what_a_backtest_says(office: Office) -> None:
    policy = shipped("priority_override", "deadline_within_an_hour").model_copy(update={"shadow": True})
    await office.load(policy)
    near = datetime.now(UTC) + timedelta(minutes=60, seconds=1)
    for task_id in ("saw", "glue"):
        await office.task(task_id, deadline=near.isoformat())
    recorded = await office.met(2)
    assert {met["shadow"] for met in recorded} == {True}
    assert (await office.seen("saw"))["priority"] == "MEDIUM"
    document = policy.model_dump(mode="json", exclude_defaults=True)
    tested = await office.query("guardian.backtest", document=document)
    assert [
        {name: value for name, value in each.items() if name != "position"} for each in tested["triggers"]
    ] == [{name: value for name, value in each.items() if name != "position"} for each in recorded]
    nothing = await office.query("guardian.backtest", document=document, until="2020-01-01T00:00:00Z")
    assert nothing["triggers"] == []


async def test_a_backtest_goes_on_to_the_present_and_no_further(office: Office) -> None:
    await office.task("saw")
    await office.heard()

    async def tested(lasting: str, **asked: str) -> Any:
        document = {
            "name": "p",
            "triggers": [{"id": "t", "on": "task.created", "lasting": lasting, "actions": ["notify"]}],
        }
        return (await office.query("guardian.backtest", document=document, **asked))["triggers"]

    assert len(await until(lambda: tested("1s"), SECONDS)) == 1
    assert await tested("2h", until="2100-01-01T00:00:00Z") == []


async def test_what_is_heard_too_late_is_recorded_and_nothing_is_done(a_world: World) -> None:
    await migrate(a_world.database_url, [service.name for service in (guardian, *OTHERS)])
    async with a_world.running(*OTHERS):
        office = Office(a_world)
        async with a_world.running(guardian):
            await office.open("T-1")
            await office.load(shipped("emergency", "critical_task_failed", missed_after="1s"))
        await a_critical_task_fails(office, "saw")
        failed = await office.seen("saw")
        assert failed["status"] == "failed"
        await asyncio.sleep(1.1)
        async with a_world.running(guardian):
            [missed] = await office.met()
            assert (missed["missed"], missed["actions"]) == (True, [])
            await office.caused_by(missed, "scheduler", "task.failed")
            assert (await office.query("guardian.list_interventions"))["interventions"] == []


async def test_what_a_policy_did_is_undone_although_the_guardian_was_killed(a_world: World) -> None:
    names = [service.name for service in (guardian, *OTHERS)]
    await migrate(a_world.database_url, names)
    async with a_world.running(*OTHERS):
        office = Office(a_world)
        alone = await process.start(a_world, "tests.guardian.serve", "guardian")
        try:
            await office.open("T-1")
            await office.load(
                shipped("priority_override", "deadline_within_half_an_hour", rollback_after="3s")
            )
            near = datetime.now(UTC) + timedelta(minutes=30)
            await office.task("saw", deadline=near.isoformat())
            [met] = await office.met()
            await office.intervention(met, "in_effect")
        finally:
            await process.kill(alone)
        assert (await office.seen("saw"))["priority"] == "CRITICAL"
        async with a_world.running(guardian):
            await office.intervention(met, "reverted")
            assert (await office.seen("saw"))["priority"] == "MEDIUM"
            assert len(await office.met(1)) == 1
