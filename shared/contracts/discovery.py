"""Discoveries: what agents find on the way, and the tasks that branch off because of it.

A discovery and the task it spawns appear together or not at all. `branch` asks, and answers once both are
there; until then `discovery.branch_requested` is all there is. A task that was spawned has the discovery's id
in `task.created`, and whoever shows tasks hides one with a `discovery_id` until `discovery.branch_created`
has come for it, which says enough of the task to show it, whichever of the two is heard first. A discovery
that was recorded together with its first branch has that task's id in `discovery.recorded`, and is hidden as
long. `discovery.branch_failed` says that the scheduler refused; then neither is ever shown.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from shared.contracts.collaboration import Metadata
from shared.contracts.gate import TaskStatus
from shared.contracts.messages import (
    Authority,
    Command,
    Contract,
    Event,
    Key,
    Moment,
    Priority,
    Query,
    Result,
)

TYPES = (
    "bug",
    "optimization",
    "clarification_needed",
    "new_component",
    "security_issue",
    "performance_issue",
    "missing_requirement",
    "integration_issue",
    "technical_debt",
)
"""What may be discovered under any workflow; its `discovery_types` adds more."""

WAIT_SECONDS = 10
"""How long `branch` waits for the scheduler."""

DiscoveryStatus = Literal["open", "in_progress", "resolved", "invalid"]
"""`in_progress` while tasks that it spawned are open; `invalid` once it is dismissed."""

Type = Annotated[
    Key, Field(description="`bug`, `technical_debt`, ..., or one that the workflow adds; in any case.")
]
Description = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=4000),
    Field(description="What was found, at most 4,000 characters."),
]
Reason = Annotated[str, Field(max_length=2000, description="Why, for the history.")]


class DiscoveryRef(Result):
    """A discovery after the command."""

    discovery_id: Key = Field(description="Of the first one, where the same was recorded before.")
    status: DiscoveryStatus
    known: bool = Field(default=False, description="Whether the same was recorded before.")


class Branched(Result):
    """A discovery and the task that it spawned.

    The queries of discovery and of the scheduler show both now; read models follow a moment later.
    """

    discovery_id: Key = Field(description="Of the first one, where the same was recorded before.")
    spawned_task_id: Key
    workflow_branched: bool = Field(
        description="Whether the task is there. Only the durable lane answers before that is known."
    )
    known: bool = Field(
        default=False, description="Whether this discovery had an open task in that phase before."
    )


class Record(Command):
    """Remember what was found while working on a task.

    The same again (ticket, type and description, but for case, spaces, quotes around words and marks at their
    ends) is linked to the first, with what is told differently.
    """

    discovery_id: Key | None = Field(default=None, description="Derived from the command's id when absent.")
    source_task_id: Key = Field(description="The task at which it was found; it goes on.")
    discovery_type: Type
    description: Description
    priority_boost: bool = Field(
        default=False, description="Tasks that it spawns get one priority more than the source."
    )
    metadata: Metadata = Field(default_factory=dict)


class Branch(Command):
    """Spawn a task because of a discovery, in any phase of the ticket's workflow.

    It records the discovery together with the task; or it names one that is recorded, and may then leave out
    source, type and description. Answered at the latest after 10 s, once the queries of discovery and of the
    scheduler show the task; read models (`projection`) follow a moment later.
    """

    discovery_id: Key | None = Field(default=None, description="Derived from the command's id when absent.")
    source_task_id: Key | None = Field(
        default=None,
        description="The task at which it was found; it goes on, and is the spawned one's parent.",
    )
    discovery_type: Type | None = None
    description: Description | None = None
    priority_boost: bool = Field(
        default=False, description="The task gets one priority more than the source has."
    )
    metadata: Metadata = Field(default_factory=dict)
    spawned_task_id: Key | None = Field(
        default=None, description="Derived from the command's id when absent."
    )
    spawn_phase_id: Key = Field(description="Any phase, wherever the ticket is.")
    spawn_description: str = Field(
        default="", max_length=20_000, description="What is to be done; the description when empty."
    )
    spawn_capabilities: tuple[str, ...] = Field(
        default=(), max_length=32, description="What an agent must be able to do."
    )

    @model_validator(mode="after")
    def _of_something(self) -> "Branch":
        told = (self.source_task_id, self.discovery_type, self.description)
        if self.discovery_id is None and None in told:
            raise ValueError(
                "name source_task_id, discovery_type and description, or the discovery_id of a recorded one"
            )
        return self


class Resolve(Command):
    """Say that a discovery is dealt with. Tasks that it spawned go on."""

    discovery_id: Key
    reason: Reason = ""


class Dismiss(Command):
    """Say that a discovery is none. Tasks that it spawned go on; nothing more branches off it."""

    discovery_id: Key
    reason: Reason = ""


class FollowWorkflow(Command):
    """Remember what a workflow version says of discoveries. Sent by discovery when it hears of one."""

    authority = Authority.SYSTEM

    version: Key
    phases: tuple[Key, ...]
    types: tuple[Key, ...] = ()
    max_open_branches: int
    max_depth: int


class FollowTicket(Command):
    """Remember a ticket. Sent by discovery when it hears that one was opened."""

    authority = Authority.SYSTEM

    ticket_id: Key
    workflow_version: Key


class FollowMigration(Command):
    """A ticket is pinned to another version of its workflow. Sent by discovery when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    workflow_version: Key
    migration: int


