"""What a workflow version says of discoveries: which types there are, and how far they may branch."""

from dataclasses import dataclass

from shared.contracts.discovery import TYPES, DiscoveryWorkflowFollowed, FollowWorkflow
from shared.kernel.decider import Aggregate, Context, Facts, Past, Refused


class UnknownDiscoveryType(Refused):
    """Neither built in nor added by the workflow."""


class UnknownPhase(Refused):
    """The ticket's workflow has no such phase."""


@dataclass(frozen=True)
class WorkflowVersion:
    """One version; without phases it is not known yet."""

    phases: tuple[str, ...] = ()
    own_types: tuple[str, ...] = ()
    max_open_branches: int = 0
    max_depth: int = 0

    @property
    def types(self) -> tuple[str, ...]:
        """All that may be discovered under it."""
        return tuple(dict.fromkeys((*TYPES, *self.own_types)))


def follow_workflow(command: FollowWorkflow, past: Past, _: Context) -> Facts:
    """A version's content never changes, so once is enough."""
    if past.of(WorkflowVersion, command.version).phases:
        return []
    return [DiscoveryWorkflowFollowed(**dict(command))]


def type_named(workflow: WorkflowVersion, name: str) -> str:
    """The type of that name, in whatever case it is written. Raises UnknownDiscoveryType."""
    if name in workflow.types:
        return name
    for discovery_type in workflow.types:
        if discovery_type.casefold() == name.casefold():
            return discovery_type
    raise UnknownDiscoveryType(
        f"There is no type {name} of discoveries; there are {', '.join(workflow.types)}. "
        "A workflow adds its own in `discovery_types`.",
        discovery_type=name,
        types=list(workflow.types),
    )


def check_phase(workflow: WorkflowVersion, phase_id: str) -> None:
    """Raises UnknownPhase."""
    if phase_id not in workflow.phases:
        raise UnknownPhase(
            f"The ticket's workflow has no phase {phase_id}; it has {', '.join(workflow.phases)}.",
            phase_id=phase_id,
            phases=list(workflow.phases),
        )


def evolve(_: WorkflowVersion, event: DiscoveryWorkflowFollowed) -> WorkflowVersion:
    """What is known after `event`."""
    return WorkflowVersion(event.phases, event.types, event.max_open_branches, event.max_depth)


WORKFLOW_VERSION = Aggregate(WorkflowVersion, evolve, key="version")
