"""What a service is: a value that says what it obeys, hears and answers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

from sqlalchemy import Table

from shared.contracts.messages import Command, Event, Measure, Query, Result, noun_of, owner_of
from shared.kernel.asking import Asking
from shared.kernel.decider import Aggregate, Lookup, Rule
from shared.kernel.reading import Reading

Reaction = Callable[[Any], Sequence[Command]]
"""Pure: one event of another service -> commands of the service's own."""

Answer = Callable[[Any, Reading], Awaitable[Result | Mapping[str, Any]]]
"""Answers one query from what is committed; raises `Refused` when there is nothing to answer."""

ConsultedAnswer = Callable[[Any, Reading, Asking], Awaitable[Result | Mapping[str, Any]]]
"""The same with what other services know; it says what it must do without when they are away."""

Finder = Callable[[Any, Reading], Awaitable[Any]]
"""Answers one lookup of a rule from the service's index."""

Gauge = Callable[[Reading, datetime], Awaitable[Measure]]
"""Reads one measure, as of a moment; often, so it must be cheap however much there is."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Index:
    """A table with one row for each stream whose state asks for one; written in the append's transaction.

    `row(state)` is pure and names the table's columns; None means no row. The table's primary key is one text
    column that holds the aggregate's id. A state that asks for several rows answers with a sequence of them;
    these name their own ids and stay.
    """

    table: Table
    state: type[Any]
    row: Callable[[Any], Row | Sequence[Row] | None]


@dataclass(frozen=True)
class Versions:
    """Past rows of a read model: whatever it showed at any point of the journal can be shown again.

    `table` is made by `versions_table`. `kept` names the fields that may change. A change of those that
    are `quiet` too makes no version of its own: the past shows them as they were at the last other change.
    Rows that have versions are never deleted.
    """

    table: Table
    kept: Sequence[str]
    quiet: Sequence[str] = ()


@dataclass(frozen=True)
class ReadModel:
    """A table folded from every event of every service, in the order of the journal.

    `evolve(row | None, event) -> row | None` is pure; None deletes. `key(event)` names the row an event is
    about, None when it is about none. `row` is a frozen dataclass whose fields are the table's columns;
    the first one is the key.
    """

    table: Table
    row: type[Any]
    key: Callable[[Any], str | None]
    evolve: Callable[[Any, Any], Any]
    versions: Versions | None = None

    @property
    def name(self) -> str:
        """Name of the table."""
        return self.table.name

    @property
    def tables(self) -> Sequence[Table]:
        """Its table, and that of its versions."""
        return (self.table, self.versions.table) if self.versions else (self.table,)


class Pending(Protocol):
    """Something that waits for an activity."""

    @property
    def key(self) -> str:
        """Tells it from the others; the same as long as it is the same piece of work."""


class NotNow(Exception):
    """An activity cannot be performed yet; it is tried again after `seconds`."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


@dataclass(frozen=True)
class Activity:
    """Work outside the rules: asking a model or another service. What comes of it is a command.

    `pending(reading, limit)` reads from the service's own tables what is to be done, oldest first.
    `perform(item, reading, asking)` does it and answers the commands that say what came of it; these must
    settle the item, so that it is pending no more, and be harmless when given twice. It raises `NotNow` to be
    tried again at a certain time; any other exception lets it be tried again after 1, 2, 4 ... 60 s.
    `asks` names the queries that it asks other services, and no others may it ask.
    """

    name: str
    pending: Callable[[Reading, int], Awaitable[Sequence[Any]]]
    perform: Callable[[Any, Reading, Asking], Awaitable[Sequence[Command]]]
    asks: Sequence[type[Query]] = ()
    at_once: int = 4
    timeout_seconds: float = 300.0


@dataclass(frozen=True)
class Consultation:
    """An answer for which other services are asked the queries that `asks` names, and no others."""

    answer: ConsultedAnswer
    asks: Sequence[type[Query]]


@dataclass(frozen=True)
class Service:
    """One service. Its subscriptions, tables, AsyncAPI page and metrics follow from this value."""

    name: str
    aggregates: Sequence[Aggregate[Any]] = ()
    obeys: Mapping[type[Command], Rule[Any]] = field(default_factory=dict)
    hears: Mapping[type[Event], Reaction] = field(default_factory=dict)
    answers: Mapping[type[Query], Answer | Consultation] = field(default_factory=dict)
    lookups: Mapping[type[Lookup[Any]], Finder] = field(default_factory=dict)
    indexes: Sequence[Index] = ()
    read_models: Sequence[ReadModel] = ()
    activities: Sequence[Activity] = ()
    measures: Mapping[type[Measure], Gauge] = field(default_factory=dict)
    at_start: Callable[[], Sequence[Command]] = tuple
    """Commands it gives itself before it is ready; they must be harmless when repeated."""

    @cached_property
    def announces(self) -> tuple[type[Event], ...]:
        """Every event type of its aggregates."""
        return tuple(event for aggregate in self.aggregates for event in aggregate.events)

    @cached_property
    def nouns(self) -> tuple[str, ...]:
        """The nouns it may announce events of, beside the shared ones."""
        return tuple(sorted({noun_of(event) for event in self.announces} - {"command", "broker"}))

    @cached_property
    def asks(self) -> tuple[type[Query], ...]:
        """The queries that it asks other services: their subjects are all that it may ask."""
        asked = {query for activity in self.activities for query in activity.asks}
        for answer in self.answers.values():
            asked |= set(answer.asks) if isinstance(answer, Consultation) else set()
        return tuple(sorted(asked, key=lambda query: (query.owner(), query.wire_name())))

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The services it hears."""
        return tuple(sorted({owner_of(noun_of(event)) for event in self.hears}))
