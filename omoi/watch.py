"""What a person sees of a ticket while it is taken through, and when it will not move any more."""

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from omoi.cli.console import out, print_json
from omoi.drawing.signs import sign
from omoi.progress import Progress, evolve
from shared.contracts.workflow import Workflow
from shared.kernel.received import Received

STUCK_SECONDS = 5.0
"""How long nothing may be open or happen before a ticket counts as stuck."""
PASSED_SECONDS = 30.0
"""The same for one whose gate has passed: phase and the board are about to move it on."""


@dataclass
class Watch:
    """What is seen of the ticket so far."""

    workflow: Workflow
    as_json: bool
    journal_from: int | None = None
    """The newest sequence of the journal when it began."""
    progress: Progress = field(default_factory=Progress)
    began: float = field(default_factory=monotonic)
    changed: float = field(default_factory=monotonic)
    seen: dict[str, int] = field(default_factory=dict)
    """Position of the last event of each service."""

    def see(self, received: Received) -> None:
        """Fold one event and tell of it."""
        self.seen[received.source] = received.position
        event = received.event()
        if event is None:
            return
        self.progress, told = evolve(self.progress, event)
        self.changed = monotonic()
        if self.as_json:
            print_json(received.as_json())
        elif told:
            out.print(f"{received.at[11:19]}  {told}", markup=False, soft_wrap=True)

    @property
    def done(self) -> bool:
        """Whether the ticket is in a terminal phase."""
        phase = self.workflow.phase(self.progress.phase_id)
        return phase is not None and phase.is_terminal

    @property
    def reasons(self) -> list[str]:
        """What stands in the way: why the gate failed, and which tasks did."""
        failed = [work for work in self.progress.tasks.values() if work.status == "failed"]
        return [*self.progress.reasons, *(f"{work.task_type} {work.note}" for work in failed)]

    @property
    def stuck(self) -> str | None:
        """Why the ticket will not move by itself any more; None while it may."""
        patience = PASSED_SECONDS if self.progress.gate == "passed" else STUCK_SECONDS
        if self.done or self.progress.moving or monotonic() - self.changed < patience:
            return None
        where = self.progress.phase_id
        reasons = self.reasons
        if where == self.workflow.blocked_phase:
            return sentence("The ticket is blocked", reasons or ["no reason was given"])
        if reasons:
            return sentence(f"The ticket cannot leave {where}", reasons)
        return f"Nothing is left to do in {where}, and nothing moves the ticket on."


def sentence(what: str, reasons: list[str]) -> str:
    return f"{what}:\n" + "\n".join(f"  - {reason}" for reason in reasons) if reasons else f"{what}."


def live(watch: Watch) -> Live:
    """The board of the ticket, redrawn in place where there is a terminal."""
    return Live(
        get_renderable=lambda: _board(watch), console=out, refresh_per_second=8, transient=True,
        auto_refresh=out.is_terminal and not watch.as_json,
    )  # fmt: skip


def _board(watch: Watch) -> Any:
    progress = watch.progress
    if not out.is_terminal or watch.as_json:
        return Text("")
    head = Text(f"{progress.title}  ", style="bold")
    head.append(" > ".join(str(step) for step in progress.path), style="cyan")
    table = Table(box=None, pad_edge=False, show_header=False)
    for work in progress.shown:
        table.add_row(sign(work.status).symbol, work.task_type, work.status, work.agent_id, work.note)
    reasons = [Text(f"  {reason}", style="yellow") for reason in progress.reasons]
    seconds = Text(f"{monotonic() - watch.began:.0f} s", style="dim")
    return Group(head, table, *reasons, seconds)
