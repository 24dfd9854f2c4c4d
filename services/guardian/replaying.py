"""Going through the guardian's log again as if a policy had been watched: in shadow, with the same rules."""

from collections.abc import Iterator
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar, cast

from services.guardian.looking import look_at, look_when
from services.guardian.policy import BOOK, BOOK_OF_POLICIES, Book, Loaded
from services.guardian.seen import FLEET_OF_AGENTS, TASK, TICKET, Task
from services.guardian.triggering import Look, judged
from services.guardian.watch import WATCH, Hold, Watch
from shared.contracts.guardian import (
    GuardianAgentFollowed,
    GuardianConditionBegan,
    GuardianMomentReached,
    GuardianPolicyLoaded,
    GuardianPolicyMissed,
    GuardianPolicyRemoved,
    GuardianPolicyTriggered,
    GuardianTaskFollowed,
    GuardianTicketFollowed,
    GuardianWaitingFollowed,
)
from shared.contracts.messages import Event
from shared.contracts.policy import Policy
from shared.kernel.decider import Aggregate, Lookup, Past

S = TypeVar("S")
T = TypeVar("T")
Met = GuardianPolicyTriggered | GuardianPolicyMissed

READ: tuple[type[Event], ...] = (
    GuardianTaskFollowed,
    GuardianAgentFollowed,
    GuardianWaitingFollowed,
    GuardianTicketFollowed,
    GuardianMomentReached,
    GuardianPolicyLoaded,
    GuardianPolicyRemoved,
)
"""The events that are gone through; what policies made of them is worked out again."""

_AGGREGATES: tuple[Aggregate[Any], ...] = (TASK, TICKET, FLEET_OF_AGENTS, WATCH, BOOK_OF_POLICIES)
_BY_EVENT = {event: aggregate for aggregate in _AGGREGATES for event in aggregate.events}
_BEFORE = datetime(1970, 1, 1, tzinfo=UTC)
_ENDED = ("completed", "failed", "cancelled")


class Recalled(Past):
    """The past as it was at a place in the log."""

    def __init__(self) -> None:
        self.states: dict[tuple[type[Any], str], Any] = {}

    def of(self, state: type[S], key: str) -> S:
        """State of one aggregate."""
        return cast(S, self.states.get((state, key)) or state())

    def find(self, lookup: Lookup[T]) -> T:
        """Policies ask no index: its answers could not be told of the past."""
        raise LookupError(f"{type(lookup).__name__} cannot be asked of the past")

    def add(self, event: Event) -> None:
        """Let an event have happened."""
        aggregate = _BY_EVENT[type(event)]
        key = getattr(event, aggregate.key)
        self.states[aggregate.state, key] = aggregate.evolve(self.of(aggregate.state, key), event)

    def forget(self) -> None:
        """Drop what decides on nothing any more: ended tasks, and watches where nothing is waited for."""
        for (state, key), held in list(self.states.items()):
            if state is Watch and not any(_matters(hold) for hold in held.holds.values()):
                del self.states[state, key]
        for (state, key), held in list(self.states.items()):
            if state is Task and held.seen.status in _ENDED and (Watch, f"task-{key}") not in self.states:
                del self.states[state, key]


def _matters(hold: Hold) -> bool:
    """Whether anything is waited for, or was met: news of a time within the cooldown may still come."""
    return hold.since is not None or bool(hold.times) or hold.cooled_at is not None


class Replay:
    """One policy, gone through the log in its order.

    As long as the same policy was loaded at that place of the log, the times that it waited for are those
    that the log has. Else they are made up, as a guardian that watched it would have reached them.
    """

    def __init__(self, policy: Policy) -> None:
        tried = policy.model_copy(update={"shadow": True, "enabled": True})
        self._policy = policy
        self._past = Recalled()
        loaded = Loaded(tried, policy.version, 1, "", _BEFORE)
        self._past.states[Book, BOOK] = Book({policy.name: loaded}, 1)
        self._was_loaded = False
        self._waited_for: list[tuple[datetime, int, GuardianConditionBegan]] = []
        self._begun = count()

    def take(self, event: Event, *, judging: bool) -> list[Met]:
        """The next event of the log; what the policy makes of it, where that is asked for."""
        match event:
            case GuardianPolicyLoaded(name=self._policy.name):
                self._was_loaded = event.version == self._policy.version and event.document.enabled
            case GuardianPolicyRemoved(name=self._policy.name):
                self._was_loaded = False
            case GuardianMomentReached() if judging:
                return [*self.until(event.heard_at), *self._judged(look_when(event, self._past))]
            case (
                GuardianTaskFollowed()
                | GuardianAgentFollowed()
                | GuardianWaitingFollowed()
                | GuardianTicketFollowed()
            ):
                met: list[Met] = []
                if judging:
                    met += self.until(event.heard_at)
                    met += self._judged(look_at(event, self._past))
                self._past.add(event)
                return met
            case _:
                pass
        return []

    def until(self, now: datetime) -> Iterator[Met]:
        """What is met by the times that are waited for, up to one, where the log has none of them."""
        while self._waited_for and self._waited_for[0][0] <= now:
            due, _, began = heappop(self._waited_for)
            if not self._was_loaded and self._past.of(Watch, began.watch_id).due_by(due):
                reached = GuardianMomentReached(
                    watch_id=began.watch_id,
                    subject=began.subject,
                    subject_id=began.subject_id,
                    at=due,
                    heard_at=due,
                )
                yield from self._judged(look_when(reached, self._past))

    def forget(self) -> None:
        """Drop what decides on nothing any more."""
        self._past.forget()

    def _judged(self, look: Look) -> list[Met]:
        met: list[Met] = []
        for made in judged(look, self._past):
            self._past.add(made)
            if isinstance(made, GuardianConditionBegan):
                heappush(self._waited_for, (made.due, next(self._begun), made))
            elif isinstance(made, GuardianPolicyTriggered | GuardianPolicyMissed):
                met.append(made)
        return met
