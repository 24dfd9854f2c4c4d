"""Boards as people and agents meet them: over the wire, with phase beside them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.board.service import board
from services.phase.service import phase
from shared.contracts.workflow import Workflow
from shared.kernel.schema import migrate
from shared.testing.world import World, until
from tests.board.given import SMALL

SECONDS = 30.0


class Workshop:
    """A board with tickets."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def ask(self, command: str, /, *, actor: str = "operator", **fields: Any) -> dict[str, Any]:
        """The result, or the whole answer where it is refused."""
        answer = await self.world.ask(command, fields, actor=actor, seconds=SECONDS)
        return dict(answer["result"]) if answer["ok"] else answer

    async def query(self, query: str, /, **fields: Any) -> dict[str, Any]:
        answer = await self.world.query(query, fields, seconds=SECONDS)
        return dict(answer["result"]) if answer["ok"] else answer

    async def load(self, workflow: Workflow = SMALL) -> None:
        """Let phase and the board know a workflow, and each other."""
        await self.ask("phase.load_workflow", document=workflow.model_dump(mode="json"))
        await until(lambda: self._agreed(workflow), SECONDS)

    async def _agreed(self, workflow: Workflow) -> bool:
        shown = await self.query("board.view", workflow=workflow.name)
        known = await self.world.fetch("SELECT 1 FROM phase.streams WHERE id = $1", f"board-{workflow.name}")
        return shown.get("version") == workflow.version and bool(known)

    async def open(self, *ticket_ids: str, workflow: str = SMALL.name) -> None:
        for ticket_id in ticket_ids:
            await self.ask("phase.open_ticket", ticket_id=ticket_id, title=ticket_id, workflow=workflow)

    async def move(self, ticket_id: str, column: str, **fields: Any) -> dict[str, Any]:
        return await self.ask("board.move_card", ticket_id=ticket_id, to_column=column, **fields)

    async def column(self, column: str, workflow: str = SMALL.name) -> dict[str, Any]:
        shown = await self.query("board.view", workflow=workflow, cards=500)
        return next(dict(each) for each in shown["columns"] if each["id"] == column)

    async def tickets(self, column: str) -> list[str]:
        """Tickets in a column, in order."""
        return [each["ticket_id"] for each in (await self.column(column))["cards"]]

    async def comes_to(self, ticket_id: str, column: str) -> None:
        """Wait until the card is there."""

        async def is_there() -> bool:
            return ticket_id in await self.tickets(column)

        await until(is_there, SECONDS)


@pytest.fixture
async def workshop(a_world: World) -> AsyncIterator[Workshop]:
    """Board and phase, with their migrations."""
    await migrate(a_world.database_url, ["board", "phase"])
    async with a_world.running(board, phase):
        made = Workshop(a_world)
        await made.load()
        yield made
