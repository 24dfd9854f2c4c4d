"""Who may do what at the doors of one service: what configuration and the guardian grant."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.contracts.messages import Authority


@dataclass(frozen=True)
class Grant:
    """What the guardian's event of that position says of an actor; one taken back says WORKER."""

    actor: str
    level: Authority
    expires_at: datetime | None
    position: int

    def level_at(self, now: datetime) -> Authority:
        """The authority it gives; its end needs nobody to say so."""
        over = self.expires_at is not None and self.expires_at <= now
        return Authority.WORKER if over else self.level


class Grants:
    """The authority of every actor: the higher of what configuration and the guardian grant.

    It may be told the same or older things again, in any order and by several: the newest holds.
    """

    def __init__(self, configured: Mapping[str, Authority]) -> None:
        self._configured = configured
        self._granted: dict[str, Grant] = {}

    def configured(self, actor: str) -> Authority:
        """What configuration alone lets an actor do."""
        return self._configured.get(actor, Authority.WORKER)

    def of(self, actor: str) -> Authority:
        """What an actor may do now; a WORKER's work where nothing is granted."""
        configured = self.configured(actor)
        granted = self._granted.get(actor)
        return configured if granted is None else max(configured, granted.level_at(datetime.now(UTC)))

    def note(self, grants: Iterable[Grant]) -> None:
        """Know of these from now on."""
        for grant in grants:
            known = self._granted.get(grant.actor)
            if known is None or known.position < grant.position:
                self._granted[grant.actor] = grant
