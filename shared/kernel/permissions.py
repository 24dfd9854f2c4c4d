"""What the broker lets each of its users do, as the declarations of the services ask for it."""

from collections.abc import Iterator

from shared.contracts.messages import ANONYMOUS, SHARED_NOUNS
from shared.kernel import wire
from shared.kernel.declaration import Service
from shared.kernel.durables import durables_of, hearing_of
from shared.kernel.granting import GUARDIAN
from shared.stack.nats_config import NatsUser

API = "$JS.API"
STREAMS = (wire.COMMANDS_STREAM, wire.EVENTS_STREAM, wire.DEAD_STREAM)
READING = (f"{API}.STREAM.INFO.{wire.EVENTS_STREAM}", f"{API}.STREAM.MSG.GET.{wire.EVENTS_STREAM}")
"""Reading what the stream holds. No consumer is needed for it, so none of another user can be altered.

Never the direct get: its answer may be empty, and the sender says where it goes. An empty message is what the
broker takes for the order to delete a stream.
"""
LISTENING = ("evt.>", "tel.>")


def service_user(service: Service) -> NatsUser:
    """A service: it says what it owns, asks what it has declared, and hears what is addressed to it."""
    name = service.name
    return NatsUser(
        name,
        publish=(
            *_announced(service),
            *((f"cmd.{name}.*.{name}",) if service.hears else ()),
            f"dead.{name}.>",
            *((f"tel.{name}.>",) if service.measures else ()),
            wire.wake_subject(name),
            *(f"{inbox}>" for inbox in wire.INBOXES),  # answers
            *_asked(service),
            *_jetstream(service),
        ),
        subscribe=(
            f"{wire.lane_subjects('ask', name)} {name}",
            f"{wire.query_subjects(name)} {name}",
            wire.wake_subject(name),
            wire.noun_subjects(GUARDIAN),
            f"{wire.inbox_of(name)}.>",
        ),
    )


def actor_user(name: str) -> NatsUser:
    """An agent or a person: commands under its own name, any question, listening."""
    return NatsUser(
        name,
        publish=(f"cmd.*.*.{name}", f"ask.*.*.{name}", "qry.>", *READING),
        subscribe=(*LISTENING, f"{wire.inbox_of(name)}.>"),
    )


def anonymous_user() -> NatsUser:
    """Whoever connects without credentials: commands without a name, any question, listening."""
    return NatsUser(
        ANONYMOUS,
        publish=("cmd.*.*", "ask.*.*", "qry.>", *READING),
        subscribe=(*LISTENING, "_INBOX.>"),
    )


def _announced(service: Service) -> Iterator[str]:
    yield from (wire.noun_subjects(noun) for noun in service.nouns)
    yield from (
        f"evt.{noun}.*.{service.name}" if noun == "broker" else wire.noun_subjects(noun)
        for noun in SHARED_NOUNS
    )


def _asked(service: Service) -> Iterator[str]:
    yield from (wire.query_subject(query.owner(), query.wire_name()) for query in service.asks)
    for source in sorted({source for sources in hearing_of(service).values() for source in sources}):
        yield wire.query_subject(source, "events")
        yield wire.query_subject(source, "position")


def _jetstream(service: Service) -> Iterator[str]:
    """Making the streams where they are missing, its own consumers, and what the relay looks at."""
    for stream in STREAMS:
        yield f"{API}.STREAM.INFO.{stream}"
        yield f"{API}.STREAM.CREATE.{stream}"
    yield f"{API}.STREAM.MSG.GET.{wire.EVENTS_STREAM}"
    for stream, durable in durables_of(service).values():
        for verb in ("DURABLE.CREATE", "INFO", "DELETE", "MSG.NEXT"):
            yield f"{API}.CONSUMER.{verb}.{stream}.{durable}"
        yield f"$JS.ACK.{stream}.{durable}.>"
