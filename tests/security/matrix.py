"""Subjects of every kind, and in plain words who may use them: said again here, not taken from the code."""

import re
from collections.abc import Iterator

from omoi.services import all_services, service_names
from shared.contracts.messages import owner_of
from shared.kernel import wire

NAMES = ("ann", "bob", "operator", "anonymous")
STREAM_VERBS = (
    "CREATE",
    "UPDATE",
    "DELETE",
    "PURGE",
    "INFO",
    "MSG.GET",
    "MSG.DELETE",
    "SNAPSHOT",
    "LEADER.STEPDOWN",
)
CONSUMER_VERBS = ("CREATE", "DURABLE.CREATE", "DELETE", "INFO", "MSG.NEXT", "PAUSE", "RESET")
STREAMS = (wire.COMMANDS_STREAM, wire.EVENTS_STREAM, wire.DEAD_STREAM)


def consumers() -> Iterator[tuple[str, str, str]]:
    """Service, stream and name of each durable consumer."""
    for name, service in all_services().items():
        yield name, wire.EVENTS_STREAM, f"{name}-grants"
        if service.obeys:
            yield name, wire.COMMANDS_STREAM, name
        if service.hears:
            yield name, wire.EVENTS_STREAM, f"{name}-reactions"
        if service.read_models:
            yield name, wire.EVENTS_STREAM, f"{name}-journal"


def published() -> list[str]:
    """Subjects that somebody might want to publish to."""
    found = [f"evt.{noun}.happened.key" for noun in (*sorted(wire.nouns()), "command")]
    for service in service_names():
        found += [
            f"{lane}.{service}.do.{name}" for lane in ("cmd", "ask") for name in (*NAMES, *service_names())
        ]
        found += [
            f"cmd.{service}.do",
            f"ask.{service}.do",
            f"qry.{service}.events",
            f"qry.{service}.position",
        ]
        found += [
            f"qry.{service}.health",
            f"dead.{service}.reactions",
            f"tel.{service}.measure",
            f"wake.{service}",
        ]
        found += [f"evt.broker.refilled.{service}", f"_INBOX_OF.{service}.x"]
    found += [f"qry.{q.owner()}.{q.wire_name()}" for service in all_services().values() for q in service.asks]
    found += [f"$JS.API.STREAM.{verb}.{stream}" for verb in STREAM_VERBS for stream in STREAMS]
    found += [f"$JS.API.DIRECT.GET.{stream}" for stream in STREAMS]
    found += [f"$JS.API.CONSUMER.CREATE.{stream}" for stream in STREAMS]
    for _, stream, consumer in consumers():
        found += [f"$JS.API.CONSUMER.{verb}.{stream}.{consumer}" for verb in CONSUMER_VERBS]
        found += [f"$JS.ACK.{stream}.{consumer}.1.1.1.1.1", f"$JS.FC.{stream}.{consumer}.x"]
    found += [
        "$JS.API.CONSUMER.CREATE.EVENTS.mine",
        "$JS.API.STREAM.NAMES",
        "$JS.API.INFO",
        "$SYS.REQ.SERVER.PING",
    ]
    return [*found, "_INBOX.x.y", "_INBOX_OF.ann.x", "_INBOX_OF.operator.x", "anything"]


def actor_publishes(name: str, subject: str) -> bool:
    """An agent or a person: its own commands, questions, and reading the stream of events."""
    own = re.fullmatch(rf"(cmd|ask)\.\w+\.\w+\.{name}", subject)
    reads = subject in ("$JS.API.STREAM.INFO.EVENTS", "$JS.API.STREAM.MSG.GET.EVENTS")
    return bool(own) or subject.startswith("qry.") or reads


def anonymous_publishes(subject: str) -> bool:
    """Who has no credentials: commands without a name, and what any actor may ask and read."""
    return bool(re.fullmatch(r"(cmd|ask)\.\w+\.\w+", subject)) or (
        not subject.startswith(("cmd", "ask")) and actor_publishes("nobody", subject)
    )


def service_publishes(name: str, subject: str) -> bool:
    """A service: its nouns, commands to itself, its dead letters, its questions, and its own consumers."""
    service = all_services()[name]
    match subject.split("."):
        case "evt", "broker", _, key:
            allowed = key == name
        case "evt", noun, *_:
            allowed = noun == "command" or owner_of(noun) == name
        case "cmd", to, _, actor:
            allowed = to == actor == name and bool(service.hears)
        case "tel", whose, _:
            allowed = whose == name and bool(service.measures)
        case (("dead" | "wake"), whose, *_):
            allowed = whose == name
        case "qry", source, "events" | "position":
            announcing = bool(service.read_models) and bool(all_services()[source].announces)
            allowed = announcing or source in (*service.sources, "guardian")
        case "qry", _, query:
            allowed = any(asked.wire_name() == query for asked in service.asks)
        case (("_INBOX" | "_INBOX_OF"), *_):
            allowed = True
        case _:
            allowed = _service_uses_jetstream(name, subject)
    return allowed


def _service_uses_jetstream(name: str, subject: str) -> bool:
    if any(subject == f"$JS.API.STREAM.{verb}.{stream}" for verb in ("INFO", "CREATE") for stream in STREAMS):
        return True
    if subject == "$JS.API.STREAM.MSG.GET.EVENTS":
        return True
    return any(
        subject == f"$JS.API.CONSUMER.{verb}.{stream}.{consumer}"
        or subject.startswith(f"$JS.ACK.{stream}.{consumer}.")
        for owner, stream, consumer in consumers()
        for verb in ("DURABLE.CREATE", "INFO", "DELETE", "MSG.NEXT")
        if owner == name
    )


def subscribed() -> list[str]:
    """What somebody might want to hear; a queue group stands after a blank."""
    found = [">", "evt.>", "tel.>", "cmd.>", "dead.>", "ask.>", "qry.>", "$JS.>", "$SYS.>", "_INBOX.>"]
    for name in (*NAMES, *service_names()):
        found += [f"_INBOX_OF.{name}.>"]
    for service in service_names():
        found += [
            f"{lane}.{service}.>{queue}" for lane in ("ask", "qry") for queue in ("", " spies", f" {service}")
        ]
        found += [f"wake.{service}"]
    return [*found, "evt.guardian.>"]


def actor_hears(name: str, subject: str) -> bool:
    """An agent or a person: all events and measures, and its own answers."""
    return subject in ("evt.>", "tel.>", "evt.guardian.>", f"_INBOX_OF.{name}.>")


def anonymous_hears(subject: str) -> bool:
    """Who has no credentials: the same, with the inboxes of stock tools."""
    return subject in ("evt.>", "tel.>", "evt.guardian.>", "_INBOX.>")


def service_hears(name: str, subject: str) -> bool:
    """A service: what is addressed to it, in its queue group, the pings of its replicas, what is granted."""
    own = (f"ask.{name}.> {name}", f"qry.{name}.> {name}", f"wake.{name}", f"_INBOX_OF.{name}.>")
    return subject in (*own, "evt.guardian.>")
