"""Keeping a server alive while its owner lives."""

import asyncio
import logging
from typing import Protocol

from shared.stack.child import Child
from shared.stack.errors import StackError
from shared.stack.home import Hold

CHECK_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 10.0

log = logging.getLogger(__name__)


class Server(Protocol):
    """What the supervisor needs to know of a server."""

    name: str
    child: Child | None

    async def prepare(self) -> None:
        """Make what it needs before its first start."""

    async def start(self) -> None:
        """Start it and return when it answers."""

    async def stop(self) -> None:
        """Stop it."""

    def trouble(self) -> str | None:
        """What makes a living server useless; None when all is well."""


async def keep_alive(server: Server, held: Hold) -> None:
    """Restart the server whenever it ends or is of no use any more, as long as its home is ours."""
    while True:
        reason = await _trouble(server)
        if held.is_lost:
            log.error("%s %s: its home was deleted, so it is not restarted", server.name, reason)
            return
        log.warning("%s %s: restarting it", server.name, reason)
        await _restart(server)
        log.warning("%s is back", server.name)


async def _trouble(server: Server) -> str:
    assert server.child
    while not (reason := server.trouble()):
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await server.child.exited.wait()
        except TimeoutError:
            continue
        return "ended unasked"
    return reason


async def _restart(server: Server) -> None:
    pause = 0.5
    while True:
        assert server.child
        # No farewell: a server that has lost its files would write half of them anew.
        await server.child.kill()
        try:
            return await server.start()
        except (StackError, OSError):
            log.exception("%s did not come back; next attempt in %s s", server.name, pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
