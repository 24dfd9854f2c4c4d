"""Services, a ticket and agents at work on it, on the real Postgres and NATS."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from omoi.services import all_services
from shared.client import Client, RefusedByService
from shared.contracts.agent import GetAgent
from shared.contracts.phase import OpenTicket
from shared.contracts.task import CancelTask, CreateTask, GetTask
from shared.kernel.schema import migrate
from shared.testing.world import World

T = TypeVar("T")

SERVICES = ("phase", "scheduler", "registry")
PATIENCE_SECONDS = 30


@dataclass
class Fleet:
    """What agents work for, seen by the operator."""

    client: Client
    folder: Path

    @property
    def url(self) -> str:
        """Where agents connect."""
        return self.client.url

    async def ticket(self, repository: Path | None = None, title: str = "A chair") -> str:
        """Open a ticket, which stays in its first phase."""
        opened = OpenTicket(
            ticket_id=str(uuid4()), title=title, repository=str(repository) if repository else None
        )
        answer = await self.until(lambda: self.client.ask(opened), lambda answer: answer.ok)
        return str(answer.accepted().result["ticket_id"])

    async def task(self, ticket_id: str, task_type: str = "chore", **fields: Any) -> str:
        """Make a task of the ticket."""
        wish = CreateTask(
            task_id=str(uuid4()), ticket_id=ticket_id, task_type=task_type, title=task_type, **fields
        )
        answer = await self.until(lambda: self.client.ask(wish), lambda answer: answer.ok)
        return str(answer.accepted().result["task_id"])

    async def cancel(self, task_id: str, reason: str) -> None:
        """Cancel a task."""
        (await self.client.ask(CancelTask(task_id=task_id, reason=reason))).accepted()

    async def status(self, task_id: str, *wanted: str) -> dict[str, Any]:
        """The task, once it stands as wanted."""
        return await self.until(
            lambda: self.client.query(GetTask(task_id=task_id)), lambda task: task["status"] in wanted
        )

    async def agent(self, agent_id: str, *wanted: str) -> dict[str, Any]:
        """The agent, once it stands as wanted."""
        return await self.until(
            lambda: self.client.query(GetAgent(agent_id=agent_id)), lambda agent: agent["status"] in wanted
        )

    async def until(self, ask: Callable[[], Awaitable[T]], fits: Callable[[T], bool]) -> T:
        """The first answer that fits; what is not there yet is waited for."""
        found: T | RefusedByService | None = None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    found = await _answer(ask)
                    if not isinstance(found, RefusedByService) and fits(found):
                        return found
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"still {found}") from None


async def _answer(ask: Callable[[], Awaitable[T]]) -> T | RefusedByService:
    try:
        return await ask()
    except RefusedByService as refused:
        return refused


@asynccontextmanager
async def fleet(world: World, folder: Path) -> AsyncIterator[Fleet]:
    """Run the services that workers talk to."""
    await migrate(world.database_url, SERVICES)
    services = all_services()
    async with (
        world.running(*(services[name] for name in SERVICES)),
        await Client.connect(world.nats_url, "operator") as client,
    ):
        yield Fleet(client, folder)


@asynccontextmanager
async def at_work(work: Callable[[asyncio.Event], Awaitable[None]]) -> AsyncIterator[None]:
    """Let somebody work until the block ends, and see that it ends well."""
    stop = asyncio.Event()
    working = asyncio.ensure_future(work(stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await working
