"""Kill -9 at every step of an intervention and of its revert: in the end both sides say the same, once."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import nats.errors
import pytest

from services.guardian.service import guardian
from services.registry.service import registry
from services.scheduler.service import scheduler
from shared.kernel.declaration import Service
from shared.kernel.schema import migrate
from shared.testing.world import World, until
from tests.discovery.test_crashes import dying
from tests.guardian.fleet import SECONDS, Fleet

NAMED = {service.name: service for service in (guardian, scheduler, registry)}
PRIORITY = ("guardian.override_priority", {"task_id": "saw", "priority": "CRITICAL"})
CAPACITY = ("guardian.reallocate_capacity", {"from_agent": "ann", "to_agent": "bob", "capacity": 1})
REVERT: tuple[str, dict[str, Any]] = ("guardian.revert", {})


def steps(owner: str, asked: str, settled: str, told: str) -> list[tuple[str, str, str]]:
    """From the wish to the word that it has come true."""
    return [
        ("guardian", "commits", asked),
        ("guardian", "committed", asked),
        (owner, "hears", asked),
        (owner, "sent", asked),
        (owner, "commits", settled),
        (owner, "committed", settled),
        ("guardian", "hears", settled),
        ("guardian", "sent", settled),
        ("guardian", "commits", told),
        ("guardian", "committed", told),
    ]


WANTED, UNDONE = "guardian.intervention_requested", "guardian.revert_requested"
APPLYING = steps("scheduler", WANTED, "task.intervention_settled", "guardian.intervened")
REVERTING = steps("scheduler", UNDONE, "task.intervention_settled", "guardian.intervention_reverted")
OF_AGENTS = steps("registry", WANTED, "agent.intervention_settled", "guardian.intervened")[4:6]
QUICK = (APPLYING[1], APPLYING[5], REVERTING[4], REVERTING[7], OF_AGENTS[0])
"""Those that differ most; the others take minutes more."""


class Post:
    """A guardian's command, asked again with its id until somebody answers."""

    def __init__(self, fleet: Fleet, name: str, body: dict[str, Any]) -> None:
        self.fleet = fleet
        self.name, self.body = name, {"intervention_id": "i-1", "reason": "It burns."} | body

    async def answered(self) -> dict[str, Any]:
        """The answer, however often the service goes away before it comes."""
        while True:
            try:
                answer = await self.fleet.world.ask(
                    self.name, self.body, actor="operator", command_id=self.name.replace(".", "-"), seconds=8
                )
            except (nats.errors.NoRespondersError, nats.errors.TimeoutError):
                await asyncio.sleep(0.1)
                continue
            if answer.get("code") != "unavailable":
                return answer

    async def status(self) -> str:
        """How the intervention stands with the guardian."""
        return str((await self.fleet.query("guardian.get_intervention", intervention_id="i-1"))["status"])


@asynccontextmanager
async def all_but(world: World, gone: str) -> AsyncIterator[None]:
    """The services that go on."""
    async with AsyncExitStack() as stack:
        for name, service in NAMED.items():
            if name != gone:
                await stack.enter_async_context(world.runtime(service))
        yield


async def crash(world: World, step: tuple[str, str, str], post: Post) -> None:
    """Let a service be killed at the step while the command is under way, and start it again."""
    service: Service = NAMED[step[0]]
    async with all_but(world, service.name):
        async with dying(world, *step) as process:
            answering = asyncio.create_task(post.answered())
            async with asyncio.timeout(SECONDS):
                await process.wait()
            assert process.returncode == -signal.SIGKILL
        await world.execute(f"UPDATE {service.name}.leases SET expires_at = now()")
        async with world.running(service):
            async with asyncio.timeout(2 * SECONDS):
                answer = await answering
            assert answer["ok"], answer
            await settled(post.fleet, answer["result"]["status"])


async def settled(fleet: Fleet, status: str) -> None:
    """The guardian and the owner say the same."""
    applied = status == "in_effect"
    assert await fleet.query("guardian.get_intervention", intervention_id="i-1")
    if await fleet.world.fetch("SELECT FROM registry.streams WHERE id = 'intervention-i-1'"):
        wanted = {"ann": 2, "bob": 2} if applied else {"ann": 3, "bob": 1}
        assert {name: (await fleet.known(name))["capacity"] for name in wanted} == wanted
    else:
        assert (await fleet.seen("saw"))["priority"] == ("CRITICAL" if applied else "MEDIUM")


async def once(world: World, table: str, *types: str) -> None:
    """Nothing was recorded twice."""
    for event_type in types:
        rows = await world.fetch(f"SELECT FROM {table}.events WHERE type = $1", event_type)
        assert len(rows) == 1, event_type


async def prepared(world: World) -> Fleet:
    """A task and two agents."""
    await migrate(world.database_url, list(NAMED))
    fleet = Fleet(world)
    async with world.running(*NAMED.values()):
        await fleet.ticket()
        await fleet.task("saw")
        await fleet.agent("ann", 3)
        await fleet.agent("bob", 1)
    return fleet


def each(*found: tuple[str, str, str]) -> list[Any]:
    """The steps as cases, of which only some are quick."""
    return [
        pytest.param(step, id=" ".join(step), marks=[] if step in QUICK else [pytest.mark.slow])
        for step in found
    ]


@pytest.mark.parametrize("step", each(*APPLYING))
async def test_a_crash_while_intervening_leaves_nothing_half_done(
    a_world: World, step: tuple[str, str, str]
) -> None:
    fleet = await prepared(a_world)
    await crash(a_world, step, Post(fleet, *PRIORITY))
    await once(a_world, "scheduler", "task.intervention_settled", "task.reprioritised")
    await once(a_world, "guardian", "guardian.intervened")


@pytest.mark.parametrize("step", each(*REVERTING))
async def test_a_crash_while_reverting_leaves_nothing_half_done(
    a_world: World, step: tuple[str, str, str]
) -> None:
    fleet = await prepared(a_world)
    async with a_world.running(*NAMED.values()):
        assert (await Post(fleet, *PRIORITY).answered())["ok"]
    await crash(a_world, step, Post(fleet, *REVERT))
    await once(a_world, "guardian", "guardian.intervened", "guardian.intervention_reverted")
    rows = await a_world.fetch("SELECT FROM scheduler.events WHERE type = 'task.reprioritised'")
    assert len(rows) == 2


@pytest.mark.parametrize("step", each(*OF_AGENTS))
async def test_a_crash_never_lets_one_agent_have_what_the_other_has_not_given(
    a_world: World, step: tuple[str, str, str]
) -> None:
    fleet = await prepared(a_world)
    await crash(a_world, step, Post(fleet, *CAPACITY))
    await once(a_world, "registry", "agent.intervention_settled")
    rows = await a_world.fetch("SELECT FROM registry.events WHERE type = 'agent.updated'")
    assert len(rows) == 2


async def test_an_owner_that_is_away_leaves_the_wish_standing_until_it_is_back(a_world: World) -> None:
    fleet = await prepared(a_world)
    post = Post(fleet, *PRIORITY)
    async with a_world.running(guardian):
        answer = await fleet.do(post.name, key="p-1", **post.body)
        assert answer["code"] == "unavailable"
        assert await post.status() == "requested"
        async with a_world.running(scheduler):

            async def in_effect() -> bool:
                return await post.status() == "in_effect"

            await until(in_effect, seconds=SECONDS)
            assert (await fleet.seen("saw"))["priority"] == "CRITICAL"
