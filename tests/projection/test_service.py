"""The projection beside a service that it hears, over the wire."""

import asyncio
from typing import Any

from services.phase.service import phase
from services.projection.service import projection
from shared.kernel.rebuild import rebuild
from shared.kernel.schema import migrate
from shared.testing.world import World
from tests.projection.records import NAMES

SHARED = ("ticket_id", "title", "priority", "workflow", "workflow_version", "phase_id", "visit", "gate")


async def result(world: World, query: str, **fields: Any) -> dict[str, Any]:
    """The answer to a query that must be answered."""
    answer = await world.query(query, fields)
    assert answer["ok"], answer
    found: dict[str, Any] = answer["result"]
    return found


async def test_what_phase_decided_is_read_at_once_and_as_phase_tells_it(a_world: World) -> None:
    await migrate(a_world.database_url, ["phase", "projection"])
    async with a_world.running(phase, projection):
        position = 0
        for name, fields in (
            ("open_ticket", {"title": "Fix it"}),
            ("transition", {"to_phase": "PHASE_REQUIREMENTS"}),
            ("block", {"reason": "Later."}),
            ("unblock", {}),
        ):
            answer = await a_world.ask(f"phase.{name}", {"ticket_id": "T1", **fields}, actor="ann")
            assert answer["ok"], answer
            position = answer["events"][-1]["position"]
            read = await result(a_world, "projection.get_ticket", ticket_id="T1", min_position=position)
            told = await result(a_world, "phase.get_ticket", ticket_id="T1")
            assert {name: read[name] for name in SHARED} == {name: told[name] for name in SHARED}
        history = await result(a_world, "projection.phase_history", ticket_id="T1")
        moves = (await result(a_world, "phase.phase_history", ticket_id="T1"))["history"]
        assert [stay["to_phase"] for stay in history["history"]] == [move["to_phase"] for move in moves]
        page = await result(a_world, "projection.journal", ticket_id="T1")
        assert {entry["actor"] for entry in page["events"]} == {"ann"}
        [heard] = (await result(a_world, "projection.projection_status"))["sources"]
        assert (heard["source"], heard["position"]) == ("phase", position)


async def test_a_running_service_goes_on_with_tables_that_were_swapped(a_world: World) -> None:
    await migrate(a_world.database_url, ["phase", "projection"])
    async with a_world.running(phase, projection):

        async def opened(ticket_id: str) -> None:
            answer = await a_world.ask("phase.open_ticket", {"ticket_id": ticket_id, "title": "Fix it"})
            position = answer["events"][-1]["position"]
            read = await result(a_world, "projection.get_ticket", ticket_id=ticket_id, min_position=position)
            assert read["title"] == "Fix it"

        for number in range(3):
            await asyncio.gather(*(opened(f"T{number}-{n}") for n in range(8)))
            for name in NAMES:
                assert (await rebuild(a_world.database_url, projection, name)).identical
        listed = await result(a_world, "projection.list_tickets", limit=200)
        assert len(listed["tickets"]) == 24
        status = await result(a_world, "projection.projection_status")
        assert {model["state"] for model in status["read_models"]} == {"swapped"}
        dead = await a_world.query("projection.dead")
        assert dead["result"]["dead"] == []


async def test_a_query_that_names_nothing_known_is_refused_in_words(a_world: World) -> None:
    await migrate(a_world.database_url, ["projection"])
    async with a_world.running(projection):
        answer = await a_world.query("projection.get_ticket", {"ticket_id": "T9"})
        assert (answer["ok"], answer["code"]) == (False, "ticket_not_found")
        status = await result(a_world, "projection.projection_status")
        assert (status["sequence"], {model["state"] for model in status["read_models"]}) == (0, {"live"})
