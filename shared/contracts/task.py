"""Tasks: the DAG of work, who has claimed what, and how it ended."""

from typing import Annotated, Any, Literal

from pydantic import Field

from shared.contracts.guardian import Change, Intended, InterventionKind
from shared.contracts.lock import GrantedLock, ResourceKey
from shared.contracts.messages import Authority, Command, Event, Key, Measure, Moment, Priority, Query, Result
from shared.contracts.workflow import Workflow

Needs = Literal["all", "any"] | int
Epoch = Annotated[int, Field(description="The `claim_epoch` the claim was answered with.")]
OnDependencyFailure = Literal["block", "skip", "fail"]
"""Once the dependencies can no longer be met: wait for a person, be cancelled, or fail."""
Withholding = Literal["quarantine", "unavailable", "gone"]
"""Why an agent is given no tasks: it is in quarantine, was taken out, or was lost or has left."""
AttemptOutcome = Literal[
    "completed", "failed", "timed_out", "lease_expired", "cancelled", "handed_over", "returned"
]
"""How an attempt ended; one is returned by an agent that leaves in order, and costs no retry."""
YEAR_SECONDS = 366 * 86_400


class TaskRef(Result):
    """Which task the command made or changed, and its state now."""

    task_id: Key
    status: str


class TaskRefs(Result):
    """Which tasks the command made."""

    task_ids: tuple[Key, ...]


class ClaimedTask(Result):
    """A task handed to an agent."""

    task_id: Key
    ticket_id: Key
    phase_id: Key
    visit: int
    task_type: Key
    title: str
    description: str
    priority: Priority
    claim_epoch: int = Field(description="Fencing token: quote it in every later report.")
    lease_expires_at: Moment
    lease_seconds: float
    attempt: int
    timeout_seconds: float | None = None
    repository: str | None = None
    parent_task_id: Key | None = None
    context: str = Field(default="", description="What earlier phases of the ticket came to, in words.")
    locks: tuple[GrantedLock, ...] = Field(
        default=(), description="What the claim locked; it holds them as long as it lasts."
    )


class Claimed(Result):
    """The tasks an agent has won; empty when nothing fits."""

    tasks: tuple[ClaimedTask, ...] = ()
    capacity: int | None = Field(
        default=None, description="Tasks it may have at a time, where a guardian has set that."
    )
    running: int | None = Field(
        default=None, description="Tasks it has, these among them, where its capacity was set so."
    )


class Extended(Result):
    """Until when the claim now holds, and whether the work is still wanted."""

    task_id: Key
    lease_expires_at: Moment | None = None
    cancelled: bool = Field(default=False, description="Stop the work: the task was cancelled.")
    cancel_reason: str | None = None


class CreateTask(Command):
    """Add one task to a ticket."""

    creates = "task_id"

    task_id: Key | None = None
    ticket_id: Key
    phase_id: Key | None = Field(
        default=None,
        description="When absent, the phase the ticket is in, or was in before it was put on hold. Another "
        "one makes a branch, which is worked on whatever phase the ticket is in.",
    )
    task_type: Key
    title: str = Field(min_length=1, max_length=200, description="What is to be done, in one line.")
    description: str = Field(default="", max_length=100_000, description="What is to be done, in full.")
    priority: Priority = Priority.MEDIUM
    required_capabilities: tuple[str, ...] = Field(
        default=(), max_length=32, description="What an agent must be able to do."
    )
    depends_on: tuple[Key, ...] = Field(default=(), max_length=1000)
    needs: Needs = Field(
        default="all", description="How many dependencies must complete: all, any or a number."
    )
    on_dependency_failure: OnDependencyFailure = "block"
    resources: tuple[ResourceKey, ...] = Field(
        default=(), max_length=32, description="Locks the claim takes."
    )
    timeout_seconds: float | None = Field(default=None, gt=0, le=YEAR_SECONDS)
    max_retries: int | None = Field(
        default=None, ge=0, le=100, description="Attempts after the first; the workflow's when absent."
    )
    deadline: Moment | None = Field(default=None, description="The ticket's own when absent.")
    parent_task_id: Key | None = None
    discovery_id: Key | None = Field(
        default=None,
        description="The discovery that asks for it; only services say so. Ask `branch` instead.",
    )


class GenerateTasks(Command):
    """Make the tasks of a phase's templates, once per ticket, visit and template."""

    ticket_id: Key
    phase_id: Key | None = Field(default=None, description="The ticket's current phase when absent.")


