"""What becomes of branches as tasks are made, refused, ended and tried again."""

from services.discovery.budget import Budget
from services.discovery.discovery import Discovery, Spawned, closing, evolve
from services.discovery.fingerprint import fingerprint
from services.discovery.recording import reopened
from services.discovery.task import Task, heard_of, is_news
from shared.contracts.discovery import (
    DiscoveryBranchChanged,
    DiscoveryBranchCounted,
    DiscoveryBranchCreated,
    DiscoveryBranchFailed,
    DiscoveryBranchUncounted,
    DiscoveryFingerprinted,
    DiscoveryOutcomeFollowed,
    DiscoveryRecorded,
    DiscoveryTaskFollowed,
    FailBranch,
    FollowOutcome,
    FollowTask,
)
from shared.kernel.decider import Context, Fact, Facts, Past

ALL_ENDED = "All tasks that it spawned have ended."


def follow_task(command: FollowTask, past: Past, context: Context) -> Facts:
    """Remember a task; the one that a branch asked for shows that branch, and the discovery with it."""
    if past.of(Task, command.task_id).exists:
        return []
    parent = heard_of(past, command.parent_task_id) if command.parent_task_id else Task()
    followed = DiscoveryTaskFollowed(
        task_id=command.task_id,
        ticket_id=command.ticket_id,
        phase_id=command.phase_id,
        visit=command.visit,
        title=command.title,
        priority=command.priority,
        depth=parent.depth + (command.discovery_id is not None),
        discovery_id=command.discovery_id,
    )
    discovery = past.of(Discovery, command.discovery_id) if command.discovery_id else Discovery()
    asked = discovery.branches.get(command.task_id)
    if asked is None or asked.status != "requested":
        return [followed]
    created = _created(discovery, asked, command, context)
    if discovery.recorded:
        return [followed, created]
    return [followed, _recorded(discovery, asked, past.of(Task, asked.source_task_id), context), created]


def _recorded(discovery: Discovery, asked: Spawned, source: Task, context: Context) -> DiscoveryRecorded:
    return DiscoveryRecorded(
        discovery_id=discovery.discovery_id,
        ticket_id=discovery.ticket_id,
        source_task_id=asked.source_task_id,
        discovery_type=discovery.discovery_type,
        description=discovery.description,
        phase_id=source.phase_id,
        visit=source.visit,
        priority_boost=discovery.priority_boost,
        metadata=dict(discovery.metadata),
        actor=asked.actor,
        recorded_at=context.at,
        spawned_task_id=asked.spawned_task_id,
    )


def _created(
    discovery: Discovery, asked: Spawned, command: FollowTask, context: Context
) -> DiscoveryBranchCreated:
    return DiscoveryBranchCreated(
        discovery_id=discovery.discovery_id,
        ticket_id=discovery.ticket_id,
        discovery_type=discovery.discovery_type,
        discovery_description=discovery.description,
        source_task_id=asked.source_task_id,
        spawned_task_id=asked.spawned_task_id,
        spawn_phase_id=asked.spawn_phase_id,
        visit=command.visit,
        priority=command.priority,
        depth=asked.depth,
        task_type=asked.task_type,
        title=asked.title,
        description=asked.description,
        required_capabilities=asked.required_capabilities,
        parent_task_id=asked.source_task_id,
        recorded=not discovery.recorded,
        actor=asked.actor,
        at=context.at,
    )


def fail_branch(command: FailBranch, past: Past, context: Context) -> Facts:
    """Forget what was never shown; after its end a branch does not change."""
    discovery = past.of(Discovery, command.discovery_id)
    asked = discovery.branches.get(command.spawned_task_id)
    if asked is None or asked.status != "requested":
        return []
    failed = DiscoveryBranchFailed(
        discovery_id=discovery.discovery_id,
        ticket_id=discovery.ticket_id,
        spawned_task_id=asked.spawned_task_id,
        code=command.code,
        reason=command.reason,
        at=context.at,
    )
    after = evolve(discovery, failed)
    facts: list[Fact] = [failed, _uncounted(discovery, asked)]
    if after.recorded:
        return [*facts, *_settled(after, context)]
    return facts if after.under_way else [*facts, _forgotten(discovery)]


def _forgotten(discovery: Discovery) -> DiscoveryFingerprinted:
    told = fingerprint(discovery.ticket_id, discovery.discovery_type, discovery.description)
    return DiscoveryFingerprinted(fingerprint=told, ticket_id=discovery.ticket_id, discovery_id=None)


def _uncounted(discovery: Discovery, branch: Spawned) -> DiscoveryBranchUncounted:
    return DiscoveryBranchUncounted(ticket_id=discovery.ticket_id, spawned_task_id=branch.spawned_task_id)


def follow_outcome(command: FollowOutcome, past: Past, context: Context) -> Facts:
    """Remember how a task ended; a discovery resolves by itself with the last task that it spawned."""
    task = heard_of(past, command.task_id)
    if not is_news(task, command.status, command.at):
        return []
    followed = DiscoveryOutcomeFollowed(
        task_id=task.task_id, ticket_id=task.ticket_id, status=command.status, at=command.at
    )
    discovery = past.of(Discovery, task.discovery_id) if task.discovery_id else Discovery()
    branch = discovery.branches.get(task.task_id)
    if branch is None or branch.status == command.status:
        return [followed]
    changed = DiscoveryBranchChanged(
        discovery_id=discovery.discovery_id,
        ticket_id=discovery.ticket_id,
        spawned_task_id=task.task_id,
        status=command.status,
        at=command.at,
    )
    after = evolve(discovery, changed)
    return [followed, changed, *_counted(after, branch, past), *_settled(after, context)]


def _counted(discovery: Discovery, branch: Spawned, past: Past) -> Facts:
    """A task that is tried again takes its place again, even where that is one too many."""
    is_open = discovery.branches[branch.spawned_task_id].goes_on
    counts = branch.spawned_task_id in past.of(Budget, discovery.ticket_id).open
    if is_open == counts:
        return []
    if counts:
        return [_uncounted(discovery, branch)]
    return [DiscoveryBranchCounted(ticket_id=discovery.ticket_id, spawned_task_id=branch.spawned_task_id)]


def _settled(discovery: Discovery, context: Context) -> Facts:
    """The end that follows from the ends of the tasks, or the end of that end."""
    goes_on = any(branch.goes_on for branch in discovery.branches.values())
    if discovery.status == "in_progress" and not goes_on:
        return [closing(discovery, context, automatic=True, reason=ALL_ENDED)]
    if discovery.status == "resolved" and discovery.automatic and goes_on:
        return [reopened(discovery, "A task that it spawned is tried again.", context)]
    return []
