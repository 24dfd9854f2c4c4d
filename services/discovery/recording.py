"""Recording what was found: once for a ticket, type and description, and linked where it is found again."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

from services.discovery.discovery import Discovery, evolve, ref
from services.discovery.fingerprint import Fingerprint, fingerprint
from services.discovery.task import Task
from services.discovery.ticket import Ticket
from services.discovery.workflow import WorkflowVersion, type_named
from shared.contracts.discovery import (
    DiscoveryFingerprinted,
    DiscoveryRecorded,
    DiscoveryRecordedAgain,
    DiscoveryReopened,
    Record,
)
from shared.kernel.decider import Context, Facts, Past, Refused, Unavailable, Waiting

HEARING_SECONDS = 5
"""How long a command waits for news of a task that may have been made a moment ago."""


class TaskNotFound(Refused):
    """Discovery has not heard of the task."""


class DiscoveryAlreadyExists(Refused):
    """Another discovery has that id."""


@dataclass(frozen=True)
class Found:
    """Something found at a task, with what decides on it."""

    source: Task
    workflow: WorkflowVersion
    discovery_type: str
    description: str
    metadata: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """What it is told from others by."""
        return fingerprint(self.source.ticket_id, self.discovery_type, self.description)


def found_at(
    task_id: str,
    discovery_type: str,
    description: str,
    metadata: dict[str, Any],
    past: Past,
    context: Context,
) -> Found:
    """Something found at a task that discovery knows."""
    task = past.of(Task, task_id)
    if not task.exists:
        _wait(context)
        raise TaskNotFound(
            f"Discovery knows no task {task_id}. Check the id; if it was made a moment ago, try again.",
            task_id=task_id,
        )
    workflow = past.of(WorkflowVersion, past.of(Ticket, task.ticket_id).workflow_version)
    if not workflow.phases:
        _wait(context)
        raise Unavailable(f"Discovery has not heard of the workflow of ticket {task.ticket_id} yet.")
    return Found(task, workflow, type_named(workflow, discovery_type), description, metadata)


def _wait(context: Context, seconds: float = HEARING_SECONDS) -> None:
    patience = context.received_at + timedelta(seconds=seconds)
    if context.at < patience:
        raise Waiting(patience)


def wait_until_recorded(discovery_id: str, context: Context, seconds: float = HEARING_SECONDS) -> NoReturn:
    """The same is found again before the first who found it is answered."""
    _wait(context, seconds)
    raise Unavailable(f"The same is being recorded as {discovery_id}, together with a task. Try again.")


def record(command: Record, past: Past, context: Context) -> Facts:
    """Remember it, or link it to what was found before."""
    told = (command.discovery_type, command.description, command.metadata)
    found = found_at(command.source_task_id, *told, past, context)
    discovery_id = command.discovery_id or context.new_id("discovery")
    first = past.of(Fingerprint, found.fingerprint).discovery_id
    if first is None:
        refuse_other(past.of(Discovery, discovery_id))
        recorded = DiscoveryRecorded(
            discovery_id=discovery_id,
            ticket_id=found.source.ticket_id,
            source_task_id=found.source.task_id,
            discovery_type=found.discovery_type,
            description=found.description,
            phase_id=found.source.phase_id,
            visit=found.source.visit,
            priority_boost=command.priority_boost,
            metadata=command.metadata,
            actor=context.actor,
            recorded_at=context.at,
        )
        return [fingerprinted(found, discovery_id), recorded, ref(evolve(Discovery(), recorded))]
    discovery = past.of(Discovery, first)
    if not discovery.recorded:
        wait_until_recorded(first, context)
    again = found_again(discovery, found, context)
    for event in again:
        discovery = evolve(discovery, event)
    return [*again, ref(discovery, known=first != discovery_id)]


def found_again(
    discovery: Discovery, found: Found, context: Context
) -> list[DiscoveryRecordedAgain | DiscoveryReopened]:
    """What is new when the same is found; at another task it opens again what was taken for resolved."""
    task_id = found.source.task_id
    again = DiscoveryRecordedAgain(
        discovery_id=discovery.discovery_id,
        ticket_id=discovery.ticket_id,
        source_task_id=task_id,
        actor=context.actor,
        at=context.at,
        description=found.description if found.description != discovery.description else None,
        metadata=found.metadata if found.metadata != discovery.metadata else {},
    )
    known_here = discovery.known_to(task_id)
    if known_here and not discovery.is_news(again):
        return []
    if known_here or discovery.status != "resolved":
        return [again]
    return [again, reopened(discovery, f"It was found again at task {task_id}.", context)]


def reopened(discovery: Discovery, reason: str, context: Context) -> DiscoveryReopened:
    """It is not dealt with after all."""
    return DiscoveryReopened(
        discovery_id=discovery.discovery_id, ticket_id=discovery.ticket_id, reason=reason, at=context.at
    )


def fingerprinted(found: Found, discovery_id: str) -> DiscoveryFingerprinted:
    """From now on the same is this one."""
    return DiscoveryFingerprinted(
        fingerprint=found.fingerprint, ticket_id=found.source.ticket_id, discovery_id=discovery_id
    )


def refuse_other(discovery: Discovery) -> None:
    """Raises DiscoveryAlreadyExists where the id of something new is taken."""
    if discovery.recorded or discovery.under_way:
        raise DiscoveryAlreadyExists(
            f"Discovery {discovery.discovery_id} is another one: {discovery.description[:200]!r}. "
            "Mint another id, or leave it out.",
            discovery_id=discovery.discovery_id,
        )
