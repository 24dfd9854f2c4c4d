"""One visit of a ticket to a phase: what was done, decided, feared and handed in there."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.contracts.context import (
    ContextArtifactNoted,
    ContextDiscoveryNoted,
    ContextDismissalNoted,
    ContextSummarised,
    ContextSummaryDeclined,
    ContextTaskNoted,
    ContextUpdated,
    ContextVerdictNoted,
    ContextVisitLeft,
    Findings,
)
from shared.contracts.gate import TaskStatus
from shared.kernel.decider import Aggregate

NOTHING = Findings()

MAX_TASKS = 50
MAX_ARTIFACTS = 50
MAX_DISCOVERIES = 50


@dataclass(frozen=True)
class Work:
    """A task, and what came of it."""

    task_id: str
    status: TaskStatus
    at: datetime
    task_type: str | None = None
    title: str | None = None
    agent_id: str | None = None
    found: Findings = NOTHING
    error: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return self.title or self.task_type or self.task_id


@dataclass(frozen=True)
class Reference:
    """Where an artifact is, and what it says in a few words."""

    artifact_id: str
    artifact_type: str
    artifact_path: str | None
    sha256: str | None
    summary: str
    measured: bool
    task_id: str | None
    at: datetime


@dataclass(frozen=True)
class Discovered:
    """What was found at a task, and recorded as a discovery."""

    discovery_id: str
    discovery_type: str
    text: str
    task_id: str
    at: datetime


@dataclass(frozen=True)
class Verdict:
    """What the gate said last."""

    passed: bool
    blocking_reasons: tuple[str, ...]
    at: datetime


@dataclass(frozen=True)
class Visit:
    """What is known of a visit, bounded; without a ticket nothing has happened in it."""

    ticket_id: str = ""
    phase_id: str = ""
    number: int = 0
    tasks: Mapping[str, Work] = field(default_factory=dict)
    made: int = 0
    """Tasks that were made for it."""
    completed: int = 0
    artifacts: tuple[Reference, ...] = ()
    artifacts_left_out: int = 0
    discoveries: tuple[Discovered, ...] = ()
    """The newest ones, but for those dismissed."""
    dismissed: tuple[str, ...] = ()
    """Discoveries that were none."""
    verdict: Verdict | None = None
    left_at: datetime | None = None
    judged: bool = False
    """Whether it was left with artifacts that a gate had judged, so that a verdict is on its way."""
    closed: bool = False
    revision: int = 0
    """How often something was added."""
    prose: str = ""
    """What a model made of this revision."""
    asked: int = -1
    """The revision that a model has answered on."""
    wanted: bool = False
    """Whether a model is to put it into prose."""

    @property
    def tasks_left_out(self) -> int:
        """Tasks that are only counted."""
        return max(0, self.made - len(self.tasks))

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way any more that is known to come."""
        unheard = {reference.task_id for reference in self.artifacts if reference.task_id} - self.tasks.keys()
        waits = unheard if not self.tasks_left_out else ()
        is_open = any(task.status == "open" for task in self.tasks.values())
        return not (is_open or waits or (self.judged and self.verdict is None))

    @property
    def waits_for_model(self) -> bool:
        """Whether a model should put it into prose now."""
        return self.wanted and self.revision > self.asked and bool(self.tasks or self.artifacts)


VisitEvent = (
    ContextVisitLeft
    | ContextTaskNoted
    | ContextArtifactNoted
    | ContextDiscoveryNoted
    | ContextDismissalNoted
    | ContextVerdictNoted
    | ContextUpdated
    | ContextSummarised
    | ContextSummaryDeclined
)


