"""A workflow version: the templates and policies that tickets pinned to it are worked under."""

from dataclasses import dataclass

from shared.contracts.task import FollowWorkflow, WorkflowFollowed
from shared.contracts.workflow import Workflow
from shared.kernel.decider import Aggregate, Context, Facts, Past, Unavailable


@dataclass(frozen=True)
class WorkflowVersion:
    """The document of one version; None while the scheduler has not heard of it."""

    document: Workflow | None = None


def evolve(_: WorkflowVersion, event: WorkflowFollowed) -> WorkflowVersion:
    """A version never changes once it is known."""
    return WorkflowVersion(event.document)


WORKFLOW = Aggregate(WorkflowVersion, evolve, "version")


def follow_workflow(command: FollowWorkflow, past: Past, _: Context) -> Facts:
    """Remember a version; once is enough."""
    if past.of(WorkflowVersion, command.version).document:
        return []
    return [WorkflowFollowed(version=command.version, document=command.document)]


def workflow_of(past: Past, version: str) -> Workflow:
    """The document of a version; `Unavailable` until the scheduler has heard of it."""
    document = past.of(WorkflowVersion, version).document
    if document is None:
        raise Unavailable(f"The scheduler has not heard of workflow version {version} yet.")
    return document
