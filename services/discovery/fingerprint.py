"""What tells that two discoveries are the same: the ticket, the type and what is found, in plain words."""

import json
import unicodedata
from dataclasses import dataclass
from uuid import uuid5

from shared.contracts.discovery import DiscoveryFingerprinted
from shared.kernel.decider import NAMESPACE, Aggregate


@dataclass(frozen=True)
class Fingerprint:
    """The discovery that was first, if there is one."""

    discovery_id: str | None = None


def fingerprint(ticket_id: str, discovery_type: str, description: str) -> str:
    """The same for the same discovery, in whatever case, spacing, punctuation or Unicode form it is told."""
    told = json.dumps([ticket_id, discovery_type, normalised(description)])
    return str(uuid5(NAMESPACE, f"discovery/{told}"))


def normalised(text: str) -> str:
    """Lower case words with one space between; text that is nothing but punctuation stays what it is."""
    plain = _compatible(_compatible(text).casefold())
    words = "".join(" " if unicodedata.category(c).startswith("P") else c for c in plain).split()
    return " ".join(words or plain.split())


def _compatible(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def evolve(_: Fingerprint, event: DiscoveryFingerprinted) -> Fingerprint:
    """What is known after `event`."""
    return Fingerprint(event.discovery_id)


FINGERPRINT = Aggregate(Fingerprint, evolve, key="fingerprint")
