"""The one place where subjects and headers are spelled."""

import importlib
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import shared.contracts
from shared.contracts.messages import KEY_PATTERN, SHARED_NOUNS, Event, noun_of, owner_of
from shared.kernel.decider import NewerVersion

for _module in pkgutil.iter_modules(shared.contracts.__path__):
    importlib.import_module(f"shared.contracts.{_module.name}")  # so that every event is known

Lane = Literal["cmd", "ask"]
Headers = Mapping[str, str]

COMMANDS_STREAM, EVENTS_STREAM, DEAD_STREAM = "COMMANDS", "EVENTS", "DEAD"
MAX_BODY_BYTES = 1_000_000
"""The broker closes the connection of who sends more than 1 MiB; this leaves room for headers."""
MAX_EVENT_BYTES = 900_000
"""So that an event also fits into a message that quotes it: a page of history, a dead letter."""

KEY = re.compile(KEY_PATTERN)

CE_ID, CE_TYPE, CE_SOURCE, CE_SUBJECT, CE_TIME = "ce-id", "ce-type", "ce-source", "ce-subject", "ce-time"
CE_SPECVERSION, CE_CORRELATION, CE_CAUSATION = "ce-specversion", "ce-correlationid", "ce-causationid"
CE_ACTOR, TRACEPARENT, REPLY_TO = "ce-actor", "traceparent", "reply_to"
MSG_ID = "Nats-Msg-Id"
STREAM, VERSION, POSITION = "omoi-stream", "omoi-version", "omoi-position"
PREVIOUS, SCHEMA, TRIGGER = "omoi-previous", "omoi-schema", "omoi-trigger"
CONTENT_TYPE = "content-type"

OF_THE_BROKER = frozenset(
    {STREAM, VERSION, POSITION, PREVIOUS, SCHEMA}
    | {"Status", "Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp", "Nats-Last-Sequence"}
)
"""Headers of stored events, of the broker's copies of messages and of its own words; no command has them."""
OWN_INBOX = "_INBOX_OF"
INBOXES = ("_INBOX.", f"{OWN_INBOX}.")
"""Where answers may go: stock tools' inboxes, and those that only one user may read."""


def command_subject(lane: Lane, service: str, command: str, actor: str | None = None) -> str:
    """`ask.phase.transition.ann`; without an actor the sender is anonymous."""
    return f"{lane}.{service}.{command}" + (f".{actor}" if actor else "")


def lane_subjects(lane: Lane, service: str) -> str:
    """Everything addressed to one service on one lane: `ask.phase.>`."""
    return f"{lane}.{service}.>"


def query_subject(service: str, query: str) -> str:
    """`qry.phase.get_ticket`."""
    return f"qry.{service}.{query}"


def query_subjects(service: str) -> str:
    """`qry.phase.>`."""
    return f"qry.{service}.>"


def event_subject(event_type: str, key: str) -> str:
    """`evt.phase.ticket_opened.<key>`."""
    return f"evt.{event_type}.{key}"


def noun_subjects(noun: str) -> str:
    """Every event of one noun: `evt.task.>`."""
    return f"evt.{noun}.>"


def event_subjects(nouns: tuple[str, ...]) -> list[str]:
    """Filters that catch every event of services with those nouns, the shared nouns included."""
    return [noun_subjects(noun) for noun in sorted({*nouns, *SHARED_NOUNS})]


def dead_subject(service: str, consumer: str) -> str:
    """`dead.phase.reactions`."""
    return f"dead.{service}.{consumer}"


def measure_subject(service: str, measure: str) -> str:
    """`tel.scheduler.ready_tasks`: core NATS, kept by nobody."""
    return f"tel.{service}.{measure}"


def wake_subject(service: str) -> str:
    """Core ping: the service has committed events, or its state has changed."""
    return f"wake.{service}"


def inbox_of(user: str) -> str:
    """`_INBOX_OF.ann`: the prefix of inboxes that only this user of the broker may read."""
    return f"{OWN_INBOX}.{user}"


def source_of(service: str) -> str:
    """The CloudEvents source of a service's events."""
    return f"omoios/{service}"


def service_of(source: str) -> str:
    """The service named by a CloudEvents source."""
    return source.removeprefix("omoios/")


@dataclass(frozen=True)
class Address:
    """What the tokens of a command's or query's subject say."""

    service: str
    name: str
    actor: str | None
    extra: bool
    """Whether there are more tokens than any subject of ours has."""


def address(subject: str) -> Address:
    """Read `cmd.phase.transition.ann`."""
    _, service, *rest = subject.split(".")
    return Address(service, rest[0] if rest else "", rest[1] if len(rest) > 1 else None, len(rest) > 2)


def event_types() -> dict[str, type[Event]]:
    """Every published event, by wire name."""
    return Event.known


def nouns() -> set[str]:
    """Every noun of a service's own."""
    return {noun_of(event) for event in event_types().values()} - set(SHARED_NOUNS)


def nouns_of(service: str) -> tuple[str, ...]:
    """The nouns a service announces events of, the shared ones left out."""
    return tuple(sorted(noun for noun in nouns() if owner_of(noun) == service))


def is_newer(event_type: str, schema: int) -> bool:
    """Whether only a newer version of the code can have written it: its type or schema is not known."""
    contract = event_types().get(event_type)
    return contract is None or schema > contract.schema_number()


def read_event(event_type: str, schema: int, data: dict[str, Any]) -> Event:
    """A stored or received event, lifted to today's schema first; raises `NewerVersion` for tomorrow's."""
    if is_newer(event_type, schema):
        raise NewerVersion(
            f"{event_type} of schema {schema} was written by a newer version of OmoiOS. Try again: a replica "
            "of that version will answer."
        )
    contract = event_types()[event_type]
    for upcaster in contract.upcasters[schema - 1 :]:
        data = upcaster(data)
    return contract.model_validate(data)
