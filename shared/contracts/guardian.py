"""The guardian: who may do what, interventions that can be undone, and policies that intervene by themselves.

An intervention is asked for (`guardian.intervention_requested`), carried out by the service that owns what it
is about, which answers with its own `intervention_settled`, and is then told as `guardian.intervened` with
what was before and after. A revert goes the same way.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, WithJsonSchema

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
from shared.contracts.policy import Fact, Policy, Subject
from shared.contracts.wrong import told

REASON_MAX = 2000
WAIT_SECONDS = 5.0
"""How long whoever asks for an intervention or its revert waits for the outcome."""

Reason = Annotated[str, Field(min_length=1, max_length=REASON_MAX, description="Why; kept for good.")]

InterventionKind = Literal[
    "cancel_task",
    "reallocate_capacity",
    "override_priority",
    "quarantine_agent",
    "pause_ticket",
    "resume_ticket",
]
InterventionStatus = Literal[
    "proposed", "requested", "in_effect", "refused", "rejected", "expired", "reverting", "reverted"
]
"""`proposed`: waits for an approval. `requested`: the owning service has not answered yet. `in_effect`: done.
`refused`: the owning service could not; nothing happened. `rejected` and `expired`: nobody approved.
`reverting`: being undone. `reverted`: what was, is again."""


def _level(value: object) -> object:
    """`guardian`, `GUARDIAN` and `4` mean the same."""
    if isinstance(value, str):
        return Authority.__members__.get(value.strip().upper(), value)
    return value


Level = Annotated[
    Authority,
    BeforeValidator(_level),
    PlainSerializer(lambda level: level.name, return_type=str),
    WithJsonSchema({"type": "string", "enum": list(Authority.__members__)}),
    Field(description="WORKER, WATCHDOG, MONITOR, GUARDIAN or SYSTEM; its number is taken too."),
]


class Intended(Contract):
    """What an intervention is to do; the fields that its kind has are set."""

    kind: InterventionKind
    task_id: Key | None = None
    ticket_id: Key | None = None
    agent_id: Key | None = None
    from_agent: Key | None = None
    to_agent: Key | None = None
    capacity: int | None = Field(default=None, ge=1, le=1000, description="Tasks at a time that are moved.")
    priority: Priority | None = None


class Change(Contract):
    """Something that is not as an intervention had left it."""

    left_as: Any
    is_now: Any
    by: str | None = Field(default=None, description="Who changed it, where that is known.")


class GrantAuthority(Command):
    """Give an actor an authority, in place of one granted before.

    Needs GUARDIAN; nobody grants more than they have. What configuration grants stays: the higher one holds.
    """

    authority = Authority.GUARDIAN

    actor: Key
    level: Level
    reason: Reason
    expires_in_seconds: float | None = Field(
        default=None, gt=0, le=31_536_000, description="The grant ends by itself after so long."
    )


class RevokeAuthority(Command):
    """Take back what was granted to an actor; what configuration grants stays.

    Needs GUARDIAN; nobody takes back more than they have."""

    authority = Authority.GUARDIAN

    actor: Key
    reason: Reason


class Granted(Result):
    """What the guardian has granted to an actor."""

    actor: Key
    level: Level
    reason: str
    granted_by: str
    granted_at: Moment
    expires_at: Moment | None = Field(default=None, description="When it ends by itself; never when absent.")


class Revoked(Result):
    """What was taken back."""

    actor: Key
    level: Level


class _Intervene(Command):
    """What every intervention is given beside its aim."""

    authority = Authority.GUARDIAN
    creates = "intervention_id"

    intervention_id: Key | None = Field(default=None, description="Derived from the command when absent.")
    reason: Reason
    caused_by: Key | None = Field(default=None, description="Id of the event that made it necessary.")


class CancelTask(_Intervene):
    """Stop a task at once; the worker is told and its process ends. Reverting queues the task again."""

    task_id: Key


class ReallocateCapacity(_Intervene):
    """Move capacity from one agent to another; the first keeps at least 1."""

    from_agent: Key
    to_agent: Key
    capacity: int = Field(ge=1, le=1000, description="Tasks at a time that are moved.")


class OverridePriority(_Intervene):
    """Give a task that has not ended another priority."""

    task_id: Key
    priority: Priority


class QuarantineAgent(_Intervene):
    """Give an agent no more work and take what it has. Reverting releases it."""

    agent_id: Key


class PauseTicket(_Intervene):
    """Dispatch no task of a ticket; what runs goes on."""

    ticket_id: Key


class ResumeTicket(_Intervene):
    """Dispatch tasks of a paused ticket again."""

    ticket_id: Key


class Approve(Command):
    """Let a proposed intervention happen. Whoever proposed it may not."""

    authority = Authority.GUARDIAN

    intervention_id: Key
    reason: str = Field(default="", max_length=REASON_MAX, description="Why, for the history.")


class Reject(Command):
    """Drop a proposed intervention."""

    authority = Authority.GUARDIAN

    intervention_id: Key
    reason: Reason


class ExpireProposal(Command):
    """Nobody approved an intervention in time. Sent by its timer."""

    authority = Authority.SYSTEM

    intervention_id: Key


class Revert(Command):
    """Restore what was before an intervention.

    Refused `world_moved_on` where that is not possible any more; the details say what changed.
    """

    authority = Authority.GUARDIAN

    intervention_id: Key
    reason: Reason


class SettleIntervention(Command):
    """The owning service answered. Sent by the guardian when it hears of it."""

    authority = Authority.SYSTEM

    intervention_id: Key
    revert_id: Key | None = Field(default=None, description="Of the revert that it answers, if it does one.")
    ok: bool
    ticket_id: Key | None = None
    before: dict[str, Any] = Field(default_factory=dict)
    after: dict[str, Any] = Field(default_factory=dict)
    code: str = ""
    message: str = ""
    changed: dict[str, Change] = Field(default_factory=dict)


class InterventionOutcome(Result):
    """How an intervention stands."""

    intervention_id: Key
    kind: InterventionKind
    status: InterventionStatus
    before: dict[str, Any] = Field(default_factory=dict, description="What was, as far as it was changed.")
    after: dict[str, Any] = Field(default_factory=dict, description="What is instead.")


class GuardianAuthorityGranted(Event):
    """An actor has an authority."""

    actor: Key
    level: Level
    reason: str
    granted_by: str
    expires_at: Moment | None = None
    at: Moment


class GuardianAuthorityRevoked(Event):
    """An actor has what configuration grants, else WORKER authority."""

    actor: Key
    level: Level = Field(description="What was taken back.")
    reason: str
    revoked_by: str
    at: Moment


class GuardianInterventionProposed(Event):
    """An intervention waits for an approval."""

    intervention_id: Key
    intended: Intended
    reason: str
    actor: str
    policy: Key | None = None
    caused_by: str | None = None
    expires_at: Moment | None = None
    at: Moment


class GuardianInterventionRejected(Event):
    """A proposed intervention does not happen."""

    intervention_id: Key
    reason: str
    rejected_by: str | None = Field(default=None, description="Nobody: its time ran out.")
    at: Moment


class GuardianInterventionRequested(Event):
    """The service that owns what the intervention is about is to carry it out."""

    intervention_id: Key
    intended: Intended
    reason: str
    actor: str
    approver: str | None = None
    approval_reason: str = ""
    policy: Key | None = None
    caused_by: str | None = None
    at: Moment


class GuardianIntervened(Event):
    """An intervention is in effect."""

    key = "subject"

    subject: Key = Field(description="Ticket it is about, else the intervention's id.")
    intervention_id: Key
    intended: Intended
    before: dict[str, Any]
    after: dict[str, Any]
    reason: str
    actor: str
    approver: str | None = None
    policy: Key | None = None
    caused_by: str | None = Field(default=None, description="Id of the event that caused it.")
    at: Moment


class GuardianInterventionRefused(Event):
    """The owning service could not carry it out; nothing happened."""

    intervention_id: Key
    code: str
    message: str
    at: Moment


class GuardianRevertRequested(Event):
    """The owning service is to restore what was, if nothing else has changed it since."""

    intervention_id: Key
    revert_id: Key = Field(description="A revert that was refused may be asked for again, under another id.")
    intended: Intended
    before: dict[str, Any]
    after: dict[str, Any]
    reason: str
    actor: str
    at: Moment


class GuardianInterventionReverted(Event):
    """What was before an intervention is again."""

    key = "subject"

    subject: Key = Field(description="Ticket it is about, else the intervention's id.")
    intervention_id: Key
    before: dict[str, Any] = Field(description="What the intervention had made.")
    after: dict[str, Any] = Field(description="What is again.")
    reason: str
    actor: str
    at: Moment


class GuardianRevertRefused(Event):
    """The world moved on: an intervention stays."""

    intervention_id: Key
    revert_id: Key
    message: str
    changed: dict[str, Change] = Field(description="What is not as the intervention left it.")
    actor: str
    at: Moment


class ListGrants(Query):
    """What the guardian has granted and not taken back, by actor."""


class Grants(Result):
    """What the guardian has granted; what configuration grants is not among it."""

    grants: tuple[Granted, ...]


class InterventionSummary(Result):
    """How an intervention stands, and who wanted it why."""

    intervention_id: Key
    intended: Intended
    status: InterventionStatus
    ticket_id: Key | None = Field(default=None, description="Ticket that it is about, as far as is known.")
    reason: str
    actor: str
    approver: str | None = None
    policy: Key | None = None
    caused_by: str | None = None
    at: Moment = Field(description="When it was proposed or asked for.")


class RevertView(Result):
    """How it went when somebody wanted an intervention undone."""

    revert_id: Key
    actor: str
    reason: str
    message: str = Field(default="", description="Why it was refused, if it was.")
    changed: dict[str, Change] = Field(default_factory=dict, description="What was not as it had been left.")
    at: Moment


class InterventionView(InterventionSummary):
    """One intervention with everything that is known of it."""

    before: dict[str, Any] = Field(default_factory=dict, description="What was, as far as it was changed.")
    after: dict[str, Any] = Field(default_factory=dict, description="What was made of it.")
    code: str = Field(default="", description="Why it was refused, if it was.")
    message: str = Field(default="", description="The same in words; or why it was rejected.")
    expires_at: Moment | None = Field(default=None, description="Until when it may be approved.")
    in_effect_at: Moment | None = None
    revert: RevertView | None = Field(default=None, description="The last one that was asked for.")


class InterventionList(Result):
    """Interventions, newest first."""

    interventions: tuple[InterventionSummary, ...]


class GetIntervention(Query):
    """One intervention with everything that is known of it."""

    intervention_id: Key


class ListInterventions(Query):
    """Interventions, newest first."""

    status: InterventionStatus | None = None
    ticket_id: Key | None = None
    limit: int = Field(default=100, ge=1, le=1000)


class TaskSeen(Contract):
    """A task, as policies read it."""

    id: Key
    ticket_id: Key
    phase_id: str = ""
    task_type: str = ""
    priority: Priority = Priority.MEDIUM
    status: str = Field(
        default="waiting",
        description="`waiting`, `ready`, `claimed`, `running`, `completed`, `failed` or `cancelled`.",
    )
    held: bool = Field(default=False, description="Whether its ticket keeps it from being handed out.")
    agent_id: Key | None = None
    attempt: int = 0
    retries_left: int = 0
    max_retries: int = 0
    timeout_seconds: float | None = None
    deadline: Moment | None = None
    created_at: Moment | None = None
    ready_at: Moment | None = None
    started_at: Moment | None = None
    required_capabilities: tuple[str, ...] = ()


class AgentSeen(Contract):
    """An agent, as policies read it."""

    id: Key
    standing: str = Field(
        default="IDLE", description="`IDLE`, `DEGRADED`, `FAILED` or `TERMINATED`, in quarantine too."
    )
    quarantined: bool = Field(
        default=False, description="Until it is released, whatever it does meanwhile: coming back ends none."
    )
    available: bool = True
    capacity: int = 1
    running: int = 0
    capabilities: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """Its standing, or `QUARANTINED`."""
        return "QUARANTINED" if self.quarantined and self.standing != "TERMINATED" else self.standing


class TicketSeen(Contract):
    """A ticket, as policies read it."""

    id: Key
    workflow: str = ""
    phase_id: str = ""
    priority: Priority = Priority.MEDIUM
    deadline: Moment | None = None
    paused: bool = False
    ended: bool = False


class WipSeen(Contract):
    """A column that holds more than its limit."""

    column: Key
    limit: int
    count: int
    forced: bool


class DiscoverySeen(Contract):
    """Something that was found."""

    id: Key
    type: Key


class FollowTask(Command):
    """Something happened to a task. Sent by the guardian when it hears of it."""

    authority = Authority.SYSTEM

    fact: Fact
    task_id: Key
    ticket_id: Key
    at: Moment
    changes: dict[str, Any] = Field(default_factory=dict, description="Fields of `TaskSeen`.")
    tries_spent: int = Field(default=0, description="Retries that it used up.")


class FollowAgent(Command):
    """Something happened to an agent. Sent by the guardian when it hears of it."""

    authority = Authority.SYSTEM

    fact: Fact
    agent_id: Key
    at: Moment
    changes: dict[str, Any] = Field(default_factory=dict, description="Fields of `AgentSeen`.")
    more: int = Field(default=0, description="Tasks that it has more; less where negative.")


class FollowTicket(Command):
    """Something happened to a ticket. Sent by the guardian when it hears of it."""

    authority = Authority.SYSTEM

    fact: Fact
    ticket_id: Key
    at: Moment
    changes: dict[str, Any] = Field(default_factory=dict, description="Fields of `TicketSeen`.")
    wip: WipSeen | None = None
    discovery: DiscoverySeen | None = None


class LoadPolicy(Command):
    """Have a policy watched, in place of one of the same name."""

    authority = Authority.GUARDIAN

    document: dict[str, Any] | str = Field(description="The policy, as an object or as YAML text.")


class RemovePolicy(Command):
    """Watch a policy no more; what it has done stays, and what it is to undo is undone."""

    authority = Authority.GUARDIAN

    name: Key
    reason: Reason


class ReachMoment(Command):
    """The time has come that a policy waits for at a subject. Sent by the guardian's timer."""

    authority = Authority.SYSTEM

    watch_id: str
    subject: Subject
    subject_id: Key
    due: Moment
    waited: bool = Field(default=False, description="Whether it came late, and news was let in first.")


