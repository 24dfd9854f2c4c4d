"""How a ticket is coming along, folded from its events, for a person who watches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.contracts import board, discovery, gate, phase, task
from shared.contracts.messages import Event

MOVING = ("ready", "claimed", "running", "retrying")
"""What a task is while somebody or a timer may still take it on; one that waits for others moves by them."""


@dataclass(frozen=True)
class Work:
    """One task as it stands."""

    task_type: str
    phase_id: str
    visit: int
    status: str = "waiting"
    agent_id: str = ""
    attempt: int = 0
    note: str = ""


@dataclass(frozen=True)
class Step:
    """A phase the ticket entered; `regression` when a failed gate sent it back there."""

    phase_id: str
    visit: int = 1
    regression: bool = False

    def __str__(self) -> str:
        """`IMPLEMENTATION (regression)`."""
        return _short(self.phase_id) + (" (regression)" if self.regression else "")


@dataclass(frozen=True)
class Progress:
    """One ticket as it stands."""

    ticket_id: str = ""
    title: str = ""
    path: tuple[Step, ...] = ()
    """Phases in the order they were entered."""
    reasons: tuple[str, ...] = ()
    """Why the last gate failed."""
    tasks: Mapping[str, Work] = field(default_factory=dict)
    gate: str = ""
    discoveries: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """What was found, and how that stands: `open`, `resolved` or `invalid`."""
    waiting: str = ""
    """Why finished work is not on the target branch yet."""

    @property
    def phase_id(self) -> str:
        """Where the ticket is."""
        return self.path[-1].phase_id if self.path else ""

    @property
    def shown(self) -> list[Work]:
        """Tasks of the present phase, and those of others that are still open."""
        return [
            work for work in self.tasks.values() if work.phase_id == self.phase_id or work.status in MOVING
        ]

    @property
    def moving(self) -> list[Work]:
        """Tasks that may still go on without anybody's help."""
        return [work for work in self.tasks.values() if work.status in MOVING]


def evolve(progress: Progress, event: Event) -> tuple[Progress, str | None]:
    """The progress after an event, and a sentence worth telling."""
    match event:
        case phase.TicketOpened():
            opened = replace(
                progress, ticket_id=event.ticket_id, title=event.title, path=(Step(event.phase_id),)
            )
            return opened, f"ticket {event.ticket_id} opened: {event.title}"
        case phase.PhaseTransitioned():
            return _moved(progress, event)
        case gate.GatePassed():
            return replace(progress, gate="passed", reasons=()), f"gate of {_short(event.phase_id)} passed"
        case gate.GateFailed():
            reasons = "; ".join(event.blocking_reasons)
            failed = replace(progress, gate="failed", reasons=event.blocking_reasons)
            return failed, f"gate of {_short(event.phase_id)} failed: {reasons}"
        case task.TaskCreated():
            work = Work(event.task_type, event.phase_id, event.visit)
            return replace(progress, tasks={**progress.tasks, event.task_id: work}), None
        case _:
            return _discovery(progress, event) or _in_line(progress, event) or _task(progress, event)


def _moved(progress: Progress, event: phase.PhaseTransitioned) -> tuple[Progress, str]:
    step = Step(event.to_phase, event.visit, event.regression)
    visit = f", visit {event.visit}" if event.visit > 1 else ""
    why = f" ({event.reason})" if event.reason else ""
    moved = replace(progress, path=(*progress.path, step), gate="pending")
    return moved, f"{_short(event.from_phase)} -> {_short(event.to_phase)}{visit}{why}"


def _in_line(progress: Progress, event: Event) -> tuple[Progress, str | None] | None:
    match event:
        case board.CardWaiting():
            line = f"waits for a slot in column {event.column} (place {event.place}, limit {event.limit})"
            way_out = "It goes on when a card leaves the column; `omoi board` shows it."
            return replace(progress, reasons=(f"It {line}. {way_out}",)), line
        case board.SlotReserved():
            return replace(progress, reasons=()), None
        case _:
            return None