class AddDependency(Command):
    """Let a waiting task wait for one more."""

    task_id: Key
    depends_on: Key


class ClaimTask(Command):
    """Take the ready tasks with the smallest rank that the agent can do.

    Those come first that were assigned to the agent and not picked up yet, under the epoch that they have.
    """

    agent_id: Key
    capabilities: tuple[str, ...] | None = Field(
        default=None, max_length=64, description="What the agent can do; absent means anything."
    )
    phases: tuple[Key, ...] | None = Field(default=None, description="Only tasks of these phases.")
    tickets: tuple[Key, ...] | None = Field(
        default=None, max_length=100, description="Only tasks of these tickets."
    )
    task_types: tuple[Key, ...] | None = Field(
        default=None, max_length=100, description="Only tasks of these types."
    )
    max_tasks: int = Field(default=1, ge=1, le=100, description="How many tasks to take at most.")
    wait_seconds: float = Field(
        default=0, ge=0, le=60, description="How long to wait for a task to become ready."
    )


class StartTask(Command):
    """The attempt begins: its timeout runs from here."""

    task_id: Key
    claim_epoch: Epoch


class ReportProgress(Command):
    """Say how far the work is."""

    task_id: Key
    claim_epoch: Epoch
    message: str = Field(default="", max_length=2000, description="What is being done.")
    percent: float | None = Field(default=None, ge=0, le=100, description="How much is done.")


class ExtendClaim(Command):
    """Hold the claim for another lease; the answer says when the task was cancelled."""

    task_id: Key
    claim_epoch: Epoch


class CompleteTask(Command):
    """The work is done."""

    task_id: Key
    claim_epoch: Epoch
    result: dict[str, Any] = Field(
        default_factory=dict, description="`{summary, artifacts: [...], commit, exit_code}`, all optional."
    )


class FailTask(Command):
    """The attempt failed."""

    task_id: Key
    claim_epoch: Epoch
    error: str = Field(max_length=20_000, description="What went wrong.")
    retryable: bool = True


class CancelTask(Command):
    """Stop a task for good; a running worker is told on its next heartbeat."""

    task_id: Key
    reason: str = Field(default="", max_length=2000, description="Why; the worker is told.")


class ReprioritiseTask(Command):
    """Give a task that has not ended another priority; a ready one moves in the order at once."""

    task_id: Key
    priority: Priority
    reason: str = Field(default="", max_length=2000, description="Why, for the history.")


class RetryTask(Command):
    """Make a failed or cancelled task ready again with a fresh retry budget."""

    task_id: Key


class AssignReadyTasks(Command):
    """Give ready tasks, smallest rank first, to the agents that fit them best, as the registry judges.

    The answer names the tasks; each agent hears of its own with its next `claim_task`. A task that no agent
    fits stays ready, and `get_task` says why.
    """

    ticket_id: Key | None = Field(default=None, description="Only tasks of this ticket.")
    limit: int = Field(default=100, ge=1, le=1000, description="How many tasks at most.")


class AssignTask(Command):
    """Claim a task for an agent, who picks it up with its next claim. Sent by the scheduler."""

    authority = Authority.SYSTEM

    task_id: Key
    agent_id: Key
    request: int | None = Field(
        default=None, description="The request it answers; one that is settled already changes nothing."
    )


class EndAssignment(Command):
    """No agent is found for a task. Sent by the scheduler when the registry says so."""

    authority = Authority.SYSTEM

    task_id: Key
    request: int
    reason: str = Field(max_length=2000, description="Why, for people.")


class FollowTicket(Command):
    """Remember what the scheduler must know of a ticket. Sent by the scheduler when it hears of one."""

    authority = Authority.SYSTEM

    ticket_id: Key
    title: str
    description: str
    priority: Priority
    phase_id: Key
    workflow: Key | None = None
    workflow_version: Key
    tags: tuple[str, ...] = ()
    parent_ticket_id: Key | None = None
    deadline: Moment | None = None
    repository: str | None = None
    blocked_by: tuple[Key, ...] = ()


