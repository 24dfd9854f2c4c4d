"""What tells that two discoveries are the same: the ticket, the type and what is found, in plain words."""

import json
import unicodedata
from dataclasses import dataclass
from uuid import uuid5

from shared.contracts.discovery import DiscoveryFingerprinted
from shared.kernel.decider import NAMESPACE, Aggregate

_SENTENCE = ".,;:!?"
"""An ellipsis is three full stops once it is in its compatible form."""
_QUOTES = "\"'`\u201a\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a"
_APOSTROPHES = str.maketrans("\u2018\u2019", "''")


@dataclass(frozen=True)
class Fingerprint:
    """The discovery that was first, if there is one."""

    discovery_id: str | None = None


def fingerprint(ticket_id: str, discovery_type: str, description: str) -> str:
    """The same for the same discovery, in whatever case, spacing or Unicode form it is told."""
    told = json.dumps([ticket_id, discovery_type, normalised(description)])
    return str(uuid5(NAMESPACE, f"discovery/{told}"))


def normalised(text: str) -> str:
    """Lower case words with one space between, without quotes around them and sentence marks behind them.

    Signs within and before words stay, as in `-1`, `v1.5` or `/api/users`; so do those that stand alone.
    """
    plain = _compatible(_compatible(text).casefold()).translate(_APOSTROPHES)
    return " ".join(_bare(word) or word for word in plain.split())


def _bare(word: str) -> str:
    return word.rstrip(_SENTENCE + _QUOTES).lstrip(_QUOTES)


def _compatible(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def evolve(_: Fingerprint, event: DiscoveryFingerprinted) -> Fingerprint:
    """What is known after `event`."""
    return Fingerprint(event.discovery_id)


FINGERPRINT = Aggregate(Fingerprint, evolve, key="fingerprint")
