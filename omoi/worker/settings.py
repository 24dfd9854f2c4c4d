"""How a worker works, as its operator wishes."""

import os
import tempfile
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from omoi.worker.limits import Limits

TIMEOUT_SECONDS = 3600.0


@dataclass(frozen=True)
class WorkerSettings:
    """How one worker works."""

    agent_id: str
    work_root: Path
    capabilities: tuple[str, ...] | None = None
    """What it can do; None means anything."""
    concurrency: int = 1
    repository: Path | None = None
    """Where to work when the ticket names no repository."""
    phases: tuple[str, ...] | None = None
    tickets: tuple[str, ...] | None = None
    """Only tasks of these tickets."""
    task_types: tuple[str, ...] | None = None
    timeout_seconds: float = TIMEOUT_SECONDS
    """Of an attempt, where neither task nor workflow sets one."""
    drain_seconds: float = 10.0
    """How long running tasks may go on after the worker was told to stop."""
    claim_seconds: float = 5.0
    """How long one question for tasks waits for an answer that has some; so long stopping may take."""
    beat_seconds: float | None = None
    """Interval of heartbeats; what the registry asks for when None."""
    check: str | None = None
    """Command that measures again what was merged with others' work, before it lands."""
    limits: Limits = field(default_factory=Limits)


def default_work_root(home: Path, repository: Path | None) -> Path:
    """A folder for worktrees: beside the stack's data, unless that lies inside the repository itself."""
    place = (home / "work").resolve()
    if repository is None or not place.is_relative_to(repository.resolve()):
        return place
    name = sha256(str(place).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"omoi-{os.getuid()}-{name}"
