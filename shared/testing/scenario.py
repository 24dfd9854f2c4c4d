"""Given events, when a command comes, then these facts or that refusal."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import TypeAdapter

from shared.contracts.messages import Authority, Command, Event
from shared.kernel.decider import Aggregate, Context, Fact, Lookup, Past, Refused, Rule

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
S = TypeVar("S")
T = TypeVar("T")


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(state: type[Any]) -> TypeAdapter[Any]:
    """Made once for each kind of state: making one takes longer than any rule."""
    if state not in _ADAPTERS:
        _ADAPTERS[state] = TypeAdapter(state)
    return _ADAPTERS[state]


class History(Past):
    """A past made of given events."""

    def __init__(
        self,
        aggregates: Sequence[Aggregate[Any]],
        events: Sequence[Event],
        found: Mapping[type[Lookup[Any]], Callable[[Any], Any]],
    ) -> None:
        self._states: dict[str, Any] = {}
        self._by_state = {aggregate.state: aggregate for aggregate in aggregates}
        self._by_event = {event: aggregate for aggregate in aggregates for event in aggregate.events}
        self._found = found
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """Let `event` have happened; the state is sent through JSON as the store does."""
        aggregate = self._by_event[type(event)]
        stream = aggregate.stream(getattr(event, aggregate.key))
        state = aggregate.evolve(self._states.get(stream, aggregate.state()), event)
        adapter = _adapter(aggregate.state)
        assert adapter.validate_json(adapter.dump_json(state)) == state, "the state does not survive JSON"
        self._states[stream] = state

    def of(self, state: type[S], key: str) -> S:
        """State folded from the given events."""
        aggregate = self._by_state[state]
        found: S = self._states.get(aggregate.stream(key), aggregate.state())
        return found

    def find(self, lookup: Lookup[T]) -> T:
        """What the test says the index holds."""
        answer: T = self._found[type(lookup)](lookup)
        return answer


@dataclass(frozen=True)
class Scenario:
    """One service's rules under test.

    `Scenario(aggregates, rules).given(...).when(command).then(...)`; `by` and `at` change who asks and when.
    """

    aggregates: Sequence[Aggregate[Any]]
    rules: Mapping[type[Command], Rule[Any]]
    past: tuple[Event, ...] = ()
    found: Mapping[type[Lookup[Any]], Callable[[Any], Any]] = field(default_factory=dict)
    actor: str = "ann"
    authority: Authority = Authority.WORKER
    configured: Authority | None = None
    now: datetime = NOON
    waited: timedelta = timedelta()
    command: Command | None = None

    def given(self, *events: Event) -> "Scenario":
        """Let `events` have happened, after those given before."""
        return replace(self, past=(*self.past, *events))

    def finding(self, lookup: type[Lookup[T]], answer: Callable[[Any], T]) -> "Scenario":
        """Let the index answer `lookup` so."""
        return replace(self, found={**self.found, lookup: answer})

    def by(
        self, actor: str, authority: Authority = Authority.WORKER, configured: Authority | None = None
    ) -> "Scenario":
        """Let `actor` send the command, whose authority is all `configured` if nothing else is said."""
        return replace(self, actor=actor, authority=authority, configured=configured)

    def at(self, now: datetime) -> "Scenario":
        """Let the command be decided at `now`."""
        return replace(self, now=now)

    def waiting(self, seconds: float) -> "Scenario":
        """Let the command have waited so long already."""
        return replace(self, waited=timedelta(seconds=seconds))

    def when(self, command: Command) -> "Scenario":
        """The command under test."""
        return replace(self, command=command)

    def decide(self) -> list[Fact]:
        """The facts the rule answers with; every event among them must fold and survive JSON."""
        assert self.command is not None, "say .when(command) first"
        history = History(self.aggregates, self.past, self.found)
        received_at = self.now - self.waited
        context = Context(
            f"command-{len(self.past)}",
            self.actor,
            self.authority,
            self.now,
            received_at,
            configured=self.authority if self.configured is None else self.configured,
        )
        facts = list(self.rules[type(self.command)](self.command, history, context))
        for fact in facts:
            if isinstance(fact, Event):
                assert type(fact).model_validate(json.loads(fact.model_dump_json())) == fact
                history.add(fact)
        return facts

    def events(self) -> list[Event]:
        """The events among the facts."""
        return [fact for fact in self.decide() if isinstance(fact, Event)]

    def then(self, *facts: Fact) -> None:
        """The rule answers with exactly these facts, in this order."""
        assert self.decide() == list(facts)

    def then_events(self, *events: Event) -> None:
        """The rule answers with exactly these events; timers and results are not looked at."""
        assert self.events() == list(events)

    def then_refused(self, refusal: type[Refused], **details: Any) -> Refused:
        """The rule refuses; the named details must be among the refusal's."""
        try:
            facts = self.decide()
        except Refused as refused:
            assert type(refused) is refusal, f"{type(refused).__name__}: {refused.message}"
            assert {name: refused.details.get(name) for name in details} == details
            return refused
        raise AssertionError(f"not refused, but {facts}")
