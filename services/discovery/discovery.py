"""A discovery: what was found at a task, which tasks that has spawned, and how it is closed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from uuid import uuid5

from shared.contracts.discovery import (
    DiscoveryBranchChanged,
    DiscoveryBranchCreated,
    DiscoveryBranchFailed,
    DiscoveryBranchRequested,
    DiscoveryDismissed,
    DiscoveryRecorded,
    DiscoveryRecordedAgain,
    DiscoveryRef,
    DiscoveryReopened,
    DiscoveryResolved,
    DiscoveryStatus,
    Dismiss,
    Resolve,
)
from shared.contracts.gate import TaskStatus
from shared.contracts.messages import Priority
from shared.kernel.decider import NAMESPACE, Aggregate, Context, Facts, Past, Refused

LINKED_MAX = 100
"""Tasks that a discovery is linked to beside the first; more are only counted."""
TOLD_MAX = 100
"""Ways of telling a discovery that are remembered, the latest; the log has the words of all."""
REFUSED_MAX = 10
"""Branches that came to nothing which a discovery remembers, so that who asked again is told so."""

BranchStatus = Literal["requested", "refused"] | TaskStatus


class DiscoveryNotFound(Refused):
    """No discovery of that id was recorded."""


class DiscoveryIsInvalid(Refused):
    """The discovery was dismissed."""


@dataclass(frozen=True)
class Spawned:
    """A task that a discovery has spawned, or asks for."""

    spawned_task_id: str
    source_task_id: str
    spawn_phase_id: str
    task_type: str
    title: str
    priority: Priority
    depth: int
    actor: str
    requested_at: datetime
    status: BranchStatus = "requested"
    description: str = ""
    """What is to be done, until the task says it."""
    required_capabilities: tuple[str, ...] = ()
    created_at: datetime | None = None
    code: str = ""
    reason: str = ""
    """Why the scheduler refused."""

    @property
    def is_there(self) -> bool:
        """Whether the task was made."""
        return self.created_at is not None

    @property
    def goes_on(self) -> bool:
        """Whether the task has not ended, or is yet to be made."""
        return self.status in ("requested", "open")


@dataclass(frozen=True)
class Discovery:
    """What is known of a discovery; until it is recorded nobody is shown it."""

    discovery_id: str = ""
    ticket_id: str = ""
    source_task_id: str = ""
    discovery_type: str = ""
    description: str = ""
    phase_id: str = ""
    visit: int = 0
    priority_boost: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    recorded_by: str = ""
    recorded_at: datetime | None = None
    times_recorded: int = 0
    linked_task_ids: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    """Digests of what was told differently."""
    status: DiscoveryStatus = "open"
    branches: Mapping[str, Spawned] = field(default_factory=dict)
    closed_at: datetime | None = None
    closed_by: str | None = None
    automatic: bool = False
    reason: str = ""

    @property
    def recorded(self) -> bool:
        """Whether it may be shown."""
        return self.recorded_at is not None

    @property
    def spawned(self) -> tuple[Spawned, ...]:
        """The branches whose tasks were made."""
        return tuple(branch for branch in self.branches.values() if branch.is_there)

    @property
    def under_way(self) -> tuple[Spawned, ...]:
        """The branches whose tasks are yet to be made."""
        return tuple(branch for branch in self.branches.values() if branch.status == "requested")

    def known_to(self, task_id: str) -> bool:
        """Whether it is linked to a task."""
        return task_id == self.source_task_id or task_id in self.linked_task_ids

    def is_news(self, again: DiscoveryRecordedAgain) -> bool:
        """Whether it tells the discovery as it was not told before."""
        return bool(again.description or again.metadata) and _digest(again) not in self.told

    def open_in(self, phase_id: str) -> Spawned | None:
        """The branch into a phase that goes on, if there is one."""
        going_on = (branch for branch in self.branches.values() if branch.goes_on)
        return next((branch for branch in going_on if branch.spawn_phase_id == phase_id), None)


def resolve(command: Resolve, past: Past, context: Context) -> Facts:
    """Deal with it by hand, whatever its tasks do; once is enough."""
    discovery = discovery_of(past, command.discovery_id)
    if discovery.status == "resolved":
        return [ref(discovery)]
    refuse_invalid(discovery)
    resolved = closing(discovery, context, automatic=False, reason=command.reason)
    return [resolved, ref(evolve(discovery, resolved))]


def dismiss(command: Dismiss, past: Past, context: Context) -> Facts:
    """It was none, even where it was taken for resolved; once is enough."""
    discovery = discovery_of(past, command.discovery_id)
    if discovery.status == "invalid":
        return [ref(discovery)]
    dismissed = DiscoveryDismissed(
        discovery_id=discovery.discovery_id,
        ticket_id=discovery.ticket_id,
        reason=command.reason,
        actor=context.actor,
        at=context.at,
        phase_id=discovery.phase_id,
        visit=discovery.visit,
    )
    return [dismissed, ref(evolve(discovery, dismissed))]


def closing(discovery: Discovery, context: Context, *, automatic: bool, reason: str) -> DiscoveryResolved:
    """The end of a discovery, with what became of its tasks."""
    ends = [branch.status for branch in discovery.spawned]
    return DiscoveryResolved(
        discovery_id=discovery.discovery_id,
        ticket_id=discovery.ticket_id,
        automatic=automatic,
        reason=reason,
        actor=context.actor,
        completed=ends.count("completed"),
        failed=ends.count("failed"),
        cancelled=ends.count("cancelled"),
        at=context.at,
    )


def discovery_of(past: Past, discovery_id: str) -> Discovery:
    """A discovery that was recorded. Raises DiscoveryNotFound."""
    discovery = past.of(Discovery, discovery_id)
    if not discovery.recorded:
        raise not_found(discovery_id)
    return discovery


def not_found(discovery_id: str) -> DiscoveryNotFound:
    """The refusal for a discovery that nobody recorded."""
    return DiscoveryNotFound(
        f"There is no discovery {discovery_id}. `omoi discover list` shows those there are.",
        discovery_id=discovery_id,
    )


def refuse_invalid(discovery: Discovery) -> None:
    """Raises DiscoveryIsInvalid."""
    if discovery.status == "invalid":
        why = f": {discovery.reason}" if discovery.reason else "."
        raise DiscoveryIsInvalid(
            f"Discovery {discovery.discovery_id} was dismissed{why} If there is more to it, record what is "
            "different.",
            discovery_id=discovery.discovery_id,
        )


def ref(discovery: Discovery, *, known: bool = False) -> DiscoveryRef:
    """How it stands."""
    return DiscoveryRef(discovery_id=discovery.discovery_id, status=discovery.status, known=known)


DiscoveryEvent = (
    DiscoveryRecorded
    | DiscoveryRecordedAgain
    | DiscoveryBranchRequested
    | DiscoveryBranchCreated
    | DiscoveryBranchFailed
    | DiscoveryBranchChanged
    | DiscoveryResolved
    | DiscoveryDismissed
    | DiscoveryReopened
)


def evolve(discovery: Discovery, event: DiscoveryEvent) -> Discovery:
    """The discovery after `event`."""
    match event:
        case DiscoveryRecorded():
            return _recorded(discovery, event)
        case DiscoveryRecordedAgain():
            return _recorded_again(discovery, event)
        case DiscoveryBranchRequested():
            return _requested(discovery, event)
        case DiscoveryBranchCreated():
            return _created(discovery, event)
        case DiscoveryBranchFailed():
            told = {"status": "refused", "code": event.code, "reason": event.reason, "description": ""}
            return _with(discovery, event.spawned_task_id, **told)
        case DiscoveryBranchChanged():
            return _with(discovery, event.spawned_task_id, status=event.status)
        case DiscoveryResolved():
            closed = _closed(discovery, event.actor, event.at, event.reason)
            return replace(closed, status="resolved", automatic=event.automatic)
        case DiscoveryDismissed():
            return replace(_closed(discovery, event.actor, event.at, event.reason), status="invalid")
        case DiscoveryReopened():
            return _going_on(discovery)


def _recorded(discovery: Discovery, event: DiscoveryRecorded) -> Discovery:
    return replace(
        discovery,
        discovery_id=event.discovery_id,
        ticket_id=event.ticket_id,
        source_task_id=event.source_task_id,
        discovery_type=event.discovery_type,
        description=event.description,
        phase_id=event.phase_id,
        visit=event.visit,
        priority_boost=event.priority_boost,
        metadata=event.metadata,
        recorded_by=event.actor,
        recorded_at=event.recorded_at,
        times_recorded=1,
    )


def _recorded_again(discovery: Discovery, event: DiscoveryRecordedAgain) -> Discovery:
    linked, told = discovery.linked_task_ids, discovery.told
    if not discovery.known_to(event.source_task_id):
        linked = (*linked, event.source_task_id)[:LINKED_MAX]
    if discovery.is_news(event):
        told = (*told, _digest(event))[-TOLD_MAX:]
    times = discovery.times_recorded + 1
    return replace(discovery, linked_task_ids=linked, told=told, times_recorded=times)


def _digest(event: DiscoveryRecordedAgain) -> str:
    told = json.dumps([event.description, event.metadata], sort_keys=True)
    return str(uuid5(NAMESPACE, told))


def _requested(discovery: Discovery, event: DiscoveryBranchRequested) -> Discovery:
    refused = [branch.spawned_task_id for branch in discovery.branches.values() if branch.code]
    kept = {
        task_id: branch
        for task_id, branch in discovery.branches.items()
        if task_id not in refused[:-REFUSED_MAX]
    }
    branch = Spawned(**event.branch.model_dump(), actor=event.actor, requested_at=event.at)
    asked = replace(discovery, branches={**kept, branch.spawned_task_id: branch})
    if discovery.discovery_id:
        return asked
    return replace(
        asked,
        discovery_id=event.discovery_id,
        ticket_id=event.ticket_id,
        source_task_id=event.branch.source_task_id,
        discovery_type=event.discovery_type,
        description=event.discovery_description,
        priority_boost=event.priority_boost,
        metadata=event.metadata,
    )


def _created(discovery: Discovery, event: DiscoveryBranchCreated) -> Discovery:
    told = {"status": "open", "created_at": event.at, "description": "", "priority": event.priority}
    created = _with(discovery, event.spawned_task_id, **told)
    return created if created.status == "invalid" else _going_on(created)


def _with(discovery: Discovery, task_id: str, **changes: Any) -> Discovery:
    branch = replace(discovery.branches[task_id], **changes)
    return replace(discovery, branches={**discovery.branches, task_id: branch})


def _closed(discovery: Discovery, actor: str, at: datetime, reason: str) -> Discovery:
    return replace(discovery, closed_at=at, closed_by=actor, reason=reason, automatic=False)


def _going_on(discovery: Discovery) -> Discovery:
    at_work = any(branch.status == "open" for branch in discovery.spawned)
    status: DiscoveryStatus = "in_progress" if at_work else "open"
    return replace(discovery, status=status, closed_at=None, closed_by=None, reason="", automatic=False)


DISCOVERY = Aggregate(Discovery, evolve, key="discovery_id")
