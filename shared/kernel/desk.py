"""The past as the rules of one batch see it."""

from typing import Any, TypeVar, cast

from shared.kernel.decider import Lookup, Past
from shared.kernel.store import Held, Store

S = TypeVar("S")
T = TypeVar("T")


class Missing(Exception):
    """A rule asked for something that is not in memory yet."""

    def __init__(self, stream: str | None = None, lookup: Lookup[Any] | None = None) -> None:
        super().__init__(stream or lookup)
        self.stream = stream
        self.lookup = lookup


class Desk(Past):
    """The past as one batch sees it: what was loaded, overlaid with what the batch has decided so far."""

    def __init__(self, store: Store, held: dict[str, Held], found: dict[Lookup[Any], Any]) -> None:
        self._store = store
        self._loaded = held
        self._found = found
        self.decided: dict[str, Held] = {}
        self.begin()

    def begin(self) -> None:
        """Note from here on what is consulted: another command is about to be decided."""
        self.consulted: set[str] = set()
        self.searched = False

    def of(self, state: type[S], key: str) -> S:
        """State of one aggregate, the batch's own decisions included."""
        return cast(S, self.held(self._store.stream(state, key)).state)

    def held(self, stream: str) -> Held:
        """Version and state of a stream, noted as consulted."""
        held = self.decided.get(stream) or self._loaded.get(stream)
        if held is None:
            raise Missing(stream=stream)
        self.consulted.add(stream)
        return held

    def find(self, lookup: Lookup[T]) -> T:
        """Answer of a lookup; the same lookup is asked once a batch."""
        self.searched = True
        if lookup not in self._found:
            raise Missing(lookup=lookup)
        return cast(T, self._found[lookup])

    def loaded_version(self, stream: str) -> int:
        """The version the commit must still find."""
        return self._loaded[stream].version

    def seen(self) -> dict[str, int] | None:
        """Version of each stream that was consulted; None when an index was, as any change may alter that."""
        return None if self.searched else {stream: self.held(stream).version for stream in self.consulted}
