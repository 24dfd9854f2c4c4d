"""The board as the projection shows it is the board as its service shows it."""

from typing import Any

from services.board.service import board
from services.phase.service import phase
from services.projection.service import projection
from shared.kernel.schema import migrate
from shared.testing.world import World, until


async def asked(world: World, command: str, **fields: Any) -> dict[str, Any]:
    """The answer to a command of the operator."""
    return await world.ask(command, fields, actor="operator", seconds=30)


async def test_the_board_is_the_one_of_its_service(a_world: World) -> None:
    await migrate(a_world.database_url, ["phase", "board", "projection"])
    async with a_world.running(phase, board, projection):
        for number in range(8):
            opening = await asked(
                a_world, "phase.open_ticket", ticket_id=f"T{number}", title=f"Ticket {number}"
            )
            assert opening["ok"], opening

        async def is_added() -> bool:
            told = await a_world.query("board.view", {"workflow": "software_development"})
            return bool(told["ok"] and sum(column["count"] for column in told["result"]["columns"]) == 8)

        await until(is_added, 30)
        for number in range(7):  # five have room
            wish = {"to_column": "analyzing", "wait_seconds": 1}
            await asked(a_world, "board.move_card", ticket_id=f"T{number}", **wish)
        await asked(a_world, "board.reorder_card", ticket_id="T3", position=1)
        await asked(a_world, "phase.block", ticket_id="T1", reason="Later.")

        async def agree() -> Any:
            head = (await a_world.query("board.position"))["result"]["position"]
            query = {"workflow": "software_development", "min_position": {"board": head}}
            ours = (await a_world.query("projection.board", query))["result"]
            theirs = (await a_world.query("board.view", {"workflow": "software_development"}))["result"]
            return ours if {name: ours[name] for name in theirs} == theirs else None

        ours = await until(agree, 30)
        past = await a_world.query("projection.board", {"as_of": ours["as_of"]["sequence"]})
        assert past["result"] == ours
    columns = {column["id"]: column for column in ours["columns"]}
    assert columns["analyzing"]["count"] == 5
    assert len(columns["analyzing"]["waiting"]) == 1  # one was pulled when the blocked one left
    assert columns["blocked"]["count"] == 1