class RollBack(Command):
    """Undo what a policy did. Sent by the guardian's timer."""

    authority = Authority.SYSTEM

    intervention_id: Key
    after_seconds: float
    policy: Key


class GuardianTaskFollowed(Event):
    """Something happened to a task; the task is told whole."""

    key = "ticket_id"

    task_id: Key
    ticket_id: Key
    task: TaskSeen
    fact: Fact
    at: Moment = Field(description="When it happened.")
    heard_at: Moment = Field(description="When the guardian heard of it.")
    cause: str | None = Field(default=None, description="Id of the event that told it.")


class GuardianAgentFollowed(Event):
    """Something happened to an agent; the agent is told whole."""

    key = "agent_id"

    fleet: Key = "fleet"
    agent_id: Key
    agent: AgentSeen
    fact: Fact
    at: Moment = Field(description="When it happened.")
    heard_at: Moment = Field(description="When the guardian heard of it.")
    cause: str | None = Field(default=None, description="Id of the event that told it.")


class GuardianWaitingFollowed(Event):
    """A task of a priority began or ceased to be ready."""

    key = "fleet"

    fleet: Key = "fleet"
    task_id: Key
    before: Priority | None = Field(default=None, description="Absent when it was not ready.")
    after: Priority | None = Field(default=None, description="Absent when it is ready no more.")
    fact: Fact
    at: Moment = Field(description="When it happened.")
    heard_at: Moment = Field(description="When the guardian heard of it.")
    cause: str | None = Field(default=None, description="Id of the event that told it.")