class FollowTask(Command):
    """A task came into being, spawned by a discovery or not. Sent by discovery when it hears of it."""

    authority = Authority.SYSTEM

    task_id: Key
    ticket_id: Key
    phase_id: Key
    visit: int
    title: str
    priority: Priority
    parent_task_id: Key | None = None
    discovery_id: Key | None = None


class FollowPriority(Command):
    """A task has another priority. Sent by discovery when it hears of it."""

    authority = Authority.SYSTEM

    task_id: Key
    priority: Priority
    at: Moment


class FollowOutcome(Command):
    """A task ended, or is tried again. Sent by discovery when it hears of it."""

    authority = Authority.SYSTEM

    task_id: Key
    status: TaskStatus
    at: Moment


class FailBranch(Command):
    """The scheduler did not make the task of a branch. Sent by discovery when it hears of it."""

    authority = Authority.SYSTEM

    discovery_id: Key
    spawned_task_id: Key
    code: str
    reason: str


class DiscoveryWorkflowFollowed(Event):
    """Discovery knows what a workflow version says of discoveries."""

    key = "version"

    version: Key
    phases: tuple[Key, ...]
    types: tuple[Key, ...] = ()
    max_open_branches: int
    max_depth: int


class DiscoveryTicketFollowed(Event):
    """Discovery knows a ticket, or that it is pinned to another version of its workflow."""

    ticket_id: Key
    workflow_version: Key
    migration: int = 0


class DiscoveryTaskFollowed(Event):
    """Discovery knows a task."""

    task_id: Key
    ticket_id: Key
    phase_id: Key
    visit: int
    title: str
    priority: Priority
    depth: int = Field(description="How many branches lead to it.")
    discovery_id: Key | None = Field(default=None, description="The discovery that spawned it, if one did.")


class DiscoveryPriorityFollowed(Event):
    """Discovery knows a task's new priority."""

    task_id: Key
    ticket_id: Key
    priority: Priority
    at: Moment


class DiscoveryOutcomeFollowed(Event):
    """Discovery knows that a task ended, or is tried again."""

    task_id: Key
    ticket_id: Key
    status: TaskStatus
    at: Moment


class DiscoveryFingerprinted(Event):
    """From now on the same of a ticket is this discovery; or none, where it came to nothing."""

    fingerprint: Key
    ticket_id: Key
    discovery_id: Key | None


