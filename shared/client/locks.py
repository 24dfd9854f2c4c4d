"""Acquiring locks with a few retries, so that short holds of others do not fail a task."""

import asyncio
import random
from typing import Protocol

from shared.client.client import PATIENCE_SECONDS, Answer
from shared.contracts.lock import AcquireLock, AcquireLocks
from shared.contracts.messages import Command

MAX_RETRIES = 5
BASE_BACKOFF_SECONDS = 0.05
HELD = "lock_held"


class Asking(Protocol):
    """A client, as far as it is needed here."""

    async def ask(self, command: Command, *, patience: float) -> Answer:
        """Have a command decided."""


async def acquire(
    client: Asking,
    command: AcquireLock | AcquireLocks,
    *,
    max_retries: int = MAX_RETRIES,
    base_backoff_seconds: float = BASE_BACKOFF_SECONDS,
) -> Answer:
    """Ask for locks until they are granted, at most `max_retries` times more while others hold them.

    The pauses double from `base_backoff_seconds`, each times 0.75 to 1.25. Each try is one attempt:
    `wait_seconds` of the command is how long it stands in line.
    """
    patience = PATIENCE_SECONDS + command.wait_seconds
    answer = await client.ask(command, patience=patience)
    for retry in range(max_retries):
        if answer.code != HELD:
            break
        await asyncio.sleep(base_backoff_seconds * 2**retry * random.uniform(0.75, 1.25))  # noqa: S311
        answer = await client.ask(command, patience=patience)
    return answer