class FollowEdit(Command):
    """A ticket says something else. Sent by the scheduler when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    title: str | None = None
    description: str | None = None
    priority: Priority | None = None
    tags: tuple[str, ...] | None = None
    deadline: Moment | None = None
    repository: str | None = None
    cleared: tuple[str, ...] = ()
    edit: int


class FollowBlockers(Command):
    """A ticket waits for other tickets than before. Sent by the scheduler when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    blocked_by: tuple[Key, ...]
    change: int = Field(description="An older change than the last one heard changes nothing.")


class FollowMigration(Command):
    """A ticket is pinned to another version. Sent by the scheduler when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    workflow_version: Key
    migration: int
    move: int = Field(description="How often the ticket had moved before.")


class FollowContext(Command):
    """The context of a visit is closed. Sent by the scheduler when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    visit: int
    summary: str
    at: Moment


class EndContextWait(Command):
    """The context of the visit that was left has not come in time: go on without. Sent by its timer."""

    authority = Authority.SYSTEM

    ticket_id: Key
    phase_id: Key
    visit: int


class FollowWorkflow(Command):
    """Remember a workflow version. Sent by the scheduler when it hears of one."""

    authority = Authority.SYSTEM

    version: Key
    document: Workflow


class EnterPhase(Command):
    """A ticket entered a phase: generate the visit's tasks. Sent by the scheduler when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    from_phase: Key
    phase_id: Key
    visit: int
    blocking_reasons: tuple[str, ...] = ()
    move: int = Field(
        default=0, description="Number of the move; moves without one are told by their phases."
    )
    migration: int = Field(default=0, description="How often the ticket had been migrated before.")


class SettleTasks(Command):
    """Hold, let go or cancel the open tasks of a ticket of which there is news. Sent by the ticket's timer.

    It runs after the move is committed, and so meets the tasks that came into being at the same moment.
    """

    authority = Authority.SYSTEM

    ticket_id: Key
    after: str = Field(
        default="", description="Go on behind this task id: a large ticket is settled page by page."
    )


class ApproachDeadline(Command):
    """A task's deadline is near: it moves up. Sent by its timer."""

    authority = Authority.SYSTEM

    task_id: Key


class ExpireClaim(Command):
    """A lease ran out. Sent by its timer."""

    authority = Authority.SYSTEM

    task_id: Key
    claim_epoch: int


class TimeOutTask(Command):
    """An attempt ran too long. Sent by its timer."""

    authority = Authority.SYSTEM

    task_id: Key
    claim_epoch: int


class EndBackoff(Command):
    """The delay before a retry is over. Sent by its timer."""

    authority = Authority.SYSTEM

    task_id: Key
    attempt: int


class ReleaseClaims(Command):
    """An agent is gone: its tasks become ready again. Sent by the scheduler when it hears of it."""

    authority = Authority.SYSTEM

    agent_id: Key
    reason: str
    before: Moment | None = Field(
        default=None, description="Leave claims made after this: the agent came back and works on."
    )
    returned: bool = Field(
        default=False, description="Whether the agent gave them back in order, which costs no retry."
    )


class HandOverClaim(Command):
    """Two agents have agreed on a handoff: move the claim. Sent by the scheduler when it hears of it."""

    authority = Authority.SYSTEM

    task_id: Key
    from_agent: Key
    to_agent: Key
    claim_epoch: int
    handoff_id: Key
    reason: str = ""
    context: dict[str, Any] = Field(default_factory=dict)


class FollowAgent(Command):
    """Remember whether an agent may be given tasks. Sent by the scheduler when it hears of it."""

    authority = Authority.SYSTEM

    agent_id: Key
    cause: Withholding
    withheld: bool
    reason: str = ""
    at: Moment


class FollowCapabilities(Command):
    """Remember what an agent can do, and who registered it. Sent by the scheduler when it hears of it."""

    authority = Authority.SYSTEM

    agent_id: Key
    capabilities: tuple[str, ...]
    registered_by: Key | None = Field(default=None, description="None: it has not registered anew.")
    at: Moment


class FollowCapacity(Command):
    """Remember how many tasks an agent may have, where a guardian has set that. Sent by the scheduler."""

    authority = Authority.SYSTEM

    agent_id: Key
    capacity: int | None = Field(description="None: as many as it claims.")
    at: Moment


class ApplyIntervention(Command):
    """Carry out what a guardian wants of a task or a ticket. Sent by the scheduler when it hears of it."""

    authority = Authority.SYSTEM

    intervention_id: Key
    intended: Intended
    reason: str
    actor: str


