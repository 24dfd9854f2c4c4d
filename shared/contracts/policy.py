"""The policy document: what the guardian watches for and what it then does, as people write it in YAML."""

import hashlib
import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args

import orjson
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from shared.contracts.messages import Contract, Key
from shared.contracts.wrong import Wrong, in_words

LONGEST_SECONDS = 366 * 24 * 3600.0
MOST_TRIGGERS = 50
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([smhd])\s*$")


def seconds_of(value: Any) -> Any:
    """`90s`, `5m`, `1.5h` and `2d` as seconds; anything else as it is."""
    found = _SPAN.match(value) if isinstance(value, str) else None
    return float(found[1]) * _UNITS[found[2]] if found else value


def text_of(value: Any) -> Any:
    """A number is an expression too."""
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else value


def seconds_text(value: Any) -> Any:
    """A span of time as an expression that comes to seconds."""
    return text_of(seconds_of(value))


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _named(value: Any) -> Any:
    """An action without arguments may be written as its name alone."""
    return {value: {}} if isinstance(value, str) else value


Span = Annotated[
    float, BeforeValidator(seconds_of, json_schema_input_type=float | str), Field(ge=0, le=LONGEST_SECONDS)
]
"""A span of time in seconds, or as text: `90s`, `5m`, `1h`, `2d`."""

Expression = Annotated[
    str, BeforeValidator(text_of, json_schema_input_type=str | float), Field(min_length=1, max_length=500)
]
"""An expression over what is read, for example `task.priority == CRITICAL`."""

Lasting = Annotated[
    str,
    BeforeValidator(seconds_text, json_schema_input_type=str | float),
    Field(min_length=1, max_length=500),
]
"""A span of time, or an expression that comes to seconds."""

Subject = Literal["task", "agent", "ticket", "fleet"]
"""What is looked at: one task, one agent, one ticket, or all agents and waiting tasks together."""

TaskFact = Literal[
    "task.created",
    "task.ready",
    "task.claimed",
    "task.started",
    "task.completed",
    "task.failed",
    "task.retry_scheduled",
    "task.timed_out",
    "task.lease_expired",
    "task.cancelled",
    "task.retried",
    "task.reprioritised",
    "task.held",
    "task.released",
]
AgentFact = Literal[
    "agent.registered",
    "agent.updated",
    "agent.availability_changed",
    "agent.degraded",
    "agent.lost",
    "agent.recovered",
    "agent.quarantined",
    "agent.released",
    "agent.deregistered",
    "agent.attempt_began",
    "agent.attempt_ended",
]
TicketFact = Literal[
    "phase.ticket_opened",
    "phase.ticket_edited",
    "phase.transitioned",
    "task.ticket_paused",
    "task.ticket_resumed",
    "discovery.recorded",
    "discovery.branch_created",
    "board.wip_exceeded",
]
FleetFact = Literal["fleet.waiting_changed"]
Fact = TaskFact | AgentFact | TicketFact | FleetFact
"""What is heard, by the name of its event; `fleet.waiting_changed`: another number of tasks is ready."""

SUBJECTS: dict[str, Subject] = {
    **dict.fromkeys(get_args(TaskFact), "task"),
    **dict.fromkeys(get_args(AgentFact), "agent"),
    **dict.fromkeys(get_args(TicketFact), "ticket"),
    **dict.fromkeys(get_args(FleetFact), "fleet"),
}
"""What each fact is about."""


def _known(value: Any) -> Any:
    """Refuses a fact that there is not, in fewer words than naming them all."""
    for fact in value if isinstance(value, list | tuple) else ():
        if isinstance(fact, str) and fact not in SUBJECTS:
            [like] = get_close_matches(fact, SUBJECTS, 1, 0)
            raise ValueError(f"There is no fact {fact} to be heard; the one spelt most like it is {like}")
    return value


class _Part(Contract):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CancelTaskAction(_Part):
    """Stop a task at once."""

    task_id: Expression


class ReallocateCapacityAction(_Part):
    """Move capacity from one agent to another."""

    from_agent: Expression
    to_agent: Expression
    capacity: Expression = "1"


class OverridePriorityAction(_Part):
    """Give a task another priority."""

    task_id: Expression
    priority: Expression = Field(description="`LOW`, `MEDIUM`, `HIGH`, `CRITICAL`, or what comes to one.")


