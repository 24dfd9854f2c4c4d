"""The guardian: who may do what, interventions that can be undone, and policies that intervene by themselves.

An intervention is asked for (`guardian.intervention_requested`), carried out by the service that owns what it
is about, which answers with its own `intervention_settled`, and is then told as `guardian.intervened` with
what was before and after. A revert goes the same way.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

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