class RevertIntervention(Command):
    """Restore what was before an intervention. Sent by the scheduler when it hears of it."""

    authority = Authority.SYSTEM

    intervention_id: Key
    revert_id: Key
    intended: Intended
    reason: str
    actor: str


class FollowPhases(Command):
    """Remember in which phases an agent works."""

    authority = Authority.SYSTEM

    agent_id: Key
    phases: tuple[Key, ...] = Field(description="Empty means any.")
    at: Moment


class CapabilitiesFollowed(Event):
    """The scheduler knows what an agent can do."""

    agent_id: Key
    capabilities: tuple[str, ...]
    registered_by: Key | None = Field(default=None, description="None: who did before.")
    at: Moment


class PhasesFollowed(Event):
    """The scheduler knows in which phases an agent works."""

    agent_id: Key
    phases: tuple[Key, ...]
    at: Moment


class CapacityFollowed(Event):
    """The scheduler knows how many tasks an agent may have, or that nobody has set that any more."""

    agent_id: Key
    capacity: int | None
    at: Moment


class AgentClaimsCounted(Event):
    """An agent whose capacity a guardian has set has claimed; it has these tasks now."""

    agent_id: Key
    task_ids: tuple[Key, ...]
    at: Moment


class AgentFollowed(Event):
    """The scheduler knows whether an agent may be given tasks."""

    agent_id: Key
    cause: Withholding
    withheld: bool
    reason: str = ""
    at: Moment


class TicketFollowed(Event):
    """The scheduler knows of a ticket."""

    ticket_id: Key
    title: str
    description: str
    priority: Priority
    phase_id: Key
    workflow: Key | None = None
    workflow_version: Key
    tags: tuple[str, ...] = ()
    parent_ticket_id: Key | None = None
    deadline: Moment | None = None
    repository: str | None = None
    blocked_by: tuple[Key, ...] = ()


class EditFollowed(Event):
    """The scheduler knows what a ticket says now; tasks made from here on are made from it."""

    ticket_id: Key
    title: str | None = None
    description: str | None = None
    priority: Priority | None = None
    tags: tuple[str, ...] | None = None
    deadline: Moment | None = None
    repository: str | None = None
    cleared: tuple[str, ...] = ()
    edit: int


class BlockersFollowed(Event):
    """The scheduler knows which tickets a ticket waits for; while there are any its tasks are held."""

    ticket_id: Key
    blocked_by: tuple[Key, ...]
    change: int


class TicketPaused(Event):
    """No task of a ticket is handed out; those in work go on."""

    ticket_id: Key
    paused_by: str = Field(description="Whose wish it is; not the actor where a pause is restored.")
    reason: str
    since: Moment = Field(description="When it was paused; before now where a pause is restored.")
    given_by: str = Field(description="Intervention that wanted it so, by its id.")
    actor: str
    at: Moment


class TicketResumed(Event):
    """Tasks of a paused ticket are handed out again."""

    ticket_id: Key
    reason: str
    given_by: str = Field(description="Intervention that wanted it so, by its id; empty: as it was opened.")
    actor: str
    at: Moment


class TaskInterventionSettled(Event):
    """What came of an intervention, or of its revert, that is about a task or a ticket."""

    key = "subject"

    subject: Key = Field(description="Ticket it is about, else the intervention's id.")
    intervention_id: Key
    revert_id: Key | None = Field(default=None, description="Of the revert, if it was one.")
    kind: InterventionKind
    ok: bool
    ticket_id: Key | None = None
    task_id: Key | None = None
    before: dict[str, Any] = Field(default_factory=dict, description="What was, as far as it was changed.")
    after: dict[str, Any] = Field(default_factory=dict, description="What is instead.")
    code: str = Field(default="", description="Why it was refused, if it was.")
    message: str = ""
    changed: dict[str, Change] = Field(default_factory=dict, description="What was not as it had been left.")
    at: Moment


class MigrationFollowed(Event):
    """The scheduler knows that a ticket is under another version of its workflow."""

    ticket_id: Key
    workflow_version: Key
    migration: int
    ended: bool = Field(default=False, description="Whether the ticket is over where it stands.")


class ContextFollowed(Event):
    """The scheduler knows what a visit came to; tasks of later visits are claimed with it."""

    ticket_id: Key
    phase_id: Key
    visit: int
    summary: str
    at: Moment