class QuarantineAgentAction(_Part):
    """Give an agent no more work and take what it has."""

    agent_id: Expression


class PauseTicketAction(_Part):
    """Dispatch no task of a ticket."""

    ticket_id: Expression


class ResumeTicketAction(_Part):
    """Dispatch tasks of a paused ticket again."""

    ticket_id: Expression


class NotifyAction(_Part):
    """Only record that the policy was triggered."""


class PolicyAction(_Part):
    """One thing that is done; exactly one field is set. Arguments are expressions."""

    cancel_task: CancelTaskAction | None = None
    reallocate_capacity: ReallocateCapacityAction | None = None
    override_priority: OverridePriorityAction | None = None
    quarantine_agent: QuarantineAgentAction | None = None
    pause_ticket: PauseTicketAction | None = None
    resume_ticket: ResumeTicketAction | None = None
    notify: NotifyAction | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "PolicyAction":
        if sum(of is not None for _, of in self) != 1:
            raise ValueError("An action is one of " + ", ".join(type(self).model_fields))
        return self

    @property
    def chosen(self) -> tuple[Any, ...]:
        """The name of what is done and its arguments; nothing where none is set."""
        return next(((name, of) for name, of in self if of is not None), ())


class Trigger(_Part):
    """A condition, and what is done when it is met."""

    id: Key = Field(description="Name of the trigger, unique in the policy.")
    description: str = Field(default="", max_length=1000, description="What it is for, in a sentence.")
    on: Annotated[
        tuple[Fact, ...],
        BeforeValidator(_known),
        BeforeValidator(_several, json_schema_input_type=tuple[Fact, ...] | Fact),
    ] = Field(
        min_length=1,
        description="What must be heard for it to be looked at; all about tasks, agents, tickets or fleet.",
    )
    when: Expression = Field(
        default="true",
        description="What must hold then, and go on holding where it has to last; not known is not true.",
    )
    lasting: Lasting | None = Field(
        default=None,
        description="How long it must hold: a span of time, or an expression that comes to seconds.",
    )
    at: Expression | None = Field(
        default=None, description="The time at which it is met while it holds; instead of `lasting`."
    )
    provided: Expression | None = Field(
        default=None,
        description="What must hold besides when it is met; else it is looked at again after `lasting`.",
    )
    within: Span | None = Field(
        default=None,
        description="Makes `count` how many of the facts in `on` the subject had in so long a time.",
    )
    actions: tuple[
        Annotated[
            PolicyAction, BeforeValidator(_named, json_schema_input_type=PolicyAction | Literal["notify"])
        ],
        ...,
    ] = Field(min_length=1, max_length=10)
    requires_approval: bool = Field(
        default=False, description="Whether somebody with GUARDIAN authority must let it happen."
    )
    cooldown: Span = Field(default=600.0, description="It is triggered once in so long a time a subject.")
    rollback_after: Span | None = Field(
        default=None, description="What was done is undone so long after it took effect."
    )
    missed_after: Span = Field(
        default=300.0,
        description="What is heard of later than so long is recorded as missed; nothing is done.",
    )

    @model_validator(mode="after")
    def _ends_one_way(self) -> "Trigger":
        if self.lasting is not None and self.at is not None:
            raise ValueError("`lasting` and `at` exclude each other")
        return self


class Policy(_Part):
    """One whole policy document."""

    name: Key = Field(description="Name of the policy; loading another of the same name replaces it.")
    description: str = Field(default="", max_length=2000, description="What it is for, in a sentence.")
    enabled: bool = Field(default=True, description="Whether anything is looked at.")
    shadow: bool = Field(default=False, description="Only record what would have been done.")
    triggers: tuple[Trigger, ...] = Field(min_length=1, max_length=MOST_TRIGGERS)

    @property
    def version(self) -> str:
        """Hash of the content: 16 hexadecimal digits, the same however it is laid out."""
        content = self.model_dump(mode="json", exclude_defaults=True)
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def shaped(fields: Any) -> tuple[Policy | None, list[Wrong]]:
    """The policy that an object describes, or what is wrong with the object's shape."""
    try:
        return Policy.model_validate(fields), []
    except ValidationError as error:
        return None, in_words(error, Policy, fields)
