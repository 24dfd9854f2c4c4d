"""What the guardian grants and takes back reaches every door, through restarts and losses."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from time import monotonic
from typing import Any

import nats.errors
import pytest

from services.guardian.service import guardian
from services.registry.service import registry
from shared.contracts.messages import Authority
from shared.kernel.ending import end_all
from shared.kernel.schema import migrate
from shared.kernel.settings import Settings
from shared.testing.world import World, empty, until
from tests.kernel import process, till

SECONDS = 30
SOON = 4.0
"""Before a replica reads what it may have missed from the table; it takes some milliseconds."""
SERVE = "tests.guardian.serve"


class Town:
    """A world with the guardian and the registry, whose `release` needs GUARDIAN."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.settings = Settings(check_seconds=0.5)

    async def grant(self, actor: str, level: str = "GUARDIAN", by: str = "operator", **body: Any) -> Any:
        body = {"actor": actor, "level": level, "reason": "on call"} | body
        return await self.world.ask("guardian.grant_authority", body, actor=by, seconds=SECONDS)

    async def revoke(self, actor: str, by: str = "operator") -> Any:
        body = {"actor": actor, "reason": "off call"}
        return await self.world.ask("guardian.revoke_authority", body, actor=by, seconds=SECONDS)

    async def may(self, actor: str) -> bool:
        """Whether the registry lets an actor release an agent; there is none to release."""
        answer = await self.world.ask("registry.release", {"agent_id": "a"}, actor=actor, seconds=SECONDS)
        assert answer["code"] in ("agent_not_found", "not_authorised"), answer
        return bool(answer["code"] == "agent_not_found")

    async def may_not(self, actor: str) -> bool:
        return not await self.may(actor)

    async def is_kept(self, position: int, service: str = "registry") -> bool:
        """Whether a service has heard the guardian so far."""
        rows = await self.world.fetch(
            f"SELECT FROM {service}.checkpoints WHERE consumer = 'grants' AND position >= $1", position
        )
        return bool(rows)


@pytest.fixture
async def town(a_world: World) -> Town:
    await migrate(a_world.database_url, ["guardian", "registry"])
    return Town(a_world)


async def everywhere(says: Callable[[str], Awaitable[bool]]) -> bool:
    """Whether it is said of ann twenty times: one of two replicas would hardly answer them all."""
    return all([await says("ann") for _ in range(20)])


def position_of(answer: Any) -> int:
    """Where what a command did stands in the guardian's log."""
    assert answer["ok"], answer
    position: int = answer["events"][-1]["position"]
    return position


async def test_a_grant_is_obeyed_by_every_replica_soon_and_so_is_its_end(town: Town) -> None:
    async with town.world.running(guardian, registry, registry):
        assert await everywhere(town.may_not)
        for _ in range(3):
            assert (await town.grant("ann"))["ok"]
            await until(lambda: everywhere(town.may), SOON)
            assert (await town.revoke("ann"))["ok"]
            await until(lambda: everywhere(town.may_not), SOON)


async def test_the_end_of_a_grant_is_obeyed_although_nobody_consumes(town: Town) -> None:
    """As when the replica that held the lease has died, until the lease lapses."""
    async with town.world.running(guardian, registry, registry) as [_, *replicas]:
        await town.grant("ann")
        await until(lambda: everywhere(town.may), SECONDS)
        await end_all([task for one in replicas for task in one._tasks if task.get_name() == "grants"])
        answer = await town.revoke("ann")
        await until(lambda: everywhere(town.may_not), SECONDS)
        assert not await town.is_kept(position_of(answer))


async def test_who_was_granted_may_grant_and_no_more_than_they_have(town: Town) -> None:
    async with town.world.running(guardian, registry):
        assert (await town.grant("ann"))["ok"]

        async def granted() -> bool:
            return bool((await town.grant("bob", by="ann"))["ok"])

        await until(granted, SECONDS)
        refused = await town.grant("bob", "SYSTEM", by="ann")
        assert (refused["code"], refused["details"]["held"]) == ("not_authorised", "GUARDIAN")
        assert (await town.grant("ann", by="ann"))["code"] == "grant_to_self"
        grants = (await town.world.query("guardian.list_grants"))["result"]["grants"]
        assert [(one["actor"], one["level"], one["granted_by"]) for one in grants] == [
            ("ann", "GUARDIAN", "operator"),
            ("bob", "GUARDIAN", "ann"),
        ]


async def test_a_grant_ends_when_its_time_is_over(town: Town) -> None:
    async with town.world.running(guardian, registry):
        assert (await town.grant("ann", expires_in_seconds=5))["ok"]
        await until(lambda: town.may("ann"), SECONDS)
        await until(lambda: town.may_not("ann"), SECONDS)

        async def told() -> Any:
            return [m for m in await town.world.events(2, SECONDS, "evt.guardian.>") if b"over" in m.data]

        assert await told()
        assert (await town.world.query("guardian.list_grants"))["result"]["grants"] == []


async def test_a_grant_ends_although_the_guardian_is_away(town: Town) -> None:
    async with town.world.running(registry):
        async with town.world.running(guardian):
            answer = await town.grant("ann", expires_in_seconds=6)
            await until(lambda: town.is_kept(position_of(answer)), SECONDS)
            assert await town.may("ann")
        left = datetime.fromisoformat(answer["result"]["expires_at"]) - datetime.now(UTC)
        await asyncio.sleep(left.total_seconds())
        assert await town.may_not("ann")


