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
        if found["memories"]:
            ids = tuple(memory["memory_id"] for memory in found["memories"])
            note = NoteSuggestion(task_id=claimed.task_id, attempt=claimed.attempt, memory_ids=ids)
            (await client.ask(note, patience=MEMORY_SECONDS)).accepted()
    except ClientError as error:
        log.warning("brief_without_memory", task_id=claimed.task_id, error=str(error))
        return {"memories": [], "patterns": []}
    return {
        "memories": [{name: memory[name] for name in SHOWN} for memory in found["memories"]],
        "patterns": found["patterns"],
    }
