"""Whoever does a task, and how the doing ended."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from omoi.worker.attempt import Attempt
from omoi.worker.briefing import Briefing
from omoi.worker.evidence import Artifact
from omoi.worker.worktree import Worktree


@dataclass(frozen=True)
class Done:
    """It is done; what was measured is added to `artifacts`, which the doer claims."""

    summary: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)


@dataclass(frozen=True)
class Failed:
    """The attempt came to nothing."""

    error: str
    retryable: bool = True


@dataclass(frozen=True)
class Stopped:
    """It was ended because it was no longer wanted, or because the worker goes."""


Outcome = Done | Failed | Stopped


class Doer(Protocol):
    """Does tasks: a command, or functions of a program."""

    @property
    def needs_repository(self) -> bool:
        """Whether there is nothing to do for a ticket without one."""

    async def do(
        self, attempt: Attempt, told: Briefing, tree: Worktree | None, timeout_seconds: float
    ) -> Outcome:
        """Do the task until it is done, its time is over or `attempt.cancel` is set."""
