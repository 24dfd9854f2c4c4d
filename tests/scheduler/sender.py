"""Senders of commands as the kernel serves them: who waits is decided again when what it has read changes."""

from datetime import datetime
from typing import Any, TypeVar

from services.scheduler.service import scheduler
from shared.contracts.messages import Authority, Command
from shared.kernel.decider import Context, Facts, Lookup, Past, Refused, Waiting
from tests.scheduler.workshop import Workshop

S = TypeVar("S")
T = TypeVar("T")


class Noting(Past):
    """A past that remembers what it was asked and what it said."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._said: dict[tuple[type[Any], str], Any] = {}

    def of(self, state: type[S], key: str) -> S:
        """State of one aggregate."""
        found = self._past.of(state, key)
        self._said[state, key] = found
        return found

    def find(self, lookup: Lookup[T]) -> T:
        """What the index holds."""
        return self._past.find(lookup)

    def settle(self) -> None:
        """From now on, what it would say at this moment counts as said."""
        self._said = {asked: self._past.of(*asked) for asked in self._said}

    def stale(self) -> bool:
        """Whether it would say something else by now."""
        return any(self._past.of(*asked) != said for asked, said in self._said.items())


class Sender:
    """Somebody who sends a command, and waits for an answer as long as the command says."""

    def __init__(self, shop: Workshop, command_id: str, command: Command) -> None:
        self.command_id = command_id
        self.command = command
        self.received_at: datetime = shop.now
        self.refused: Refused | None = None
        self._shop = shop
        self._past = Noting(shop.past)
        self._until = shop.now

    @property
    def context(self) -> Context:
        """What arrives with the command."""
        return Context(self.command_id, "ann", Authority.SYSTEM, self._shop.now, self.received_at)

    def send(self) -> bool:
        """Have the command decided, as the first time or again; whether there is an answer."""
        self._past = Noting(self._shop.past)
        answered = True
        try:
            facts: Facts = scheduler.obeys[type(self.command)](self.command, self._past, self.context)
        except Waiting as waiting:
            facts, answered, self._until = waiting.facts, False, waiting.until
        except Refused as refused:
            facts, self.refused = refused.facts, refused
        self._shop.take_facts(facts)
        self._past.settle()
        return answered

    @property
    def to_be_woken(self) -> bool:
        """Whether the kernel would decide it again now."""
        return self._past.stale() or self._shop.now >= self._until
