"""Boards over the wire: limits under a crowd, lines that move up, and tickets that come back."""

import asyncio
from collections import Counter

import pytest

from services.board.service import board
from services.phase.service import phase
from shared.contracts.workflow import TaskTemplate
from shared.kernel.schema import migrate
from shared.testing.world import World, until
from tests.board.conftest import SECONDS, Workshop
from tests.board.given import SMALL, changed

CROWD = 64


@pytest.mark.parametrize("replicas", [1, 2])
async def test_of_64_moves_at_once_three_succeed_and_the_rest_wait_in_order(
    a_world: World, replicas: int
) -> None:
    await migrate(a_world.database_url, ["board", "phase"])
    async with a_world.running(*[board] * replicas, phase):
        await a_crowd_moves(Workshop(a_world))


async def a_crowd_moves(workshop: Workshop) -> None:
    """All at once into a column that has three free slots."""
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


async def test_the_answer_to_a_move_names_what_came_of_it(workshop: Workshop) -> None:
    await workshop.open("a")
    body = {"ticket_id": "a", "to_column": "making"}
    answer = await workshop.world.ask("board.move_card", body, actor="ann", command_id="m-1", seconds=SECONDS)
    assert answer["result"]["state"] == "moved"
    named = [event["type"] for event in answer["events"]]
    assert named[0] == "board.slot_reserved"
    assert {"board.card_moved", "board.slot_taken"} <= set(named)
    rows = await workshop.world.fetch("SELECT type, stream, version, position FROM board.events")
    known = {row["position"]: dict(row) for row in rows}
    assert answer["events"] == [known[event["position"]] for event in answer["events"]]
    again = await workshop.world.ask("board.move_card", body, actor="ann", command_id="m-1", seconds=SECONDS)
    assert again == answer


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


async def test_a_gate_that_passes_lets_a_card_wait_for_a_slot_and_then_go_on_by_itself(
    workshop: Workshop,
) -> None:
    gated = [
        phase.model_copy(update={"tasks": (TaskTemplate(id="build"),), "auto_advance": True})
        if phase.id == "BUILD"
        else phase
        for phase in SMALL.phases
    ]
    await workshop.load(SMALL.model_copy(update={"phases": tuple(gated)}))
    await workshop.open("a", "b")
    for ticket_id in "ab":
        for phase_id in ("PLAN", "BUILD"):
            await workshop.ask("phase.transition", ticket_id=ticket_id, to_phase=phase_id)
        await workshop.ask("phase.settle_gate", ticket_id=ticket_id, phase_id="BUILD", visit=1, passed=True)

    async def one_waits() -> list[str]:
        return list((await workshop.column("checking"))["waiting"])

    assert await until(one_waits, SECONDS) == ["b"]
    await workshop.comes_to("a", "checking")
    await workshop.ask("phase.override_transition", ticket_id="a", to_phase="DONE", reason="Good enough.")
    await workshop.comes_to("b", "checking")
    history = (await workshop.query("phase.phase_history", ticket_id="b"))["history"]
    assert (history[-1]["to_phase"], history[-1]["reason"]) == ("CHECK", "The gate of BUILD passed.")


async def test_a_gate_that_passes_while_a_card_waits_elsewhere_is_heard_when_it_leaves_that_line(
    workshop: Workshop,
) -> None:
    built = {
        "tasks": (TaskTemplate(id="build"),),
        "auto_advance": True,
        "allowed_transitions": ("CHECK", "TODO", "PLAN", "HOLD"),
    }
    phases = [
        phase.model_copy(update=built) if phase.id == "BUILD" else phase for phase in changed(todo=1).phases
    ]
    await workshop.load(changed(todo=1).model_copy(update={"phases": tuple(phases)}))
    await workshop.open("a")
    for phase_id in ("PLAN", "BUILD"):
        await workshop.ask("phase.transition", ticket_id="a", to_phase=phase_id)
    await workshop.comes_to("a", "making")
    await workshop.open("b")
    await workshop.comes_to("b", "todo")

    async def stands_in_line() -> bool:
        return (await workshop.move("a", "todo")).get("state") == "waiting"

    assert await until(stands_in_line, SECONDS)
    await workshop.ask("phase.settle_gate", ticket_id="a", phase_id="BUILD", visit=1, passed=True)

    async def is_kept_in_mind() -> list[object]:
        return list(
            await workshop.world.fetch("SELECT 1 FROM board.events WHERE type = 'board.pull_postponed'")
        )

    assert await until(is_kept_in_mind, SECONDS)
    assert (await workshop.ask("board.withdraw_card", ticket_id="a"))["column"] == "todo"
    await workshop.comes_to("a", "checking")


