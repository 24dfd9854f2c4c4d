"""Reading what a service has committed: states, histories and its own tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import Executable

from shared.contracts.messages import Event

S = TypeVar("S")


@dataclass(frozen=True)
class Recorded:
    """A stored event with where and when it was stored."""

    position: int
    stream: str
    version: int
    event_id: str
    type: str
    at: datetime
    event: Event
    meta: dict[str, Any]


class Reading(Protocol):
    """Handed to queries and finders; every call sees committed data only."""

    async def state(self, state: type[S], key: str) -> S | None:
        """State of one aggregate; None when nothing has happened to it."""

    async def events(self, state: type[Any], key: str) -> Sequence[Recorded]:
        """History of one aggregate, oldest first."""

    async def rows(self, statement: Executable) -> Sequence[dict[str, Any]]:
        """Rows of a SQLAlchemy Core statement over the service's own tables (`schema=None`)."""

    async def timers(self, keys: Sequence[str]) -> Sequence[dict[str, Any]]:
        """Timers of those keys, as far as they are set: `{key, due_at, set_at, body}`, `body` the command."""
