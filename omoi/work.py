"""What a function that does a task is given: the brief, and a handle on the work."""

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from omoi.worker.attempt import Attempt, Progress
from omoi.worker.brief import render
from omoi.worker.briefing import Briefing
from omoi.worker.worktree import Worktree
from shared.client import Client
from shared.contracts.task import ClaimedTask, GetTask

T = TypeVar("T")


class Permanent(Exception):
    """Raise it when trying again is no use: the task fails for good with this sentence."""


class Cancelled(Exception):
    """The task is no longer wanted, or its time is over."""


class Work:
    """A handle on the work; its methods may be called from any thread."""

    def __init__(self, attempt: Attempt, tree: Worktree | None, client: Client) -> None:
        self.client = client
        """For whatever else the agent has to say or ask, under its own name."""
        self.cancelled = threading.Event()
        """Set when the work is to stop. An async function is cancelled besides."""
        self.submitted: list[Any] = []
        self._tree = tree
        self._loop = asyncio.get_running_loop()
        self._progress = Progress()
        attempt.look = lambda: self._progress

    @property
    def worktree(self) -> Path | None:
        """A git worktree for this attempt alone, whose content is merged; None without a repository."""
        return self._tree.path if self._tree else None

    @property
    def reports(self) -> Path | None:
        """Where junit.xml and coverage.xml are measured; None without a repository."""
        return self._tree.reports if self._tree else None

    def progress(self, text: str = "", percent: float | None = None) -> None:
        """Say how far the work is; it is told with the next beat. `percent` is 0 to 100."""
        self._progress = Progress(text, percent)

    def submit(self, artifact_type: str, content: Any, *, path: str | None = None) -> None:
        """Hand in an artifact with the result, if the task completes; it is claimed, not measured."""
        self.submitted.append({"artifact_type": artifact_type, "content": content, "artifact_path": path})

    def check(self) -> None:
        """Raise `Cancelled` when the work is to stop: for loops in functions that are not async."""
        if self.cancelled.is_set():
            raise Cancelled

    async def task(self, task_id: str) -> dict[str, Any]:
        """Another task as it stands, with its attempts and its result."""
        return await self.client.query(GetTask(task_id=task_id))

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine, such as `work.task(...)`, from a function that is not async."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def stop(self) -> None:
        """Let whoever looks know that the work is to stop."""
        self.cancelled.set()


@dataclass(frozen=True)
class TicketBrief:
    """The ticket that a task is part of."""

    ticket_id: str
    title: str
    description: str = ""
    priority: str = "MEDIUM"
    tags: tuple[str, ...] = ()
    repository: str | None = None


@dataclass(frozen=True)
class Brief:
    """All an agent is told about one task."""

    task: ClaimedTask
    ticket: TicketBrief
    work: Work
    phase_prompt: str = ""
    done_definitions: tuple[str, ...] = ()
    expected_outputs: tuple[Mapping[str, Any], ...] = ()
    next_steps: str = ""
    blocking_reasons: tuple[str, ...] = ()
    """Why the gate sent the work back."""
    context: Any = None
    """What earlier phases found out."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    """What other tasks taught: `memories` and `patterns`."""
    raw: Mapping[str, Any] = field(default_factory=dict)
    """The brief as it is in $OMOI_BRIEF_JSON of a command."""

    @property
    def text(self) -> str:
        """The brief as Markdown, for a model."""
        return render(self.raw)


def brief_of(told: Briefing, claimed: ClaimedTask, work: Work) -> Brief:
    """A brief with types, from what the services told."""
    raw = told.brief
    ticket = {name: value for name, value in raw["ticket"].items() if value is not None}
    return Brief(
        task=claimed,
        ticket=TicketBrief(
            ticket_id=ticket["ticket_id"],
            title=ticket["title"],
            description=ticket.get("description", ""),
            priority=ticket.get("priority", "MEDIUM"),
            tags=tuple(ticket.get("tags", ())),
            repository=ticket.get("repository"),
        ),
        work=work,
        phase_prompt=raw.get("phase_prompt", ""),
        done_definitions=tuple(raw.get("done_definitions", ())),
        expected_outputs=told.expected_outputs,
        next_steps=raw.get("next_steps", ""),
        blocking_reasons=tuple(raw.get("blocking_reasons", ())),
        context=raw.get("context"),
        memory=raw.get("memory", {}),
        raw=raw,
    )
