"""How other processes find a running stack."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.stack.home import is_held, write_private

FILE = "stack.json"


@dataclass(frozen=True)
class RunningStack:
    """A running stack as its state file tells it; `nats_url` carries the operator's credentials."""

    pid: int
    database_url: str
    nats_url: str


def running_stack(home: Path) -> RunningStack | None:
    """The running stack of a home; None when there is none, whatever a dead owner has left."""
    file = home / FILE
    if not file.exists() or not is_held(home):
        return None
    return RunningStack(**json.loads(file.read_text()))


def announce(home: Path, state: RunningStack) -> None:
    """Write the state file."""
    write_private(home / FILE, json.dumps(asdict(state), indent=2))


def withdraw(home: Path) -> None:
    """Delete the state file."""
    (home / FILE).unlink(missing_ok=True)