class GuardianTicketFollowed(Event):
    """Something happened to a ticket; the ticket is told whole."""

    key = "ticket_id"

    ticket_id: Key
    ticket: TicketSeen
    wip: WipSeen | None = None
    discovery: DiscoverySeen | None = None
    fact: Fact
    at: Moment = Field(description="When it happened.")
    heard_at: Moment = Field(description="When the guardian heard of it.")
    cause: str | None = Field(default=None, description="Id of the event that told it.")


class GuardianMomentReached(Event):
    """The time came that a policy waits for at a subject, and nothing had ended that by then."""

    key = "subject_id"

    watch_id: str
    subject: Subject
    subject_id: Key
    at: Moment
    heard_at: Moment


class GuardianPolicyLoaded(Event):
    """A policy is watched from now on."""

    key = "name"

    book: Key = "all"
    name: Key
    version: Key
    load: int = Field(description="How many policies had been loaded, with this one.")
    document: Policy
    loaded_by: str
    at: Moment


class GuardianPolicyRemoved(Event):
    """A policy is watched no more."""

    key = "name"

    book: Key = "all"
    name: Key
    reason: str
    removed_by: str
    at: Moment


class GuardianConditionBegan(Event):
    """A condition holds at a subject, and is met at a time if it goes on holding."""

    key = "subject_id"

    watch_id: str = Field(description="`<subject>-<subject id>`.")
    subject: Subject
    subject_id: Key
    policy: Key
    version: Key
    trigger: Key
    load: int = Field(description="Number of the policy's load.")
    since: Moment
    due: Moment
    causes: tuple[str, ...] = ()


