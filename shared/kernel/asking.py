"""Asking other services what they have committed."""

from typing import Any, Protocol

from shared.contracts.messages import Query
from shared.kernel.decider import Refused


class QueryRefused(Refused):
    """The other service has no answer; `code` is the one it gave."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message, **details)
        self._code = code

    @property
    def code(self) -> str:
        """The other service's code."""
        return self._code


class Asking(Protocol):
    """Handed to activities and to some answers; it asks only what they have declared."""

    async def query(self, query: Query) -> dict[str, Any]:
        """The result; raises `QueryRefused`, and `Unavailable` while the service is away."""
