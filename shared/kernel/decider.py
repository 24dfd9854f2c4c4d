"""What a rule is given and what it may answer with: past in, facts out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_type_hints
from uuid import UUID, uuid5

from shared.contracts.messages import Authority, Command, Event, Result, snake

NAMESPACE = UUID("6f6d6f69-6f73-5000-8000-000000000001")
"""Root of every derived id, so that the same cause always makes the same id."""

S = TypeVar("S")
T = TypeVar("T")
C = TypeVar("C", bound=Command)


class Refused(Exception):
    """A rule says no. The class name is the wire code: `GateNotPassed` -> `gate_not_passed`."""

    facts: "Facts" = ()
    """What is remembered of the attempt although it was refused."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def noting(self, facts: "Facts") -> "Refused":
        """The same refusal, which leaves these facts behind."""
        self.facts = tuple(facts)
        return self

    @property
    def code(self) -> str:
        """The stable reason in snake case."""
        return snake(type(self).__name__)


class NotAuthorised(Refused):
    """The actor's authority is too low for the command."""


class Unavailable(Exception):
    """Something the command needs is not here yet: try again, nothing was decided."""


class NewerVersion(Unavailable):
    """What is read was written by a newer version of the code, whose replica must go on with it."""


class Waiting(Exception):
    """Nothing to answer yet; decide again when something the rule has read changes, at the latest at `until`.

    `facts` are committed now, so that the command's place among those that wait outlives this process: sent
    again with the same id it is decided with them in the past.
    """

    def __init__(self, until: datetime, facts: "Facts" = ()) -> None:
        super().__init__(until)
        self.until = until
        self.facts = tuple(facts)


@dataclass(frozen=True)
class Context:
    """What arrives with a command: who asks, when, under which id."""

    command_id: str
    actor: str
    authority: Authority
    at: datetime
    """When the command is decided; the only clock a rule may read."""
    received_at: datetime
    """When the command came to the service; differs from `at` for a command that waits."""
    durable: bool = False
    """Whether it came on the durable lane: then its sender is not there to wait for the answer."""
    causation: str | None = None
    """Id of the event that made somebody send the command, if one did."""
    configured: Authority = Authority.WORKER
    """What configuration alone gives the actor; `authority` is that, or what the guardian granted if more."""

    def new_id(self, name: str) -> str:
        """An id for a thing the command makes: the same on every retry."""
        return str(uuid5(NAMESPACE, f"{self.command_id}/{name}"))


@dataclass(frozen=True)
class Timer:
    """Send `command` to this service at `due_at`. One timer a key: setting it again moves it."""

    key: str
    due_at: datetime
    command: Command


@dataclass(frozen=True)
class CancelTimer:
    """Forget the timer of that key, if it is set."""

    key: str


Fact = Event | Timer | CancelTimer | Result
Facts = Sequence[Fact]


class Lookup(Generic[T]):
    """A read of the service's own index, answered with a `T`. Subclasses are frozen dataclasses.

    The answer is a hint: what a rule decides on must be read with `Past.of`, which the commit validates.
    """

    holds: ClassVar[type[Any] | None] = None
    """The state whose ids the answer is a sequence of, if so: those are loaded along with it."""


class Past(ABC):
    """What has happened, as far as a rule asks for it.

    Everything read through `of` is checked again when the decision commits: if a stream has moved in
    between, the rule is run again on what is true then (optimistic concurrency control).
    """

    @abstractmethod
    def of(self, state: type[S], key: str) -> S:
        """State of one aggregate; its initial state when nothing has happened to it."""

    @abstractmethod
    def find(self, lookup: Lookup[T]) -> T:
        """Answer of a lookup in the service's own index."""


Rule = Callable[[C, Past, Context], Facts]


@dataclass(frozen=True)
class Aggregate(Generic[S]):
    """A consistency boundary: its state, how facts change it, and which field of them names it.

    `evolve(state, event) -> state` is total over the events its annotation names and never refuses.
    The state is a frozen dataclass that can be made without arguments and stored as JSON.
    """

    state: type[S]
    evolve: Callable[[S, Any], S]
    key: str
    """Field of the events that holds the aggregate's id."""

    @cached_property
    def name(self) -> str:
        """`ticket`; streams are named `ticket-<id>`."""
        return snake(self.state.__name__)

    @cached_property
    def events(self) -> tuple[type[Event], ...]:
        """The event types of its streams, read from the annotation of `evolve`."""
        annotation = get_type_hints(self.evolve)["event"]
        return get_args(annotation) or (annotation,)

    def stream(self, key: str) -> str:
        """Name of the stream of one aggregate."""
        return f"{self.name}-{key}"