def _discovery(progress: Progress, event: Event) -> tuple[Progress, str] | None:
    match event:
        case discovery.DiscoveryRecorded():
            return _found(progress, event)
        case discovery.DiscoveryBranchCreated():
            return _branched(progress, event)
        case discovery.DiscoveryResolved() | discovery.DiscoveryDismissed():
            return _settled(progress, event)
        case _:
            return None


def _found(progress: Progress, event: discovery.DiscoveryRecorded) -> tuple[Progress, str]:
    told = f"found a {event.discovery_type}: {_line(event.description)}"
    after = _with_discovery(progress, event.discovery_id, f"{event.discovery_type}: {event.description}")
    return after, f"{_at(progress, event.source_task_id)} {told}"


def _branched(progress: Progress, event: discovery.DiscoveryBranchCreated) -> tuple[Progress, str]:
    said = f"{event.discovery_type}: {event.discovery_description}"
    where = f"{event.task_type} branches off into {_short(event.spawn_phase_id)}"
    return _with_discovery(progress, event.discovery_id, said), f"{where}: {_line(said)}"


def _with_discovery(progress: Progress, discovery_id: str, said: str, status: str = "open") -> Progress:
    return replace(progress, discoveries={**progress.discoveries, discovery_id: (said, status)})


def _settled(
    progress: Progress, event: discovery.DiscoveryResolved | discovery.DiscoveryDismissed
) -> tuple[Progress, str]:
    said, _ = progress.discoveries.get(event.discovery_id, (event.discovery_id, ""))
    status = "resolved" if isinstance(event, discovery.DiscoveryResolved) else "invalid"
    by = "itself" if getattr(event, "automatic", False) else event.actor
    return _with_discovery(progress, event.discovery_id, said, status), f"{status} by {by}: {_line(said)}"


def _at(progress: Progress, task_id: str) -> str:
    work = progress.tasks.get(task_id)
    return work.task_type if work else "somebody"


_TASK_EVENTS: dict[type[Event], tuple[str, Callable[[Any], str]]] = {
    task.TaskReady: ("ready", lambda _: ""),
    task.TaskClaimed: ("claimed", lambda event: f"claimed by {event.agent_id}, attempt {event.attempt}"),
    task.TaskStarted: ("running", lambda event: f"started by {event.agent_id}"),
    task.TaskProgressed: ("running", lambda event: event.message),
    task.TaskCompleted: ("completed", lambda event: f"completed by {event.agent_id}{_decided(event)}"),
    task.TaskFailed: ("failed", lambda event: f"failed for good: {_line(event.error)}"),
    task.TaskRetryScheduled: (
        "retrying",
        lambda event: f"attempt {event.attempt} failed: {_line(event.error)}",
    ),
    task.TaskTimedOut: ("retrying", lambda event: f"timed out after {event.timeout_seconds:g} s"),
    task.TaskLeaseExpired: ("ready", lambda event: f"claim of {event.agent_id} lost: {event.reason}"),
    task.TaskCancelled: ("cancelled", lambda event: f"cancelled by {event.actor}: {event.reason}"),
}


def _task(progress: Progress, event: Event) -> tuple[Progress, str | None]:
    work = progress.tasks.get(getattr(event, "task_id", ""))
    if work is None or type(event) not in _TASK_EVENTS:
        return progress, None
    status, sentence = _TASK_EVENTS[type(event)]
    told = sentence(event)
    changed = replace(
        work,
        status=status,
        agent_id=getattr(event, "agent_id", None) or work.agent_id,
        attempt=getattr(event, "attempt", work.attempt),
        note=told,
    )
    after = replace(progress, tasks={**progress.tasks, event.task_id: changed})  # type: ignore[attr-defined]
    if isinstance(event, task.TaskCompleted):
        after = replace(after, waiting=event.result.get("waiting") or "")
    return after, f"{work.task_type} {told}" if told else None


def _decided(event: task.TaskCompleted) -> str:
    """What the agent decided, where it says so in its findings."""
    decisions = event.result.get("decisions") or ()
    return "".join(f"; decided: {_line(str(decision))}" for decision in decisions)


def _short(phase_id: str) -> str:
    return phase_id.removeprefix("PHASE_")


def _line(text: str) -> str:
    first = text.strip().splitlines()[0] if text.strip() else "no reason given"
    return first if len(first) <= 200 else f"{first[:197]}..."
