"""Boards over the wire: limits under a crowd, lines that move up, and tickets that come back."""

import asyncio
from collections import Counter

from tests.board.conftest import Workshop
from tests.board.given import changed

CROWD = 64


async def test_of_64_moves_at_once_three_succeed_and_the_rest_wait_in_order(workshop: Workshop) -> None:
    await workshop.load(changed(making=3))
    tickets = [f"t-{number:02}" for number in range(CROWD)]
    await workshop.open(*tickets)
    answers = await asyncio.gather(*(workshop.move(ticket_id, "making") for ticket_id in tickets))
    assert Counter(answer["state"] for answer in answers) == {"moved": 3, "waiting": CROWD - 3}
    places = {answer["ticket_id"]: answer["place"] for answer in answers if answer["state"] == "waiting"}
    assert sorted(places.values()) == list(range(1, CROWD - 2))
    column = await workshop.column("making")
    assert (column["count"], column["reserved"], len(column["waiting"])) == (3, 0, CROWD - 3)
    assert column["waiting"] == sorted(places, key=lambda ticket_id: places[ticket_id])
    assert await workshop.world.fetch("SELECT 1 FROM board.events WHERE type = 'board.wip_exceeded'") == []


async def test_a_freed_slot_pulls_the_card_that_has_waited_longest(workshop: Workshop) -> None:
    await workshop.open("a", "b", "c", "d")
    assert [(await workshop.move(each, "making"))["state"] for each in "abcd"] == [
        "moved",
        "moved",
        "waiting",
        "waiting",
    ]
    await workshop.ask("phase.block", ticket_id="b")
    await workshop.comes_to("c", "making")
    column = await workshop.column("making")
    assert ([each["ticket_id"] for each in column["cards"]], column["waiting"]) == (["a", "c"], ["d"])
    details = await workshop.query("board.get_card", ticket_id="d")
    assert details["place_in_line"] == "waits for a slot in column making (1 of 1; limit 2)"
    ticket = await workshop.query("phase.get_ticket", ticket_id="c")
    assert ticket["phase_id"] == "PLAN"