class ContextMissed(Event):
    """The context of the visit that was left did not come in time: the tasks go on without it."""

    ticket_id: Key
    phase_id: Key
    visit: int


class WorkflowFollowed(Event):
    """The scheduler knows a workflow version."""

    key = "version"

    version: Key
    document: Workflow


class PhaseEntered(Event):
    """A ticket entered a phase as the scheduler sees it; the tasks of the visit follow."""

    ticket_id: Key
    phase_id: Key
    visit: int
    generated: int = Field(description="How many tasks the phase's templates made for this visit.")
    on_hold: bool = Field(default=False, description="Whether the ticket's tasks are held while it is here.")
    ended: bool = Field(default=False, description="Whether the ticket is over here.")
    move: int = Field(default=0, description="Number of the move that led here; 0 where the ticket began.")
    waits_for_context: bool = Field(
        default=False, description="Whether its tasks are held until the context of the visit left is here."
    )


class TaskCreated(Event):
    """A task came into being."""

    task_id: Key
    ticket_id: Key
    phase_id: Key
    visit: int
    task_type: Key
    title: str
    description: str
    priority: Priority
    required_capabilities: tuple[str, ...] = ()
    depends_on: tuple[Key, ...] = ()
    needs: Needs = "all"
    on_dependency_failure: OnDependencyFailure = "block"
    resources: tuple[str, ...] = ()
    timeout_seconds: float | None = None
    max_retries: int = 3
    deadline: Moment | None = None
    parent_task_id: Key | None = None
    template: Key | None = None
    repository: str | None = None
    workflow_version: Key | None = None
    created_at: Moment
    blocking_reasons: tuple[str, ...] = Field(
        default=(), description="Why the gate sent the ticket back to this phase."
    )
    branched: bool = Field(
        default=False, description="Whether it was made for another phase than the ticket was in."
    )
    workflow: Key | None = Field(default=None, description="Name of the workflow it is worked under.")
    max_running_per_ticket: int | None = Field(
        default=None, description="It is not claimed while so many tasks of its ticket are."
    )
    max_running_per_workflow: int | None = Field(
        default=None, description="It is not claimed while so many tasks of its workflow are."
    )
    discovery_id: Key | None = Field(
        default=None,
        description="The discovery that asked for it: the two are shown from `discovery.branch_created` on.",
    )


class TaskSpawnRefused(Event):
    """A task that a discovery asked for was not made."""

    task_id: Key
    ticket_id: Key
    discovery_id: Key
    code: str = Field(description="Stable reason in snake case.")
    reason: str
    at: Moment


class TaskDependencyAdded(Event):
    """A task waits for one more."""

    task_id: Key
    ticket_id: Key
    depends_on: Key


class TaskDependentAdded(Event):
    """Another task waits for this one."""

    task_id: Key
    ticket_id: Key
    dependent_id: Key


class TaskDependencyEnded(Event):
    """A task this one waits for has ended."""

    task_id: Key
    ticket_id: Key
    dependency_id: Key
    completed: bool


class TaskDependencyReopened(Event):
    """A task this one waits for had ended without completing and is tried again."""

    task_id: Key
    ticket_id: Key
    dependency_id: Key


class TaskHeld(Event):
    """The task's ticket is on hold or waits for something: nobody may claim the task, who has it goes on."""

    task_id: Key
    ticket_id: Key
    at: Moment | None = None


class TaskReleased(Event):
    """The task's ticket goes on, and the task may be claimed again."""

    task_id: Key
    ticket_id: Key
    at: Moment | None = None


class TaskReprioritised(Event):
    """A task has another priority, or another place in the order of dispatch."""

    task_id: Key
    ticket_id: Key
    priority: Priority
    rank: float | None = Field(default=None, description="Its place if it is ready.")
    reason: str
    actor: str
    given_by: str | None = Field(
        default=None,
        description="Who gave it its priority: an actor, or an intervention by its id; empty: as made. "
        "Absent where only its place has changed.",
    )
    at: Moment


class TaskReady(Event):
    """A task may be claimed; the smallest rank goes first."""

    task_id: Key
    ticket_id: Key
    phase_id: Key
    ready_at: Moment
    rank: float = Field(description="`ready_at` less the boosts, in seconds since 1970.")
    dependency_id: Key | None = Field(
        default=None, description="The task that has just completed and was the last one it needed."
    )


