"""What an agent is told, asked from the running services."""

from collections.abc import AsyncIterator

import pytest

from omoi.worker.briefing import briefing
from services.context.service import context
from services.phase.service import phase
from services.projection.service import projection
from services.scheduler.service import scheduler
from shared.client import Client
from shared.contracts.context import ContextForPhase
from shared.contracts.phase import OpenTicket, Transition
from shared.contracts.task import ClaimedTask, ClaimTask, CompleteTask
from shared.kernel.schema import migrate
from shared.testing.world import World, until


@pytest.fixture
async def client(a_world: World) -> AsyncIterator[Client]:
    await migrate(a_world.database_url, ["phase", "scheduler", "context"])
    async with await Client.connect(a_world.nats_url, "operator") as made:
        yield made


async def claimed(client: Client) -> ClaimedTask:
    command = ClaimTask(agent_id="coder-1", wait_seconds=20)
    answer = (await client.ask(command, patience=30)).accepted()
    return ClaimedTask.model_validate(answer.result["tasks"][0])


async def opened(client: Client) -> None:
    (await client.ask(OpenTicket(ticket_id="T", title="Sum it up"))).accepted()
    (await client.ask(Transition(ticket_id="T", to_phase="PHASE_REQUIREMENTS"))).accepted()


async def test_an_agent_is_told_what_was_decided_before(a_world: World, client: Client) -> None:
    async with a_world.running(phase, scheduler, context):
        await opened(client)
        first = await claimed(client)
        result = {"summary": "Looked.", "decisions": ["Use SQLite"]}
        done = CompleteTask(task_id=first.task_id, claim_epoch=first.claim_epoch, result=result)
        (await client.ask(done)).accepted()

        async def known() -> bool:
            query = ContextForPhase(ticket_id="T", phase_id="PHASE_REQUIREMENTS")
            return "Use SQLite" in (await client.query(query))["summary"]

        await until(known, 30)
        told = await briefing(client, await claimed(client))
    assert "- Decision: Use SQLite" in told.brief["context"]


async def test_the_projection_tells_what_the_owners_tell(a_world: World, client: Client) -> None:
    await migrate(a_world.database_url, ["projection"])
    async with a_world.running(phase, scheduler, context):
        await opened(client)
        task = await claimed(client)
        by_owners = (await briefing(client, task)).brief
        async with a_world.running(projection):
            told = (await briefing(client, task)).brief
    assert ("as_of" in told, "as_of" in by_owners) == (True, False)
    ticket = by_owners["ticket"]
    assert {name: told["ticket"].get(name) for name in ticket} == ticket
    assert {name: told[name] for name in by_owners if name != "ticket"} == {
        name: part for name, part in by_owners.items() if name != "ticket"
    }


async def test_a_brief_is_written_from_the_claim_when_context_is_away(a_world: World, client: Client) -> None:
    async with a_world.running(phase, scheduler):
        await opened(client)
        task = await claimed(client)
        told = await briefing(client, task.model_copy(update={"context": "Known at the claim."}))
    assert told.brief["context"] == "Known at the claim."
    assert told.brief["ticket"]["title"] == "Sum it up"
