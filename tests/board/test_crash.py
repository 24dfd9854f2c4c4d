"""Kill -9 between a reservation and the move, and amid a crowd: slots are neither lost nor doubled."""

import asyncio
from collections import Counter
from random import Random
from typing import Any

import nats.errors
import pytest

from services.board.service import board
from services.phase.service import phase
from shared.kernel.schema import migrate
from shared.testing.world import World, until
from tests.board.conftest import SECONDS, Workshop
from tests.board.given import changed
from tests.kernel import process

SERVE = "tests.board.serve"
CROWD = 24
LIMIT = 3


@pytest.fixture
async def bare(a_world: World) -> Workshop:
    """A world with the tables of board and phase, where nobody serves yet."""
    await migrate(a_world.database_url, ["board", "phase"])
    return Workshop(a_world)


async def counts(world: World) -> Counter[str]:
    """How many events of each type the board has stored."""
    rows = await world.fetch("SELECT type, count(*) AS count FROM board.events GROUP BY type")
    return Counter({row["type"]: row["count"] for row in rows})


async def test_what_was_reserved_when_everything_died_is_moved_afterwards(bare: Workshop) -> None:
    world = bare.world
    async with world.running(board, phase):
        await bare.load()
        await bare.open("a")
        await bare.comes_to("a", "todo")
    alone = await process.start(world, SERVE, "board")
    try:
        asked = {"ticket_id": "a", "to_column": "making", "wait_seconds": 0}
        answer = await world.ask("board.move_card", asked, command_id="w-1", actor="ann")
        assert answer["result"]["state"] == "reserved"
        assert (await bare.column("making"))["reserved"] == 1
    finally:
        await process.kill(alone)
    async with world.running(board, phase):
        await bare.comes_to("a", "making")
        again = await world.ask("board.move_card", asked, command_id="w-1", actor="ann")
        assert again["result"] == answer["result"]
        column = await bare.column("making")
        assert (column["count"], column["reserved"], column["waiting"]) == (1, 0, [])
        history = await bare.query("phase.phase_history", ticket_id="a")
        assert [(move["to_phase"], move["actor"]) for move in history["history"][1:]] == [("PLAN", "ann")]


async def moved_in_the_end(world: World, ticket_id: str) -> dict[str, Any]:
    """The answer to a wish that is asked again with its id until there is one."""
    body = {"ticket_id": ticket_id, "to_column": "making"}
    while True:
        try:
            answer = await world.ask("board.move_card", body, command_id=f"w-{ticket_id}", seconds=7)
        except (nats.errors.Error, TimeoutError):
            await asyncio.sleep(0.1)
            continue
        if answer["ok"]:
            return dict(answer["result"])
        assert answer["code"] == "unavailable", answer
        await asyncio.sleep(0.1)


async def test_a_crowd_that_moves_while_everything_dies_again_and_again_keeps_the_limit(
    bare: Workshop,
) -> None:
    world, random = bare.world, Random(5)
    tickets = [f"t-{number:02}" for number in range(CROWD)]
    async with world.running(board, phase):
        await bare.load(changed(making=LIMIT))
        await bare.open(*tickets)
        await bare.comes_to(tickets[-1], "todo")
    serving = await process.start(world, SERVE, "board", "phase")
    asking = asyncio.gather(*(moved_in_the_end(world, ticket_id) for ticket_id in tickets))
    for _ in range(3):
        await asyncio.sleep(random.uniform(0.02, 0.3))
        await process.kill(serving)
        serving = await process.start(world, SERVE, "board", "phase")
    try:
        async with asyncio.timeout(90):
            answers = await asking

        async def settled() -> bool:
            return bool((await bare.column("making"))["count"] == LIMIT)

        await until(settled, SECONDS)
        column = await bare.column("making")
        assert (column["reserved"], len(column["waiting"])) == (0, CROWD - LIMIT)
        assert Counter(answer["state"] for answer in answers)["waiting"] == CROWD - LIMIT
        stored = await counts(world)
        assert (stored["board.wip_exceeded"], stored["board.slot_taken"]) == (0, LIMIT)
        assert stored["board.slot_reserved"] == LIMIT
        moves = await world.fetch("SELECT 1 FROM phase.events WHERE type = 'phase.transitioned'")
        assert len(moves) == LIMIT
    finally:
        await process.kill(serving)
