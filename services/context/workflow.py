"""The workflow versions that tickets are pinned to, as far as context looks at them."""

from dataclasses import dataclass

from shared.contracts.context import ContextWorkflowFollowed, FollowWorkflow
from shared.kernel.decider import Aggregate, Context, Facts, Past


@dataclass(frozen=True)
class WorkflowVersion:
    """One version; without phases it is not known yet."""

    name: str = ""
    phases: tuple[str, ...] = ()
    blocked_phase: str | None = None


def follow_workflow(command: FollowWorkflow, past: Past, _: Context) -> Facts:
    """A version's content never changes, so once is enough."""
    if past.of(WorkflowVersion, command.version).phases:
        return []
    return [ContextWorkflowFollowed(**dict(command))]


def evolve(_: WorkflowVersion, event: ContextWorkflowFollowed) -> WorkflowVersion:
    """What is known after `event`."""
    return WorkflowVersion(event.name, event.phases, event.blocked_phase)


WORKFLOW_VERSION = Aggregate(WorkflowVersion, evolve, key="version")
