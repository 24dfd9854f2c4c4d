"""A scheduler that runs on the real thing, spoken to over the wire."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Executable, Select, text

from services.scheduler.service import scheduler
from services.scheduler.tables import metadata
from shared.kernel.database import open_pool
from shared.kernel.decider import Lookup
from shared.kernel.reads import DIALECT, StoreReading
from shared.kernel.store import Store
from shared.testing.world import World
from tests.scheduler.workshop import WORKFLOW, plain_ticket


class Shop:
    """A running scheduler, spoken to over the wire."""

    def __init__(self, world: World, store: Store) -> None:
        self.world = world
        self.store = store
        self.reading = StoreReading(store)

    async def do(self, name: str, **body: Any) -> dict[str, Any]:
        """Send a command as the operator; it must be taken."""
        answer = await self.world.ask(f"scheduler.{name}", body, actor="operator")
        assert answer["ok"], answer
        result: dict[str, Any] = answer["result"]
        return result

    async def create(self, task_id: str, *depends_on: str, **body: Any) -> str:
        """Make a task by hand."""
        named = {"task_id": task_id, "ticket_id": "T-1", "task_type": "chore", "title": task_id}
        await self.do("create_task", **named, depends_on=depends_on, **body)
        return task_id

    async def claim(self, **body: Any) -> list[dict[str, Any]]:
        """Let bob take what he can."""
        tasks: list[dict[str, Any]] = (await self.do("claim_task", agent_id="bob", **body))["tasks"]
        return tasks

    async def query(self, name: str, **body: Any) -> dict[str, Any]:
        """Ask a question that has an answer."""
        answer = await self.world.query(f"scheduler.{name}", body)
        assert answer["ok"], answer
        result: dict[str, Any] = answer["result"]
        return result

    async def find(self, lookup: Lookup[Any]) -> Any:
        """What a rule would be told."""
        return await scheduler.lookups[type(lookup)](lookup, self.reading)

    async def plan(self, lookup: Lookup[Any], *, analyse: bool = False) -> str:
        """How Postgres goes about a lookup; with what it met on the way, if it is to be analysed."""
        overheard = Overheard(self.store)
        await scheduler.lookups[type(lookup)](lookup, overheard)
        options = "(ANALYZE, COSTS off, TIMING off)" if analyse else ""
        lines = await self.reading.rows(text(f"EXPLAIN {options} {overheard.sql}"))
        return "\n".join(line["QUERY PLAN"] for line in lines)


class Overheard(StoreReading):
    """Remembers what was asked last, with its values written out."""

    sql = ""

    async def rows(self, statement: Executable) -> list[dict[str, Any]]:
        """Rows of a statement."""
        assert isinstance(statement, Select)
        written = statement.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True})
        self.sql = str(written)
        return await super().rows(statement)


@pytest.fixture
async def shop(a_world: World) -> AsyncIterator[Shop]:
    await a_world.install(scheduler, tables=[metadata])
    pool = await open_pool(a_world.database_url, scheduler.name)
    async with pool, a_world.running(scheduler, scheduler):
        opened = Shop(a_world, Store(scheduler, pool))
        document = WORKFLOW.model_dump(mode="json")
        await opened.do("follow_workflow", version=WORKFLOW.version, document=document)
        await opened.do("follow_ticket", **plain_ticket().model_dump(mode="json"))
        yield opened
