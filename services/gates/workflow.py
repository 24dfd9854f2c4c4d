"""The workflow versions that gates judges by."""

from dataclasses import dataclass

from shared.contracts.gate import FollowWorkflow, GateWorkflowFollowed
from shared.contracts.workflow import Workflow
from shared.kernel.decider import Aggregate, Context, Facts, Past


@dataclass(frozen=True)
class WorkflowVersion:
    """One version; without a document it is not known yet."""

    document: Workflow | None = None


def follow_workflow(command: FollowWorkflow, past: Past, _: Context) -> Facts:
    """A version's content never changes, so once is enough."""
    if past.of(WorkflowVersion, command.version).document:
        return []
    return [GateWorkflowFollowed(version=command.version, document=command.document)]


def evolve(_: WorkflowVersion, event: GateWorkflowFollowed) -> WorkflowVersion:
    """What is known after `event`."""
    return WorkflowVersion(event.document)


WORKFLOW_VERSION = Aggregate(WorkflowVersion, evolve, key="version")
