"""What the broker does not let a client publish: it says so later, and who waits for an answer is told."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

VIOLATION = re.compile(r'permissions violation for publish to "([^"]+)"', re.IGNORECASE)


class NotPermitted(Exception):
    """The broker refused the message that was waited for."""


class Permitted:
    """The waits of one connection, by the subject that was published."""

    def __init__(self) -> None:
        self.shut_out = False
        """Whether the broker did not take the credentials."""
        self._waiting: dict[str, set[asyncio.Timeout]] = {}

    @asynccontextmanager
    async def to(self, subject: str) -> AsyncIterator[None]:
        """End the wait inside with `NotPermitted` as soon as the broker forbids to publish there."""
        name = subject.lower()  # nats-py tells everything in small letters
        waiting = self._waiting.setdefault(name, set())
        scope = asyncio.timeout(None)
        waiting.add(scope)
        try:
            async with scope:
                yield
        except TimeoutError as ended:
            if scope.expired():
                raise NotPermitted(subject) from ended
            raise
        finally:
            waiting.discard(scope)
            if not waiting:
                self._waiting.pop(name, None)

    async def note(self, error: Exception) -> None:
        """Look whether an error of the connection forbids something; the rest is the library's business."""
        self.shut_out = "authorization violation" in str(error).lower()
        if found := VIOLATION.search(str(error)):
            for scope in self._waiting.get(found[1].lower(), ()):
                scope.reschedule(asyncio.get_running_loop().time())