class TaskClaimed(Event):
    """An agent has the task."""

    task_id: Key
    ticket_id: Key
    phase_id: Key
    agent_id: Key
    claim_epoch: int
    attempt: int
    claimed_at: Moment
    lease_expires_at: Moment
    handed_over_from: Key | None = Field(
        default=None, description="The agent who had the claim before and handed it over."
    )
    handoff_id: Key | None = None
    handoff_reason: str = ""
    handoff_context: dict[str, Any] = Field(
        default_factory=dict, description="What the agent before told the new one."
    )
    claimed_by: str | None = Field(
        default=None, description="Actor who claimed it for the agent, and may report on it too."
    )


class TaskClaimantNamed(Event):
    """Another actor than before may report on a claim too: who picked it up for its agent."""

    task_id: Key
    ticket_id: Key
    claim_epoch: int
    claimed_by: str
    agent_id: Key | None = Field(default=None, description="The agent who has the claim.")
    attempt: int | None = Field(default=None, description="Number of the attempt that the claim began.")


class ShareTaken(Event):
    """A task was claimed whose ticket or workflow may have only so many in work: it counts."""

    share_id: str = Field(description="`ticket/<ticket id>` or `workflow/<name>`.")
    task_id: Key
    ticket_id: Key


class ShareReturned(Event):
    """A task that counted is no longer in work."""

    share_id: str = Field(description="`ticket/<ticket id>` or `workflow/<name>`.")
    task_id: Key
    ticket_id: Key


class TaskStarted(Event):
    """The agent began."""

    task_id: Key
    ticket_id: Key
    phase_id: Key
    agent_id: Key
    claim_epoch: int
    attempt: int
    started_at: Moment


class TaskProgressed(Event):
    """The agent says how far it is."""

    task_id: Key
    ticket_id: Key
    agent_id: Key
    claim_epoch: int
    message: str = ""
    percent: float | None = None


class TaskCompleted(Event):
    """The work is done."""

    task_id: Key
    ticket_id: Key
    phase_id: Key
    visit: int
    task_type: Key
    agent_id: Key
    claim_epoch: int
    attempt: int
    result: dict[str, Any]
    completed_at: Moment
    reported_by: str | None = Field(default=None, description="Actor who handed the result in.")


class TaskFailed(Event):
    """The task has failed for good."""

    task_id: Key
    ticket_id: Key
    phase_id: Key
    visit: int
    task_type: Key
    agent_id: Key | None = None
    attempt: int
    error: str
    failed_at: Moment
    claim_epoch: int | None = Field(
        default=None, description="The claim that this ended; absent when none was held any more."
    )


class TaskRetryScheduled(Event):
    """An attempt failed and will be tried again."""

    task_id: Key
    ticket_id: Key
    phase_id: Key
    attempt: int = Field(description="The attempt that failed.")
    error: str
    not_before: Moment
    failed_at: Moment
    task_type: Key | None = None
    agent_id: Key | None = Field(default=None, description="Whose attempt it was.")
    claim_epoch: int | None = Field(
        default=None, description="The claim that this ended; absent when it had timed out already."
    )


class TaskTimedOut(Event):
    """An attempt ran longer than it may."""

    task_id: Key
    ticket_id: Key
    phase_id: Key
    agent_id: Key
    attempt: int
    timeout_seconds: float
    at: Moment
    task_type: Key | None = None


class TaskLeaseExpired(Event):
    """The agent of a claim was silent too long, or is gone, or gave the task back."""

    task_id: Key
    ticket_id: Key
    phase_id: Key
    agent_id: Key
    claim_epoch: int
    attempt: int
    reason: str
    at: Moment
    task_type: Key | None = None
    returned: bool = Field(
        default=False, description="Whether the agent gave the task back in order, which costs no retry."
    )


class TaskCancelled(Event):
    """The task was stopped for good."""

    task_id: Key
    ticket_id: Key
    phase_id: Key
    visit: int
    task_type: Key
    agent_id: Key | None = Field(default=None, description="Who held the claim, if anybody.")
    reason: str
    actor: str
    intervention_id: Key | None = Field(
        default=None, description="Of the guardian's intervention, if it was one."
    )
    cancelled_at: Moment


class TaskRetried(Event):
    """A failed or cancelled task was given a fresh retry budget."""

    task_id: Key
    ticket_id: Key
    phase_id: Key
    visit: int
    actor: str
    at: Moment


