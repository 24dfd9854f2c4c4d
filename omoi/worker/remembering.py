"""What a task is told of earlier work, noted so that its outcome tells whether that helped."""

from typing import Any

import structlog

from shared.client import Client, ClientError
from shared.contracts.memory import NoteSuggestion, SuggestContext
from shared.contracts.task import ClaimedTask

log = structlog.get_logger()

MEMORIES = 5
MEMORY_SECONDS = 3.0
"""How long memory is waited for: a task is better begun without it than not at all."""
TEXT_CHARACTERS = 4000
NOTHING: dict[str, Any] = {"memories": [], "patterns": []}
SHOWN = ("memory_id", "memory_type", "summary", "success", "error_patterns", "score", "similarity")


async def remembered(client: Client, claimed: ClaimedTask) -> dict[str, Any]:
    """`{memories: [...], patterns: [...]}`; nothing while memory is away.

    What cannot be noted is not told either: a memory that nobody knows to have been used would never be
    found out.
    """
    query = SuggestContext(
        task_id=claimed.task_id,
        text=f"{claimed.title}\n{claimed.description}"[:TEXT_CHARACTERS],
        task_type=claimed.task_type,
        limit=MEMORIES,
    )
    try:
        found = await client.query(query, patience=MEMORY_SECONDS)
    except ClientError as error:
        log.warning("brief_without_memory", task_id=claimed.task_id, error=str(error))
        return NOTHING
    told = [{name: memory[name] for name in SHOWN} for memory in found["memories"]]
    return await noted(client, claimed, {"memories": told, "patterns": found["patterns"]})


async def noted(client: Client, claimed: ClaimedTask, memory: dict[str, Any]) -> dict[str, Any]:
    """What the task may be told, once it is noted that it is."""
    ids = tuple(one["memory_id"] for one in memory.get("memories", ()))
    if not ids:
        return memory
    note = NoteSuggestion(task_id=claimed.task_id, attempt=claimed.attempt, memory_ids=ids)
    try:
        (await client.ask(note, patience=MEMORY_SECONDS)).accepted()
    except ClientError as error:
        log.warning("brief_without_memory", task_id=claimed.task_id, error=str(error))
        return NOTHING
    return memory
