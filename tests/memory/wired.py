"""Talking to the memory service over the wire, and looking beneath it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from services.memory.service import declared, memory
from shared.contracts.messages import Command
from shared.kernel.database import open_pool
from shared.kernel.declaration import Service
from shared.kernel.settings import Settings
from shared.kernel.store import Store
from shared.testing.model import ModelServer
from shared.testing.world import World, until

SECONDS = 30


async def stored(world: World, summary: str, **fields: Any) -> str:
    """Remember something; returns its id."""
    answer = await world.ask("memory.store", {"summary": summary} | fields, actor="ann")
    assert answer["ok"], answer
    return str(answer["result"]["memory_id"])


async def tell(world: World, *commands: Command) -> None:
    """Give commands as memory gives them to itself."""
    for command in commands:
        body = command.model_dump(mode="json")
        answer = await world.ask(f"memory.{command.wire_name()}", body, actor="operator")
        assert answer["ok"], answer


async def query(world: World, name: str, /, **fields: Any) -> Any:
    """The result, or the refusal."""
    answer = await world.query(f"memory.{name}", fields)
    return answer["result"] if answer["ok"] else answer


async def found(world: World, text: str, **fields: Any) -> list[str]:
    """Ids of what a search finds, the best first."""
    matches = await query(world, "search", text=text, **fields)
    return [match["memory_id"] for match in matches["memories"]]


async def embedded(world: World, count: int) -> None:
    """Until so many vectors are kept."""

    async def done() -> bool:
        [row] = await world.fetch("SELECT count(*) FROM memory.embeddings")
        return bool(row["count"] == count)

    await until(done, SECONDS)


def using(server: ModelServer, model: str | None = None) -> Service:
    """The service with vectors from an API."""
    settings = Settings(embedding_provider="openai", embedding_url=server.url, embedding_model=model)
    return declared(lambda: settings)


@asynccontextmanager
async def a_store(world: World) -> AsyncIterator[Store]:
    """The service's store beside the service."""
    async with await open_pool(world.database_url, "memory") as pool:
        yield Store(memory, pool)
