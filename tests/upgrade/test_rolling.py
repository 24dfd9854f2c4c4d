"""Two releases side by side on one schema, under load, forth and back: nobody breaks, nothing is lost."""

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, Literal

import nats.errors
import pytest

from shared.testing.world import World, until
from tests.kernel import process
from tests.kernel.lanes import last_dead
from tests.upgrade.old import porter, purse

Release = Literal["old", "new"]
PURSES = [f"p{number}" for number in range(10)]
AT_ONCE = 8
PAUSE_SECONDS = 0.05
SOME = 200
"""Answers of a stage before the next one begins."""
CATCH_UP_SECONDS = 150
"""A command that was put off again and again comes back after a minute."""


class Fleet:
    """Two replicas of each service, each of either release."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.running: dict[str, list[Process]] = {"purse": [], "porter": []}

    async def start(self, release: Release, *, replicas: int) -> None:
        """Start more replicas of both services."""
        for name, processes in self.running.items():
            for _ in range(replicas):
                processes.append(await process.start(self._world, "tests.upgrade.serve", release, name))

    async def replace(self, release: Release) -> None:
        """Stop the oldest replica of each service, and start one of the release."""
        for name, processes in self.running.items():
            oldest = processes.pop(0)
            assert oldest.returncode is None, f"a replica of {name} broke"
            assert await process.stop(oldest) == 0
            processes.append(await process.start(self._world, "tests.upgrade.serve", release, name))

    async def end(self) -> None:
        """End all that runs."""
        for one in (one for processes in self.running.values() for one in processes):
            if one.returncode is None:
                await process.kill(one)


@asynccontextmanager
async def fleet(world: World) -> AsyncIterator[Fleet]:
    """Replicas that are gone afterwards."""
    made = Fleet(world)
    try:
        yield made
    finally:
        await made.end()


class Filling:
    """Clients that fill purses, and repeat under the same id what was not answered for good."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = count()
        self._ending = False
        self.answers: dict[str, dict[str, Any]] = {}
        self.put_off = 0

    async def run(self) -> None:
        """Fill until told to end; what was begun is finished."""
        await asyncio.gather(*(self._fill() for _ in range(AT_ONCE)))

    def end(self) -> None:
        """Begin nothing more."""
        self._ending = True

    async def some(self) -> None:
        """Wait for more answers."""
        enough = len(self.answers) + SOME

        async def are_there() -> bool:
            return len(self.answers) >= enough

        await until(are_there, 90, 0.1)

    async def _fill(self) -> None:
        while not self._ending:
            number = next(self._numbers)
            body = {"purse_id": PURSES[number % len(PURSES)], "coins": 1 + number % 7}
            await self._insist(f"fill-{number}", body)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _insist(self, command_id: str, body: dict[str, Any]) -> None:
        while True:
            with suppress(nats.errors.Error):
                answer = await self._world.ask("purse.fill", body, command_id=command_id, seconds=2)
                if answer.get("code") != "unavailable":
                    self.answers[command_id] = answer
                    return
                self.put_off += 1
            await asyncio.sleep(PAUSE_SECONDS)


async def expand(world: World) -> None:
    """What the migrations of the next release do before its first replica starts: they only add."""
    await world.execute(
        "ALTER TABLE purse.purse_index ADD COLUMN stitches integer;"
        "ALTER TABLE purse.events ADD COLUMN note text; ALTER TABLE purse.streams ADD COLUMN note text;"
        "ALTER TABLE porter.events ADD COLUMN note text"
    )


async def done(world: World, wish: str, fact: str) -> bool:
    """Whether for each event that asks for it something was done, once."""
    [row] = await world.fetch(
        "SELECT (SELECT array_agg((key, data->>'coins') ORDER BY key, data->>'coins') FROM purse.events"
        f"        WHERE type = '{wish}')"
        " IS NOT DISTINCT FROM"
        "       (SELECT array_agg((key, data->>'coins') ORDER BY key, data->>'coins') FROM porter.events"
        f"        WHERE type = '{fact}') AS same"
    )
    return bool(row["same"])


async def check(world: World, answers: dict[str, dict[str, Any]]) -> None:
    """Each answer is in the log once, and all that followed from it was done once."""
    assert {answer["ok"] for answer in answers.values()} == {True}
    rows = await world.fetch(
        "SELECT meta->>'command_id' AS id, count(*) AS n FROM purse.events"
        " WHERE type = 'purse.filled' GROUP BY 1"
    )
    assert {row["id"]: row["n"] for row in rows} == dict.fromkeys(answers, 1)
    await until(lambda: done(world, "purse.filled", "porter.carried"), CATCH_UP_SECONDS, 0.5)
    await until(lambda: done(world, "purse.stitched", "porter.mended"), CATCH_UP_SECONDS, 0.5)
    assert await last_dead(world) is None
    refused = await world.fetch("SELECT FROM porter.events WHERE type = 'command.refused'")
    assert not refused


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_releases_take_turns_under_load(a_world: World) -> None:
    await a_world.install(purse.purse, tables=[purse.metadata])
    await a_world.install(porter.porter)
    async with fleet(a_world) as replicas:
        await replicas.start("old", replicas=2)
        for purse_id in (*PURSES, "untouched"):
            await opened(a_world, purse_id)
        filling = Filling(a_world)
        load = asyncio.create_task(filling.run())
        await filling.some()
        await expand(a_world)
        await replicas.replace("new")
        await filling.some()
        await replicas.replace("new")
        await opened(a_world, "late")
        filling.answers["late"] = await filled(a_world, "late")
        await replicas.replace("old")
        await filling.some()

        await replicas.replace("old")  # nobody is left who knows what the next release wrote
        filling.answers["untouched"] = await filled(a_world, "untouched")
        for purse_id in ("p0", "late"):
            answer = await filled(a_world, purse_id, command_id=f"refused-{purse_id}")
            assert (answer["code"], "newer version" in answer["message"]) == ("unavailable", True)

        await replicas.replace("new")
        await replicas.replace("new")
        await filling.some()
        filling.end()
        await load
        await check(a_world, filling.answers)
        [row] = await a_world.fetch("SELECT count(*) AS n FROM porter.events WHERE type = 'porter.mended'")
    assert row["n"] > 0, "the next release did what it alone does"
    assert filling.put_off > 0, "the old release met what it did not know"
    sys.stdout.write(f"{len(filling.answers)} commands, {filling.put_off} answers `unavailable`\n")


async def opened(world: World, purse_id: str) -> None:
    """Open a purse."""
    answer = await world.ask("purse.open_purse", {"purse_id": purse_id}, command_id=f"open-{purse_id}")
    assert answer["ok"], answer


async def filled(world: World, purse_id: str, command_id: str | None = None) -> dict[str, Any]:
    """The answer to filling a purse, under its own name where none is given."""
    body = {"purse_id": purse_id, "coins": 1}
    return await world.ask("purse.fill", body, command_id=command_id or purse_id)
