"""One agent's attempt at one task."""

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Assignment:
    """What a claim hands to the worker; `task_id` and `attempt` name the branch and folder made for it."""

    task_id: str
    ticket_id: str
    phase_id: str
    task_type: str
    title: str
    agent_id: str
    attempt: int
    claim_epoch: int

    def __post_init__(self) -> None:
        """Refuse ids that are no subject tokens, because they become paths, refs and commit trailers.

        Raises ValueError.
        """
        for field in ("task_id", "ticket_id", "phase_id", "task_type", "agent_id"):
            if not _TOKEN.fullmatch(getattr(self, field)):
                raise ValueError(
                    f"{field} {getattr(self, field)!r} is not a token of 1 to 64 letters, digits, - or _."
                )

    @property
    def name(self) -> str:
        """The attempt as one word, for branches, refs and folders."""
        return f"{self.task_id}-{self.attempt}"