async def test_a_card_that_phase_refuses_returns_with_the_reason_and_frees_its_slot(
    workshop: Workshop,
) -> None:
    gated = [
        phase.model_copy(update={"tasks": (TaskTemplate(id="plan"),)}) if phase.id == "BUILD" else phase
        for phase in SMALL.phases
    ]
    await workshop.load(SMALL.model_copy(update={"phases": tuple(gated)}))
    await workshop.open("a")
    for phase_id in ("PLAN", "BUILD"):
        assert (await workshop.move("a", "making", to_phase=phase_id))["state"] == "moved"
    answer = await workshop.move("a", "checking")
    assert (answer["state"], answer["code"], answer["column"]) == ("returned", "gate_not_passed", "making")
    assert "The gate of BUILD has not passed yet" in answer["reason"]
    assert (await workshop.column("checking"))["reserved"] == 0
    card = (await workshop.query("board.get_card", ticket_id="a"))["card"]
    assert (card["column"], card["returned"]) == ("making", answer["reason"])
    [told] = await workshop.world.events(1, subject="evt.board.card_returned.a")
    assert told.headers["ce-type"] == "board.card_returned"


async def test_force_and_moves_past_the_board_are_shown_as_violations(workshop: Workshop) -> None:
    await workshop.open("a", "b", "c", "d")
    for ticket_id in "ab":
        await workshop.move(ticket_id, "making")
    assert (await workshop.move("c", "making", actor="ann", force=True))["code"] == "not_authorised"
    assert (await workshop.move("c", "making", force=True))["state"] == "moved"
    await workshop.ask("phase.transition", ticket_id="d", to_phase="PLAN")
    await workshop.comes_to("d", "making")
    over = {"workflow": "small", "column": "making", "limit": 2, "count": 4, "over": 2}
    assert (await workshop.query("board.wip_violations"))["violations"] == [over]
    told = await workshop.world.fetch(
        "SELECT data->>'ticket_id' AS ticket, (data->>'forced')::boolean AS forced FROM board.events"
        " WHERE type = 'board.wip_exceeded' ORDER BY position"
    )
    assert [(row["ticket"], row["forced"]) for row in told] == [("c", True), ("d", False)]


async def test_cards_are_put_in_order_and_shown_in_it(workshop: Workshop) -> None:
    await workshop.open("a", "b", "c", "d")
    await workshop.comes_to("d", "todo")
    assert await workshop.tickets("todo") == ["a", "b", "c", "d"]
    place = await workshop.ask("board.reorder_card", ticket_id="d", before="b")
    assert place == {"ticket_id": "d", "column": "todo", "position": 2}
    await workshop.ask("board.reorder_card", ticket_id="a", after="c")
    assert await workshop.tickets("todo") == ["d", "b", "c", "a"]
    assert (await workshop.ask("board.reorder_card", ticket_id="a", position=2))["position"] == 2
    await workshop.ask("board.reorder_card", ticket_id="c", position=100)
    await workshop.open("e")
    await workshop.comes_to("e", "todo")
    assert await workshop.tickets("todo") == ["d", "a", "b", "c", "e"]


async def test_at_once_put_cards_keep_an_order(workshop: Workshop) -> None:
    tickets = [f"t-{number}" for number in range(9)]
    await workshop.open(*tickets)
    await workshop.comes_to(tickets[-1], "todo")
    wishes = [workshop.ask("board.reorder_card", ticket_id=each, before="t-0") for each in tickets[1:]]
    assert all("position" in answer for answer in await asyncio.gather(*wishes))
    order = await workshop.tickets("todo")
    assert sorted(order) == tickets
    assert order[-1] == "t-0"
    await workshop.ask("board.reorder_card", ticket_id="t-0", before=order[4])
    assert await workshop.tickets("todo") == [*order[:4], "t-0", *order[4:-1]]


async def test_a_column_that_gets_a_limit_counts_the_cards_that_are_there(workshop: Workshop) -> None:
    open_board = changed(making=None)
    await workshop.load(open_board)
    await workshop.open("a", "b", "c")
    for ticket_id in "abc":
        await workshop.move(ticket_id, "making")
    await workshop.load(SMALL)

    async def violations() -> list[dict[str, object]]:
        return list((await workshop.query("board.wip_violations"))["violations"])

    [over] = await until(violations, SECONDS)
    assert (over["column"], over["limit"], over["count"]) == ("making", 2, 3)
    for phase_id, column in (("PLAN", "making"), ("TODO", "todo"), ("ODD", None)):
        shown = await workshop.query("board.column_for_phase", phase_id=phase_id, workflow="small")
        assert shown["column"] == column


async def test_a_done_column_shows_the_newest_first(workshop: Workshop) -> None:
    await workshop.open("a", "b", "c")
    for ticket_id in "bca":
        await workshop.ask("phase.override_transition", ticket_id=ticket_id, to_phase="DONE", reason="x")
        await workshop.comes_to(ticket_id, "done")
    assert await workshop.tickets("done") == ["a", "c", "b"]
    shown = await workshop.query("board.view", workflow="small", cards=2)
    done = next(column for column in shown["columns"] if column["id"] == "done")
    assert (done["count"], [card["ticket_id"] for card in done["cards"]]) == (3, ["a", "c"])
