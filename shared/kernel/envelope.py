"""A command on its way through the kernel, and the ways it can end."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opentelemetry.trace import Span

from shared.contracts.messages import Command
from shared.kernel.decider import Refused


@dataclass(frozen=True)
class Answered:
    """Decided and committed: the rule accepted it or refused it. Asking again gives the same answer."""

    answer: dict[str, Any]


@dataclass(frozen=True)
class Deferred:
    """Not decided: something it needs is away. The same command may be sent again."""

    reason: str


@dataclass(frozen=True)
class Broke:
    """Not decided: a fault of ours. Kept for a person to look at."""

    error: Exception


@dataclass(frozen=True)
class Dropped:
    """A timer that was moved or cancelled while it fired: nothing to do."""


Outcome = Answered | Deferred | Broke | Dropped


async def _nobody(_: Outcome) -> None:
    """The sender waits for no answer."""


@dataclass(eq=False)
class Envelope:
    """A command with what came along with it."""

    id: str
    name: str
    """Wire name, for example `open_ticket`."""
    command: Command | None
    """None when the door refused it; then `refusal` says why."""
    actor: str
    received_at: datetime
    refusal: Refused | None = None
    durable: bool = False
    correlation: str | None = None
    causation: str | None = None
    """Id of the event that made somebody send it."""
    traceparent: str | None = None
    own: bool = False
    """Whether the service sent it to itself: as a reaction, a timer, an activity or at its start."""
    timer: tuple[str, datetime] | None = None
    """Key and due time, when a timer sent it."""
    span: Span | None = None
    """The trace's record of it, while one is kept."""
    noted: Sequence[dict[str, Any]] = ()
    """What it has brought about while it waited, as answers name events."""
    seen: Mapping[str, int] = field(default_factory=dict)
    """Version of each stream that it had read when it last began to wait."""
    answer: Callable[[Outcome], Awaitable[None]] = field(default=_nobody)

    @property
    def key(self) -> str:
        """What its outcome is stored under.

        A service's own ids can be worked out by whoever hears its events, so nobody else's command may take
        their place: an id from outside has only printable characters.
        """
        return f"\x02{self.id}" if self.own else self.id


def refusal_answer(command_id: str, refused: Refused) -> dict[str, Any]:
    """The answer of a refused command."""
    return {
        "ok": False,
        "command_id": command_id,
        "code": refused.code,
        "message": refused.message,
        "details": refused.details,
    }


def unavailable_answer(command_id: str, reason: str) -> dict[str, Any]:
    """The answer of a command that could not be decided now."""
    message = f"{reason} Nothing was lost: send the command again with the same id."
    return {"ok": False, "command_id": command_id, "code": "unavailable", "message": message, "details": {}}


def broken_answer(command_id: str, error: Exception) -> dict[str, Any]:
    """The answer of a command that ran into a fault of ours."""
    message = (
        "The command ran into a fault of OmoiOS, not of yours; it had no effect. The service's log has more."
    )
    details = {"error": type(error).__name__}
    return {
        "ok": False,
        "command_id": command_id,
        "code": "internal_error",
        "message": message,
        "details": details,
    }


def answer_of(command_id: str, outcome: Outcome) -> dict[str, Any]:
    """What is sent back for any outcome."""
    match outcome:
        case Answered(answer):
            return answer
        case Deferred(reason):
            return unavailable_answer(command_id, reason)
        case Broke(error):
            return broken_answer(command_id, error)
        case Dropped():
            return unavailable_answer(command_id, "The timer was moved.")
