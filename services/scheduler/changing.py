"""What an intervention changes, and what of it others have changed since."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.contracts.guardian import Change
from shared.kernel.decider import Refused


@dataclass(frozen=True)
class Changed:
    """What was and what is, as far as it was changed."""

    ticket_id: str
    before: dict[str, Any]
    after: dict[str, Any]


class WorldMovedOn(Refused):
    """Something is not as the intervention had left it."""

    def __init__(self, changed: Mapping[str, Change]) -> None:
        super().__init__(f"It cannot be undone: {', '.join(changed)} changed since.")
        self.changed = dict(changed)