class DiscoveryRecorded(Event):
    """Something was found."""

    discovery_id: Key
    ticket_id: Key
    source_task_id: Key
    discovery_type: Key
    description: str
    phase_id: Key = Field(description="Phase of the source task.")
    visit: int = Field(description="Visit of the source task.")
    priority_boost: bool = False
    metadata: dict[str, Any] = Field(default_factory=dict)
    actor: str
    recorded_at: Moment
    spawned_task_id: Key | None = Field(
        default=None,
        description="Recorded together with this task: shown from its `discovery.branch_created` on.",
    )


class DiscoveryRecordedAgain(Event):
    """The same was found once more: at another task, or told differently."""

    discovery_id: Key
    ticket_id: Key
    source_task_id: Key
    actor: str
    at: Moment
    description: str | None = Field(default=None, description="Its words, where they are not the first's.")
    metadata: dict[str, Any] = Field(
        default_factory=dict, description="Where there is some, and it is not the first's."
    )


class BranchSpec(Contract):
    """What becomes a task."""

    spawned_task_id: Key
    source_task_id: Key = Field(description="The task at which it was found: the spawned one's parent.")
    spawn_phase_id: Key
    task_type: Key = Field(description="`discovery_<type>`.")
    title: str
    description: str = Field(description="What is to be done, and why.")
    priority: Priority
    required_capabilities: tuple[str, ...] = ()
    depth: int = Field(description="How many branches lead to the task, this one included.")


class DiscoveryBranchRequested(Event):
    """The scheduler is to make a task. Nothing is shown yet."""

    discovery_id: Key
    ticket_id: Key
    discovery_type: Key
    discovery_description: str
    priority_boost: bool = False
    metadata: dict[str, Any] = Field(default_factory=dict)
    branch: BranchSpec
    actor: str
    at: Moment


class DiscoveryBranchCreated(Event):
    """A discovery has spawned a task. From here on both are shown; if not dismissed it is `in_progress`."""

    discovery_id: Key
    ticket_id: Key
    discovery_type: Key
    discovery_description: str
    source_task_id: Key
    spawned_task_id: Key
    spawn_phase_id: Key
    visit: int = Field(description="Visit of the spawned task's phase that it belongs to.")
    priority: Priority
    depth: int
    task_type: Key
    title: str
    description: str
    required_capabilities: tuple[str, ...] = ()
    parent_task_id: Key
    recorded: bool = Field(description="Whether the discovery was recorded together with this task.")
    actor: str
    at: Moment


class DiscoveryBranchFailed(Event):
    """The scheduler refused to make the task; neither it nor a discovery recorded for it is ever shown."""

    discovery_id: Key
    ticket_id: Key
    spawned_task_id: Key
    code: str = Field(description="The scheduler's code.")
    reason: str
    at: Moment


class DiscoveryBranchCounted(Event):
    """An open branch of a ticket, which may have only so many."""

    ticket_id: Key
    spawned_task_id: Key


class DiscoveryBranchUncounted(Event):
    """A branch of a ticket is no longer open."""

    ticket_id: Key
    spawned_task_id: Key


class DiscoveryBranchChanged(Event):
    """A task that a discovery spawned has ended, or is tried again."""

    discovery_id: Key
    ticket_id: Key
    spawned_task_id: Key
    status: TaskStatus
    at: Moment


class DiscoveryResolved(Event):
    """A discovery is dealt with."""

    discovery_id: Key
    ticket_id: Key
    automatic: bool = Field(description="Whether it resolved because all tasks that it spawned have ended.")
    reason: str = ""
    actor: str
    completed: int = Field(default=0, description="How many of its tasks were completed.")
    failed: int = 0
    cancelled: int = 0
    at: Moment