class GuardianConditionEnded(Event):
    """A condition does not hold any more, before it was met."""

    key = "subject_id"

    watch_id: str = Field(description="`<subject>-<subject id>`.")
    subject: Subject
    subject_id: Key
    policy: Key
    version: Key
    trigger: Key
    load: int = Field(description="Number of the policy's load.")


class GuardianFactCounted(Event):
    """One more of the facts that a trigger counts."""

    key = "subject_id"

    watch_id: str = Field(description="`<subject>-<subject id>`.")
    subject: Subject
    subject_id: Key
    policy: Key
    version: Key
    trigger: Key
    load: int = Field(description="Number of the policy's load.")
    times: tuple[Moment, ...] = Field(description="Of those that count now, oldest first.")


class PlannedAction(Contract):
    """What a policy does, or would do."""

    kind: InterventionKind | Literal["notify"]
    intended: Intended | None = None
    intervention_id: Key | None = Field(default=None, description="Absent where nothing is done.")
    problem: str = Field(default="", description="Why it cannot be done.")


class GuardianPolicyTriggered(Event):
    """The condition of a policy was met."""

    key = "about"

    about: Key = Field(description="Ticket it is about, else the subject's id.")
    watch_id: str = Field(description="`<subject>-<subject id>`.")
    subject: Subject
    subject_id: Key
    policy: Key
    version: Key
    trigger: Key
    load: int = Field(description="Number of the policy's load.")
    actions: tuple[PlannedAction, ...]
    shadow: bool = Field(description="Whether it is only recorded what would have been done.")
    cause: tuple[str, ...] = Field(default=(), description="Ids of the events that made it.")
    cooled_at: Moment = Field(description="From when on it may be triggered again at the subject.")
    at: Moment