class TaskLateReport(Event):
    """A report came after the task had ended; it changed nothing."""

    task_id: Key
    ticket_id: Key
    report: str = Field(description="Wire name of the command that came late.")
    claim_epoch: int
    actor: str
    at: Moment


class TaskHandoverFailed(Event):
    """Two agents agreed on a handoff, but the claim was no longer the first one's; nothing has moved."""

    task_id: Key
    ticket_id: Key
    handoff_id: Key
    from_agent: Key
    to_agent: Key
    claim_epoch: int
    reason: str
    at: Moment


class TaskAssignmentRequested(Event):
    """A ready task is to be given to the agent that fits it best."""

    task_id: Key
    ticket_id: Key
    request: int = Field(description="How often that was asked for of this task.")
    actor: str
    at: Moment


class TaskAssignmentEnded(Event):
    """An agent has been given the task, or none could be."""

    task_id: Key
    ticket_id: Key
    request: int
    agent_id: Key | None = Field(default=None, description="Who has it now; absent when nobody got it.")
    reason: str = Field(default="", description="Why nobody got it.")
    at: Moment


class AgentAssigned(Event):
    """A task was claimed for an agent, who is yet to pick it up."""

    agent_id: Key
    task_id: Key
    ticket_id: Key
    claim_epoch: int
    at: Moment


class TaskPickedUp(Event):
    """An agent has heard of the task that was claimed for it."""

    agent_id: Key
    task_id: Key
    ticket_id: Key
    claim_epoch: int
    lease_expires_at: Moment
    at: Moment


class AssignmentLapsed(Event):
    """A claim that was made for an agent was over before the agent picked it up."""

    agent_id: Key
    task_id: Key
    ticket_id: Key
    claim_epoch: int
    at: Moment


class ReadyTasksMeasure(Measure):
    """How many tasks wait to be claimed, and how long the oldest of them has."""

    drifting = frozenset({"oldest_wait_seconds"})

    count: int = Field(description="Tasks that may be claimed, but for locks and limits.")
    by_phase: dict[str, int] = Field(description="Phase id -> how many; phases without any are left out.")
    by_priority: dict[str, int] = Field(description="Priority -> how many; those without any are left out.")
    oldest_wait_seconds: float = Field(description="Since the oldest became ready; 0 when there is none.")


class GetTask(Query):
    """One task with its attempts, as the scheduler decides on it."""

    task_id: Key


class ReadyTasks(Query):
    """Tasks that may be claimed, smallest rank first."""

    ticket_id: Key | None = None
    limit: int = Field(default=100, ge=1, le=1000)


class DagStatus(Query):
    """A ticket's tasks as a graph: how many stand how, the critical path, and a page of nodes and edges."""

    ticket_id: Key
    limit: int = Field(
        default=1000, ge=1, le=1000, description="Nodes at most; fewer where a message could not hold them."
    )
    after: Key | None = Field(default=None, description="Go on behind this task: the last `next`.")


class ListAttempts(Query):
    """Attempts at tasks, the newest claim first."""

    agent_id: Key | None = Field(default=None, description="Only this agent's.")
    task_id: Key | None = Field(default=None, description="Only those at this task.")
    ticket_id: Key | None = Field(default=None, description="Only those at tasks of this ticket.")
    outcome: AttemptOutcome | Literal["open"] | None = Field(
        default=None, description="Only those that ended so; `open` are those that go on."
    )
    limit: int = Field(default=100, ge=1, le=1000)
    after: str = Field(default="", max_length=100, description="Go on behind this attempt: the last `next`.")


class AttemptView(Result):
    """One claim of a task and what became of it."""

    attempt_id: str = Field(description="`<task id>/<claim epoch>`.")
    task_id: Key
    ticket_id: Key
    phase_id: Key
    task_type: Key
    attempt: int
    claim_epoch: int
    agent_id: Key
    claimed_at: Moment
    started_at: Moment | None = None
    ended_at: Moment | None = None
    outcome: AttemptOutcome | None = Field(default=None, description="Absent while it goes on.")
    error: str | None = Field(default=None, description="Up to 2,000 characters; `get_task` has it whole.")


class AttemptList(Result):
    """A page of attempts."""

    attempts: tuple[AttemptView, ...]
    next: str | None = Field(default=None, description="Ask again with this as `after`; absent at the end.")


class Explain(Query):
    """Why a task is not moving, and what would move it."""

    task_id: Key
