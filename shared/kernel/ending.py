"""Ending what runs in the background."""

import asyncio
from collections.abc import Sequence

CANCEL_AGAIN_SECONDS = 1.0


async def end_all(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Cancel tasks until they have ended.

    Once may not do: `asyncio.wait_for` of Python 3.11 can swallow a cancellation that comes just when what it
    waits for is done (https://github.com/python/cpython/issues/86296).
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)
