"""Branching: a discovery asks the scheduler for a task, and is shown together with it or not at all.

The rule commits the request and then waits; what comes of it is decided in `outcome.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from services.discovery.budget import Budget, check_budget
from services.discovery.discovery import Discovery, Spawned, discovery_of, evolve, refuse_invalid
from services.discovery.fingerprint import Fingerprint
from services.discovery.recording import (
    Found,
    fingerprinted,
    found_again,
    found_at,
    refuse_other,
    wait_until_recorded,
)
from services.discovery.task import Task, boosted
from services.discovery.workflow import check_phase
from shared.contracts.discovery import (
    WAIT_SECONDS,
    Branch,
    Branched,
    BranchSpec,
    DiscoveryBranchCounted,
    DiscoveryBranchRequested,
)
from shared.contracts.messages import Event
from shared.kernel.decider import Context, Facts, Past, Refused, Unavailable, Waiting

TITLE_MAX = 200
KEY_MAX = 64


class BranchFailed(Refused):
    """The scheduler did not make the task; the details have its code."""


class SpawnedTaskExists(Refused):
    """Another task has the id that the new one was to have."""


@dataclass(frozen=True)
class Wanted:
    """A branch that is asked for, and what it is about."""

    command: Branch
    found: Found
    discovery_id: str
    spawned_task_id: str


def branch(command: Branch, past: Past, context: Context) -> Facts:
    """Ask for a task, unless the same is open in that phase already; answered once that is settled."""
    wanted = _wanted(command, past, context)
    first = past.of(Fingerprint, wanted.found.fingerprint).discovery_id
    if own := _own(wanted, first, past):
        return _answer(*own, [], context)
    discovery = past.of(Discovery, first) if first else _yet_to_be(wanted, past)
    if first and not discovery.recorded:
        wait_until_recorded(first, context, WAIT_SECONDS)
    refuse_invalid(discovery)
    check_phase(wanted.found.workflow, command.spawn_phase_id)
    if there := discovery.open_in(command.spawn_phase_id):
        again = found_again(discovery, wanted.found, context)
        return _answer(there, discovery.discovery_id, again, context, known=True)
    _refuse_taken(wanted, past)
    check_budget(past.of(Budget, wanted.found.source.ticket_id), wanted.found.source, wanted.found.workflow)
    requested = _requested(wanted, discovery, context)
    asked = evolve(discovery, requested)
    new = not discovery.discovery_id
    facts = [
        *([fingerprinted(wanted.found, asked.discovery_id)] if new else []),
        *(found_again(discovery, wanted.found, context) if discovery.recorded else []),
        DiscoveryBranchCounted(ticket_id=asked.ticket_id, spawned_task_id=wanted.spawned_task_id),
        requested,
    ]
    return _answer(asked.branches[wanted.spawned_task_id], asked.discovery_id, facts, context)


def _wanted(command: Branch, past: Past, context: Context) -> Wanted:
    """The command, completed from the discovery that it names."""
    source_task_id, told, text = command.source_task_id, command.discovery_type, command.description
    if source_task_id is None or told is None or text is None:
        named = discovery_of(past, command.discovery_id or "")
        source_task_id = source_task_id or named.source_task_id
        told, text = told or named.discovery_type, text or named.description
    return Wanted(
        command,
        found_at(source_task_id, told, text, command.metadata, past, context),
        command.discovery_id or context.new_id("discovery"),
        command.spawned_task_id or context.new_id("task"),
    )


def _own(wanted: Wanted, first: str | None, past: Past) -> tuple[Spawned, str] | None:
    """The branch, and its discovery, if it was asked for before: under its own id, or under the first's."""
    for discovery_id in filter(None, (first, wanted.discovery_id)):
        if own := past.of(Discovery, discovery_id).branches.get(wanted.spawned_task_id):
            return own, discovery_id
    return None


def _yet_to_be(wanted: Wanted, past: Past) -> Discovery:
    refuse_other(past.of(Discovery, wanted.discovery_id))
    return Discovery()


def _refuse_taken(wanted: Wanted, past: Past) -> None:
    open_ones = past.of(Budget, wanted.found.source.ticket_id).open
    if past.of(Task, wanted.spawned_task_id).exists or wanted.spawned_task_id in open_ones:
        raise SpawnedTaskExists(
            f"There is a task {wanted.spawned_task_id} already. Mint another id, or leave it out.",
            task_id=wanted.spawned_task_id,
        )


def _requested(wanted: Wanted, discovery: Discovery, context: Context) -> DiscoveryBranchRequested:
    command, source = wanted.command, wanted.found.source
    boost = command.priority_boost or discovery.priority_boost
    spec = BranchSpec(
        spawned_task_id=wanted.spawned_task_id,
        source_task_id=source.task_id,
        spawn_phase_id=command.spawn_phase_id,
        task_type=f"discovery_{wanted.found.discovery_type}"[:KEY_MAX],
        title=_title(command.spawn_description.strip() or wanted.found.description),
        description=_description(wanted),
        priority=boosted(source.priority) if boost else source.priority,
        required_capabilities=command.spawn_capabilities,
        depth=source.depth + 1,
    )
    return DiscoveryBranchRequested(
        discovery_id=discovery.discovery_id or wanted.discovery_id,
        ticket_id=source.ticket_id,
        discovery_type=wanted.found.discovery_type,
        discovery_description=wanted.found.description,
        priority_boost=command.priority_boost,
        metadata=command.metadata,
        branch=spec,
        actor=context.actor,
        at=context.at,
    )


def _title(text: str) -> str:
    line = text.splitlines()[0].strip()
    return line if len(line) <= TITLE_MAX else f"{line[: TITLE_MAX - 1].rstrip()}…"


def _description(wanted: Wanted) -> str:
    """What is to be done, and why, for an agent who knows nothing of it."""
    found, asked = wanted.found, wanted.command.spawn_description.strip()
    why = f"Found at task {found.source.task_id} ({found.source.title}), as {found.discovery_type}: "
    return f"{asked}\n\n{why}{found.description}" if asked else f"{why}{found.description}"


def _answer(
    spawned: Spawned, discovery_id: str, facts: Sequence[Event], context: Context, *, known: bool = False
) -> Facts:
    """How the branch stands; who asked waits until that is settled."""
    if spawned.status == "refused":
        raise BranchFailed(
            f"The scheduler did not make the task: {spawned.reason} Nothing was recorded with it.",
            code=spawned.code,
            spawned_task_id=spawned.spawned_task_id,
        )
    patience = context.received_at + timedelta(seconds=WAIT_SECONDS)
    if not spawned.is_there and not context.durable:
        if context.at < patience:
            raise Waiting(patience, facts)
        raise Unavailable("The scheduler has not made the task yet. Ask again with the same id.")
    return [
        *facts,
        Branched(
            discovery_id=discovery_id,
            spawned_task_id=spawned.spawned_task_id,
            workflow_branched=spawned.is_there,
            known=known,
        ),
    ]