class DiscoveryDismissed(Event):
    """A discovery was none."""

    discovery_id: Key
    ticket_id: Key
    reason: str = ""
    actor: str
    at: Moment
    phase_id: Key | None = Field(default=None, description="Phase of the task at which it was found.")
    visit: int | None = None


class DiscoveryReopened(Event):
    """A resolved discovery was found again, or one of its tasks is tried again."""

    discovery_id: Key
    ticket_id: Key
    reason: str
    at: Moment


class BranchView(Result):
    """A task that a discovery spawned."""

    spawned_task_id: Key
    source_task_id: Key
    spawn_phase_id: Key
    title: str
    priority: Priority
    depth: int
    status: TaskStatus
    created_at: Moment


class DiscoverySummary(Result):
    """A discovery in a list."""

    discovery_id: Key
    ticket_id: Key
    source_task_id: Key
    discovery_type: Key
    description: str
    phase_id: Key
    status: DiscoveryStatus
    recorded_by: str
    recorded_at: Moment
    branches: int = Field(description="How many tasks it has spawned.")
    open_branches: int = Field(description="How many of them have not ended.")
    closed_at: Moment | None = Field(default=None, description="When it was resolved or dismissed.")
    place: int = Field(description="Grows in the order in which discoveries were recorded.")


class DiscoveryView(Result):
    """A discovery with the tasks that it spawned."""

    discovery_id: Key
    ticket_id: Key
    source_task_id: Key
    linked_task_ids: tuple[Key, ...] = Field(
        default=(), description="Other tasks at which the same was found."
    )
    discovery_type: Key
    description: str
    phase_id: Key
    visit: int
    status: DiscoveryStatus
    priority_boost: bool
    metadata: dict[str, Any]
    recorded_by: str
    recorded_at: Moment
    times_recorded: int
    branches: tuple[BranchView, ...]
    under_way: int = Field(default=0, description="Branches whose tasks are not made yet; not in `branches`.")
    closed_at: Moment | None = Field(default=None, description="When it was resolved or dismissed.")
    closed_by: str | None = None
    automatic: bool = Field(default=False, description="Whether it resolved by itself.")
    reason: str = Field(default="", description="Why it was resolved or dismissed.")


class Discoveries(Result):
    """One page of discoveries, newest first."""

    discoveries: tuple[DiscoverySummary, ...]
    next_before: int | None = Field(default=None, description="The next page's `before`, if there is one.")
    under_way: int = Field(
        default=0,
        description="Branches of which the scheduler has not said yet whether their tasks are made; neither "
        "those nor discoveries recorded with them are listed.",
    )


class DiscoveryAnalytics(Result):
    """How discoveries come about and how they end."""

    total: int
    by_type: dict[str, int]
    by_phase: dict[str, int] = Field(description="By the phase in which they were found.")
    by_status: dict[str, int]
    resolution_rate: float | None = Field(
        description="Share of those not dismissed that are resolved; null when there are none."
    )
    resolution_seconds_mean: float | None
    resolution_seconds_median: float | None
    branches: int = Field(description="Tasks that were spawned.")
    branches_by_phase: dict[str, int] = Field(description="By the phase they were spawned in.")
    branch_depth_mean: float | None
    branch_depth_max: int = Field(description="0 when nothing was spawned.")


class GetDiscovery(Query):
    """One discovery. The answer waits, up to three seconds, for branches of it that are under way."""

    discovery_id: Key


class ListDiscoveries(Query):
    """Discoveries, newest first. The answer waits, up to three seconds, for branches that are under way."""

    ticket_id: Key | None = None
    status: DiscoveryStatus | None = None
    discovery_type: Key | None = None
    source_task_id: Key | None = None
    before: int | None = Field(default=None, ge=0, description="Only those recorded before this place.")
    limit: int = Field(default=50, ge=1, le=200, description="At most so many.")


class Analytics(Query):
    """Counts, rates and times, of one ticket or of all."""

    ticket_id: Key | None = None