def evolve(visit: Visit, event: VisitEvent) -> Visit:
    """The visit after `event`."""
    visit = replace(visit, ticket_id=event.ticket_id, phase_id=event.phase_id, number=event.visit)
    match event:
        case ContextVisitLeft():
            return replace(visit, left_at=event.at, judged=event.judged)
        case ContextTaskNoted():
            return _changed(_with_task(visit, event))
        case ContextArtifactNoted():
            return _changed(_with_artifact(visit, event))
        case ContextDiscoveryNoted():
            return _changed(_with_discovery(visit, event))
        case ContextDismissalNoted():
            return _changed(_without_discovery(visit, event.discovery_id))
        case ContextVerdictNoted():
            verdict = Verdict(event.passed, event.blocking_reasons, event.at)
            return _changed(replace(visit, verdict=verdict))
        case ContextUpdated():
            asked = -1 if event.requested else visit.asked
            wanted = visit.wanted or event.closed or event.requested
            return replace(visit, closed=event.closed, asked=asked, wanted=wanted)
        case ContextSummarised():
            return replace(visit, prose=event.prose, asked=event.revision)
        case ContextSummaryDeclined():
            return replace(visit, asked=event.revision)


VISIT = Aggregate(Visit, evolve, key="context_id")


def work_after(known: Work | None, event: ContextTaskNoted) -> Work:
    """How a task stands once `event` is in.

    Reports may overtake each other: the latest counts, of two at one time the one that ends the task, and a
    completed task stays completed. What a report does not say is taken from the other.
    """
    told = Work(
        event.task_id,
        event.status,
        event.at,
        event.task_type,
        event.title,
        event.agent_id,
        event.found,
        event.error,
    )
    if known is None:
        return told
    later = max(known, told, key=_order)
    other = told if later is known else known
    return replace(
        later,
        task_type=later.task_type or other.task_type,
        title=later.title or other.title,
        agent_id=later.agent_id or (other.agent_id if later.status != "open" else None),
    )


def _order(work: Work) -> tuple[bool, datetime, bool]:
    return work.status == "completed", work.at, work.status != "open"


def _changed(visit: Visit) -> Visit:
    return replace(visit, revision=visit.revision + 1, prose="")


def _with_task(visit: Visit, event: ContextTaskNoted) -> Visit:
    known = visit.tasks.get(event.task_id)
    work = work_after(known, event)
    tasks = {**visit.tasks, event.task_id: work}
    if len(tasks) > MAX_TASKS:
        del tasks[min(tasks, key=lambda task_id: _weight(tasks[task_id]))]
    made = visit.made + (event.title is not None and (known is None or known.title is None))
    ended = work.status == "completed" and (known is None or known.status != "completed")
    return replace(visit, tasks=tasks, made=made, completed=visit.completed + ended)


def _weight(work: Work) -> tuple[bool, datetime, str]:
    """The most decisive first, then the newest; it only ever grows, so that arrival does not matter."""
    return bool(work.found.decisions or work.found.risks), work.at, work.task_id


def _with_discovery(visit: Visit, event: ContextDiscoveryNoted) -> Visit:
    found = Discovered(event.discovery_id, event.discovery_type, event.text, event.task_id, event.at)
    newest = sorted((*visit.discoveries, found), key=lambda one: (one.at, one.discovery_id))
    return replace(visit, discoveries=tuple(newest[-MAX_DISCOVERIES:]))


def _without_discovery(visit: Visit, discovery_id: str) -> Visit:
    left = tuple(one for one in visit.discoveries if one.discovery_id != discovery_id)
    return replace(visit, discoveries=left, dismissed=(*visit.dismissed, discovery_id)[-MAX_DISCOVERIES:])


def reference_of(event: ContextArtifactNoted) -> Reference:
    """What is kept of an artifact."""
    return Reference(
        event.artifact_id,
        event.artifact_type,
        event.artifact_path,
        event.sha256,
        event.summary,
        event.measured,
        event.task_id,
        event.at,
    )


def _with_artifact(visit: Visit, event: ContextArtifactNoted) -> Visit:
    """A later artifact of the same type and path takes the place of an earlier one; a claim never does that
    to a measurement."""
    new = reference_of(event)
    best: dict[tuple[str, str | None], Reference] = {}
    for one in sorted((*visit.artifacts, new), key=lambda one: (one.measured, one.at, one.artifact_id)):
        best[one.artifact_type, one.artifact_path] = one
    newest = sorted(best.values(), key=lambda one: (one.at, one.artifact_id))
    dropped = max(0, len(newest) - MAX_ARTIFACTS)
    return replace(
        visit,
        artifacts=tuple(newest[dropped:]),
        artifacts_left_out=visit.artifacts_left_out + dropped,
    )
