"""What a command, an event, a query and a result are, and how their wire names follow from their classes."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    StringConstraints,
)

KEY_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
Key = Annotated[str, StringConstraints(pattern=KEY_PATTERN)]
"""An id or a name that stands as one token of a subject."""

SHARED_NOUNS = ("command", "broker")
"""Nouns that every service may announce events of."""

ANONYMOUS = "anonymous"
"""The actor of whoever gives no name."""

OWNERS = {"task": "scheduler", "lock": "scheduler", "gate": "gates", "agent": "registry"}
"""The service that owns a noun, where it is not named like the noun."""


class Priority(StrEnum):
    """How urgent a ticket or a task is."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"

    @classmethod
    def _missing_(cls, value: object) -> "Priority | None":
        return cls.__members__.get(value.upper()) if isinstance(value, str) else None


class Authority(IntEnum):
    """What an actor may do; granted by configuration, never read from a message body."""

    WORKER = 1
    WATCHDOG = 2
    MONITOR = 3
    GUARDIAN = 4
    SYSTEM = 5


def _to_utc(value: object) -> object:
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def moment_text(at: datetime) -> str:
    """A point in time as it is written on the wire."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


Moment = Annotated[
    datetime,
    BeforeValidator(_to_utc),
    PlainSerializer(moment_text, return_type=str),
]
"""A point in time, UTC, microseconds, ISO 8601 on the wire."""


@cache
def snake(name: str) -> str:
    """`TicketOpened` -> `ticket_opened`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def noun_of(contract: type) -> str:
    """The noun of a contract: the last part of the module it is declared in."""
    return contract.__module__.rpartition(".")[2]


def owner_of(noun: str) -> str:
    """The service that owns `noun`."""
    return OWNERS.get(noun, noun)


def owners() -> frozenset[str]:
    """The services that announce events, as far as their contracts are imported."""
    return frozenset(event.owner() for event in Event.known.values()) - set(SHARED_NOUNS)


def _with_exact_numbers(schema: Any) -> Any:
    """A core schema in which numbers are numbers: neither text nor a truth value stands for one."""
    if isinstance(schema, list | tuple):
        return type(schema)(map(_with_exact_numbers, schema))
    if not isinstance(schema, dict):
        return schema
    exact = {name: _with_exact_numbers(part) for name, part in schema.items()}
    return exact | {"strict": True} if schema.get("type") in ("int", "float") else exact


class Contract(BaseModel):
    """Frozen, and strict about fields it does not know: a typo is refused at the door."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> Any:
        """`true` is no number here, nor is `"1"`, whatever Python thinks of that."""
        return _with_exact_numbers(handler(source))


class Result(Contract):
    """What a command answers with beside its events."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> Any:
        """Made of what the database counts, in types of its own."""
        return handler(source)


class Command(Contract):
    """A wish addressed to one service.

    The wire name is the class's own in snake case; `ClaimTask` of `contracts/task.py` is
    `cmd.scheduler.claim_task` and `ask.scheduler.claim_task`.
    """

    creates: ClassVar[str | None] = None
    """The field that holds the id of what the command makes; filled from the command's id when absent."""

    authority: ClassVar[Authority] = Authority.WORKER
    """The least authority an actor needs; SYSTEM marks what only services and operators send."""

    @classmethod
    def wire_name(cls) -> str:
        """`claim_task`."""
        return snake(cls.__name__)

    @classmethod
    def owner(cls) -> str:
        """`scheduler`."""
        return owner_of(noun_of(cls))


class Query(Contract):
    """A question to one service, answered from what it has committed."""

    min_position: int | Mapping[str, int] | None = Field(
        default=None,
        description="Answer only once this position has been seen: the `position` of an event in your "
        "command's answer, or a map of service to position. `unavailable` when that takes over five seconds.",
    )

    position_of: ClassVar[str | None] = None
    """The service whose position a bare `min_position` is, where it is not the one that answers."""

    @classmethod
    def wire_name(cls) -> str:
        """`get_ticket`."""
        return snake(cls.__name__)

    @classmethod
    def owner(cls) -> str:
        """`phase`."""
        return owner_of(noun_of(cls))


class Measure(Contract):
    """What a service tells of its state at a time: telemetry, heard by who listens and kept by nobody.

    `ReadyTasksMeasure` of `contracts/task.py` is `tel.scheduler.ready_tasks`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    drifting: ClassVar[frozenset[str]] = frozenset()
    """Fields that change as time passes: by themselves they are no news."""

    @classmethod
    def wire_name(cls) -> str:
        """`ready_tasks`."""
        return snake(cls.__name__.removesuffix("Measure"))

    def told_by(self, other: "Measure | None") -> bool:
        """Whether `other` said the same, but for what drifts."""
        drifting = set(self.drifting)
        return other is not None and self.model_dump(exclude=drifting) == other.model_dump(exclude=drifting)


class Event(Contract):
    """A fact. Its type is noun and fact: `TaskClaimed` of `contracts/task.py` is `task.claimed`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: ClassVar[str]
    """The field whose value ends the subject: the ticket's id where there is one, else the thing's own."""

    upcasters: ClassVar[tuple[Callable[[dict[str, Any]], dict[str, Any]], ...]] = ()
    """Pure steps from schema 1 upwards; the current schema number is one more than their count."""

    known: ClassVar[dict[str, type["Event"]]] = {}
    """Every event there is, by wire name."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        Event.known[cls.wire_name()] = cls
        if "key" not in cls.__dict__:
            cls.key = "ticket_id" if "ticket_id" in cls.model_fields else next(iter(cls.model_fields), "")

    @classmethod
    def wire_name(cls) -> str:
        """`task.claimed`."""
        noun = noun_of(cls)
        return f"{noun}.{snake(cls.__name__).removeprefix(f'{noun}_')}"

    @classmethod
    def owner(cls) -> str:
        """The service that announces it; for a shared noun the noun itself."""
        return owner_of(noun_of(cls))

    @classmethod
    def schema_number(cls) -> int:
        """The schema that new events of this type are written in."""
        return len(cls.upcasters) + 1

    def subject_key(self) -> str:
        """The last token of the event's subject."""
        return str(getattr(self, self.key))