async def test_a_service_that_starts_without_the_guardian_and_with_an_empty_broker_knows_what_it_knew(
    town: Town,
) -> None:
    async with town.world.running(guardian, registry):
        await town.grant("ann")
        await town.grant("bob")
        await until(lambda: town.may("bob"), SECONDS)
        answer = await town.revoke("bob")
        await until(lambda: town.is_kept(position_of(answer)), SECONDS)
    await empty(town.world.client)
    async with town.world.running(registry) as [replica]:
        assert (await town.may("ann"), await town.may("bob")) == (True, False)

        async def is_ready() -> bool:
            return not replica.problems()

        await until(is_ready, SECONDS)


async def test_what_was_taken_back_while_a_service_was_down_is_known_before_its_first_command(
    town: Town,
) -> None:
    async with town.world.running(guardian):
        async with town.world.running(registry):
            answer = await town.grant("ann")
            await until(lambda: town.is_kept(position_of(answer)), SECONDS)
        await town.revoke("ann")
        await town.world.execute("UPDATE registry.leases SET holder = 'dead', expires_at = 'infinity'")
        async with town.world.running(registry):
            assert await town.may_not("ann")


async def test_the_guardian_itself_knows_what_it_took_back_before_its_first_command(town: Town) -> None:
    async with town.world.running(guardian):
        await town.grant("ann")
        await town.revoke("ann")
        await town.grant("bob")
    await town.world.execute("UPDATE guardian.leases SET holder = 'dead', expires_at = 'infinity'")
    await town.world.execute(
        "TRUNCATE guardian.grants; DELETE FROM guardian.checkpoints WHERE consumer = 'grants'"
    )
    async with town.world.running(guardian):
        assert (await town.grant("eve", by="ann"))["code"] == "not_authorised"
        assert (await town.grant("eve", by="bob"))["ok"]


async def test_a_grant_is_enforced_by_a_replica_that_was_killed_and_started_again(town: Town) -> None:
    async with town.world.running(guardian):
        serving = await process.start(town.world, SERVE, "registry")
        answer = await town.grant("ann")
        await until(lambda: town.is_kept(position_of(answer)), SECONDS)
        await process.kill(serving)
    serving = await process.start(town.world, SERVE, "registry")
    try:
        assert (await town.may("ann"), await town.may("bob")) == (True, False)
    finally:
        await process.kill(serving)


async def test_after_a_revocation_has_arrived_no_command_of_a_flood_passes(town: Town) -> None:
    """The flood comes on both lanes to two replicas; a second is what a revocation may take."""
    serving = [await process.start(town.world, SERVE, "registry") for _ in range(2)]
    passed: list[float] = []
    ended = asyncio.Event()

    async def press(lane: Any, name: int) -> None:
        for number in count():
            if ended.is_set():
                return
            sent = monotonic()
            key = f"{name}-{number}"
            try:
                answer = await lane(
                    "registry.release", {"agent_id": "a"}, actor="ann", command_id=key, seconds=5
                )
            except (nats.errors.Error, TimeoutError):
                continue
            if answer["code"] == "agent_not_found":
                passed.append(sent)

    async def may() -> bool:
        return bool(passed)

    try:
        async with town.world.running(guardian):
            await town.grant("ann")
            lanes = [town.world.ask] * 12 + [town.world.tell] * 4
            flood = [asyncio.create_task(press(lane, name)) for name, lane in enumerate(lanes)]
            await until(may, SECONDS)
            await asyncio.sleep(0.5)
            revoked = await town.revoke("ann")
            await until(lambda: town.is_kept(position_of(revoked)), SECONDS)
            arrived = monotonic() + 1.0
            await asyncio.sleep(2)
            ended.set()
            await asyncio.gather(*flood)
    finally:
        for one in serving:
            await process.kill(one)
    assert passed
    assert [sent for sent in passed if sent > arrived] == []


class TakeAsMonitor(till.TakeFromRichest):
    """Take a coin, with MONITOR authority."""

    authority = Authority.MONITOR


async def test_a_command_that_waits_is_judged_by_what_holds_when_it_is_decided(town: Town) -> None:
    world, name = town.world, "till.take_as_monitor"
    guarded = replace(till.till, obeys={**till.till.obeys, TakeAsMonitor: till.take_from_richest})
    await world.install(guarded, tables=[till.metadata])
    async with world.running(guardian, guarded):
        await world.ask("till.open_till", {"till_id": "t"})
        await town.grant("ann", "MONITOR")

        async def obeyed() -> bool:
            return bool((await world.ask(name, actor="ann"))["code"] == "too_few_coins")

        await until(obeyed, SECONDS)
        waiting = asyncio.create_task(world.ask(name, {"wait_seconds": 20}, actor="ann", seconds=SECONDS))
        await asyncio.sleep(0.3)
        revoked = await town.revoke("ann")
        await until(lambda: town.is_kept(position_of(revoked), "till"), SECONDS)
        assert (await world.ask("till.pay", {"till_id": "t", "coins": 1}))["ok"]
        assert (await waiting)["code"] == "not_authorised"
