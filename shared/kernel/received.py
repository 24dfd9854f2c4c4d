"""An event as a consumer gets it, from the broker or from the service that announced it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from shared.contracts.messages import Event
from shared.kernel import wire


class Unreadable(Exception):
    """A message on an event subject that no service of ours can have sent."""


@dataclass(frozen=True)
class Received:
    """One event with its place in its service's log."""

    source: str
    position: int
    previous: int
    id: str
    type: str
    key: str
    stream: str
    version: int
    schema: int
    at: str
    actor: str
    correlation: str
    command_id: str
    trigger: str | None
    traceparent: str | None
    data: dict[str, Any]

    @property
    def newer(self) -> bool:
        """Whether only a newer version of the code knows it."""
        return wire.is_newer(self.type, self.schema)

    def event(self) -> Event | None:
        """The event as its contract, None for a type not known here; raises on data that do not fit."""
        if self.type not in wire.event_types():
            return None
        return wire.read_event(self.type, self.schema, self.data)

    def as_json(self) -> dict[str, Any]:
        """All of it, for parking and for answering history."""
        return dict(vars(self))


def from_message(headers: Mapping[str, str], body: bytes) -> Received:
    """An event as the relay published it; raises `Unreadable` for anything else."""
    try:
        return Received(
            source=wire.service_of(headers[wire.CE_SOURCE]),
            position=int(headers[wire.POSITION]),
            previous=int(headers[wire.PREVIOUS]),
            id=headers[wire.CE_ID],
            type=headers[wire.CE_TYPE],
            key=headers[wire.CE_SUBJECT],
            stream=headers[wire.STREAM],
            version=int(headers[wire.VERSION]),
            schema=int(headers[wire.SCHEMA]),
            at=headers[wire.CE_TIME],
            actor=headers[wire.CE_ACTOR],
            correlation=headers[wire.CE_CORRELATION],
            command_id=headers[wire.CE_CAUSATION],
            trigger=headers.get(wire.TRIGGER),
            traceparent=headers.get(wire.TRACEPARENT),
            data=orjson.loads(body),
        )
    except (KeyError, ValueError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def from_row(service: str, row: Any) -> Received:
    """An event as it stands in the log."""
    meta = row["meta"]
    return Received(
        source=service,
        position=row["position"],
        previous=row["position"] - 1,
        id=str(row["id"]),
        type=row["type"],
        key=row["key"],
        stream=row["stream"],
        version=row["version"],
        schema=row["schema"],
        at=row["recorded_at"].isoformat(),
        actor=meta["actor"],
        correlation=meta["correlation"],
        command_id=meta["command_id"],
        trigger=meta.get("trigger"),
        traceparent=meta.get("traceparent"),
        data=row["data"],
    )