class GuardianPolicyMissed(Event):
    """The condition of a policy was met, but that was heard of too late: nothing is done."""

    key = "about"

    about: Key = Field(description="Ticket it is about, else the subject's id.")
    watch_id: str = Field(description="`<subject>-<subject id>`.")
    subject: Subject
    subject_id: Key
    policy: Key
    version: Key
    trigger: Key
    load: int = Field(description="Number of the policy's load.")
    cause: tuple[str, ...] = ()
    cooled_at: Moment = Field(description="From when on it may be triggered again at the subject.")
    late_seconds: float
    at: Moment


def intended_by(aim: dict[str, Any]) -> tuple[Intended | None, str]:
    """The intervention that arguments describe, or what is wrong with them."""
    try:
        return Intended.model_validate(aim), ""
    except ValidationError as error:
        return None, told(error)


class PolicyVersion(Result):
    """A policy after the command."""

    name: Key
    version: Key


class PolicyView(Result):
    """A policy that is watched."""

    name: Key
    version: Key
    enabled: bool
    shadow: bool
    triggers: int
    loaded_by: str
    loaded_at: Moment
    document: Policy | None = Field(default=None, description="Where one is asked for.")


class Policies(Result):
    """The policies that are watched, by name."""

    policies: tuple[PolicyView, ...]


class Triggered(Result):
    """One time a policy was triggered, or would have been."""

    policy: Key
    version: Key
    trigger: Key
    subject: Subject
    subject_id: Key
    at: Moment
    missed: bool = Field(default=False, description="Whether it was heard of too late; nothing is done.")
    shadow: bool = False
    actions: tuple[PlannedAction, ...] = ()
    cause: tuple[str, ...] = Field(default=(), description="Ids of the events that made it.")
    position: int = Field(description="Place in the guardian's log at which it was decided.")


class Triggers(Result):
    """What policies did, newest first; of a back-test, what one would have done, oldest first."""

    triggers: tuple[Triggered, ...]
    looked_at: int = Field(default=0, description="Events of the guardian's log that were gone through.")
    cut: bool = Field(default=False, description="Whether there are more than are told.")


class ListPolicies(Query):
    """The policies that are watched."""


class GetPolicy(Query):
    """One policy with its document."""

    name: Key


class ListTriggers(Query):
    """What policies did or would have done, newest first."""

    policy: Key | None = None
    limit: int = Field(default=100, ge=1, le=1000)


class Backtest(Query):
    """What a policy would have done in a part of the guardian's log, as a policy in shadow records it.

    `first` and `last` are positions, `since` and `until` times; the whole log when absent.
    """

    document: dict[str, Any] | str = Field(description="The policy, as an object or as YAML text.")
    first: int = Field(default=1, ge=1)
    last: int | None = Field(default=None, ge=1)
    since: Moment | None = None
    until: Moment | None = None
    limit: int = Field(default=1000, ge=1, le=1000, description="At most so many are told.")
