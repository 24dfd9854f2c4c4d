"""The workflow versions by which cards may go from column to column."""

from dataclasses import dataclass

from shared.contracts.board import BoardWorkflowFollowed, FollowWorkflow
from shared.contracts.workflow import Workflow
from shared.kernel.decider import Aggregate, Context, Facts, Past, Unavailable


@dataclass(frozen=True)
class WorkflowVersion:
    """One version; without a document it is not known yet."""

    document: Workflow | None = None


def follow_workflow(command: FollowWorkflow, past: Past, _: Context) -> Facts:
    """A version's content never changes, so once is enough."""
    if past.of(WorkflowVersion, command.version).document:
        return []
    return [BoardWorkflowFollowed(version=command.version, document=command.document)]


def document_of(past: Past, version: str) -> Workflow:
    """The document of a version. Raises Unavailable until board knows it."""
    document = past.of(WorkflowVersion, version).document
    if document is None:
        raise Unavailable(f"Workflow version {version} is not known to the board yet.")
    return document


def evolve(_: WorkflowVersion, event: BoardWorkflowFollowed) -> WorkflowVersion:
    """What is known after `event`."""
    return WorkflowVersion(event.document)


WORKFLOW_VERSION = Aggregate(WorkflowVersion, evolve, key="version")
