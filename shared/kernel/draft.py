"""Deciding a batch of commands in memory, in arrival order, each seeing the ones before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from math import inf
from typing import Any
from uuid import UUID, uuid5

import orjson
import structlog
from pydantic import BaseModel
from uuid_utils import uuid7

from shared.contracts.command import CommandRefused
from shared.contracts.messages import Command, Event, Result, moment_text
from shared.kernel.decider import (
    NAMESPACE,
    CancelTimer,
    Context,
    Facts,
    NotAuthorised,
    Refused,
    Rule,
    Timer,
    Unavailable,
    Waiting,
)
from shared.kernel.desk import Desk, Missing
from shared.kernel.envelope import Answered, Broke, Deferred, Dropped, Envelope, Outcome, refusal_answer
from shared.kernel.grants import Grants
from shared.kernel.store import Batch, Held, Span, Store
from shared.kernel.wire import KEY, MAX_EVENT_BYTES

log = structlog.get_logger()
NEVER_WAITS = timedelta(days=1)
"""A durable command's sender is not there to wait: it is decided as if its patience were over."""


@dataclass(frozen=True)
class Wait:
    """How long a command waits, what would have it decided again before, and what it did so far."""

    until: datetime
    seen: Mapping[str, int] | None
    noted: Sequence[dict[str, Any]] = ()

    def concerned_by(self, changed: Mapping[str, Held]) -> bool:
        """Whether the rule might say something else now."""
        if self.seen is None:
            return True
        return any(changed[stream].version != self.seen[stream] for stream in changed.keys() & self.seen)


@dataclass
class Effects:
    """What one command does, before it is taken into the batch."""

    states: dict[str, Held] = field(default_factory=dict)
    events: list[tuple[str, int, Event]] = field(default_factory=list)
    timers: dict[str, tuple[datetime, str, str] | None] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    stored: str = ""
    """The answer as it is kept."""
    rows: list[tuple[str, int, str, str, int, str, str, str]] = field(default_factory=list)


@dataclass
class Draft:
    """A batch being decided."""

    store: Store
    rules: Mapping[type[Command], Rule[Any]]
    grants: Grants
    """A command that has waited is judged by what holds when it is decided."""
    desk: Desk
    now: datetime
    batch: Batch = field(default_factory=Batch)
    outcomes: list[tuple[Envelope, Outcome]] = field(default_factory=list)
    waiting: list[tuple[Envelope, Wait]] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)
    """Key of a command -> how many events of the batch come before its own."""
    endings: dict[str, list[Span]] = field(default_factory=dict)
    """Key of a command that has waited -> what ended that, as far as it was committed before."""

    def probe(self, envelope: Envelope) -> Missing | None:
        """What the command would ask for; nothing is decided."""
        if envelope.command is None:
            return None
        self.desk.begin()
        try:
            self.rules[type(envelope.command)](envelope.command, self.desk, self._context(envelope))
        except Missing as missing:
            return missing
        except Exception:  # noqa: BLE001 - it will be met again, and handled, when the command is decided
            return None
        return None

    def decide(self, envelope: Envelope) -> None:
        """Decide one command and take its effects into the batch; raises `Missing`."""
        self.desk.begin()
        if envelope.timer and envelope.timer[0] in self.batch.timers:
            self.outcomes.append((envelope, Dropped()))
            return
        try:
            effects = self._effects_of(envelope)
        except Missing:
            raise
        except Waiting as waiting:
            noted = self._note(envelope, waiting.facts)
            self.waiting.append((envelope, Wait(waiting.until, self.desk.seen(), noted)))
        except Unavailable as unavailable:
            self._rely_on_what_was_read()
            self.outcomes.append((envelope, Deferred(str(unavailable))))
        except Exception as error:
            self._rely_on_what_was_read()
            log.exception("command_broke", command=envelope.name, command_id=envelope.id)
            self.outcomes.append((envelope, Broke(error)))
        else:
            self._take(envelope, effects)

    def _effects_of(self, envelope: Envelope) -> Effects:
        try:
            return self._accepted(envelope, self._facts(envelope))
        except Refused as refused:
            return self._refused(envelope, refused)

    def undecided(self) -> list[Envelope]:
        """Those that the batch does not record: they wait, are put off, or broke."""
        off = [envelope for envelope, outcome in self.outcomes if isinstance(outcome, Deferred | Broke)]
        return [*off, *(envelope for envelope, _ in self.waiting)]

    def _facts(self, envelope: Envelope) -> Facts:
        if envelope.refusal is not None:
            raise envelope.refusal
        command = envelope.command
        assert command is not None, "a command, or the refusal of the door"
        held = self.grants.of(envelope.actor)
        if held < command.authority:
            raise NotAuthorised(
                f"{envelope.actor} has {held.name} authority; {envelope.name} needs "
                f"{command.authority.name}. Ask an operator to send it or to grant the authority.",
                required=command.authority.name,
                held=held.name,
            )
        return self.rules[type(command)](command, self.desk, self._context(envelope))

    def _context(self, envelope: Envelope) -> Context:
        received = envelope.received_at - NEVER_WAITS if envelope.durable else envelope.received_at
        authority = self.grants.of(envelope.actor)
        return Context(
            envelope.id,
            envelope.actor,
            authority,
            self.now,
            received,
            envelope.durable,
            envelope.causation,
            self.grants.configured(envelope.actor),
        )

    def _effects(self, facts: Facts) -> Effects:
        effects = Effects()
        for fact in facts:
            match fact:
                case Event():
                    self._evolve(effects, fact)
                case Timer():
                    effects.timers[fact.key] = _timer_row(fact)
                case CancelTimer():
                    effects.timers[fact.key] = None
                case Result():
                    effects.result.update(fact.model_dump(mode="json"))
        return effects

    def _evolve(self, effects: Effects, event: Event) -> None:
        aggregate = self.store.by_event[type(event)]
        stream = aggregate.stream(getattr(event, aggregate.key))
        held = effects.states.get(stream) or self.desk.held(stream)
        effects.states[stream] = Held(held.version + 1, aggregate.evolve(held.state, event))
        effects.events.append((stream, held.version + 1, event))

    def _accepted(self, envelope: Envelope, facts: Facts) -> Effects:
        effects = self._effects(facts)
        effects.answer = {
            "ok": True,
            "command_id": envelope.id,
            "result": effects.result,
            "events": [*envelope.noted, *(_named(effects) or self._ending(envelope))],
        }
        return self._written(envelope, effects)

    def _ending(self, envelope: Envelope) -> list[dict[str, Any]]:
        """What has happened, since the command last began to wait, to the streams that it has read.

        Named by the answer of one that does nothing itself in the end: others did it, and it tells.
        """
        seen = {stream: envelope.seen[stream] for stream in envelope.seen.keys() & self.desk.consulted}
        spans = [Span(stream, version, self.desk.loaded_version(stream)) for stream, version in seen.items()]
        if spans := [span for span in spans if span.behind < span.upto]:
            self.endings[envelope.key] = spans
        mine = len(self.batch.events)
        return [
            {"type": type_, "stream": stream, "version": version, "before": mine - place}
            for place, (stream, version, _, type_, *_) in enumerate(self.batch.events)
            if version > seen.get(stream, version)
        ]

    def recall(self, happened: Mapping[Span, Sequence[dict[str, Any]]]) -> None:
        """Put into the answers what was committed before this batch and ended a wait."""
        answers = {
            envelope.key: outcome.answer
            for envelope, outcome in self.outcomes
            if isinstance(outcome, Answered)
        }
        for place, (key, _, offset) in enumerate(self.batch.commands):
            if key in self.endings:
                events = [
                    *answers[key]["events"],
                    *chain.from_iterable(map(happened.__getitem__, self.endings[key])),
                ]
                answers[key]["events"] = sorted(events, key=lambda event: event.get("position", inf))
                self.batch.commands[place] = (key, dumps(answers[key]), offset)

    def _refused(self, envelope: Envelope, refused: Refused) -> Effects:
        effects = self._effects(refused.facts)
        effects.answer = refusal_answer(envelope.id, refused)
        if envelope.durable:
            stream = f"command-{uuid7() if envelope.own else envelope.id}"
            effects.events.append((stream, 1, self._refusal_event(envelope, refused)))
        return self._written(envelope, effects)

    def _refusal_event(self, envelope: Envelope, refused: Refused) -> CommandRefused:
        return CommandRefused(
            subject=subject_of(envelope),
            command_id=envelope.id,
            service=self.store.service.name,
            command=envelope.name,
            actor=envelope.actor,
            code=refused.code,
            message=refused.message,
            details=refused.details,
        )

    def _written(self, envelope: Envelope, effects: Effects) -> Effects:
        """All that is stored, as text; what cannot be written breaks here, before the batch has any of it."""
        meta = dumps(
            {
                "command_id": envelope.id,
                "command": f"{self.store.service.name}.{envelope.name}",
                "actor": envelope.actor,
                "correlation": envelope.correlation or envelope.id,
                "trigger": envelope.causation,
                "traceparent": envelope.traceparent,
            }
        )
        effects.stored = dumps(effects.answer)
        effects.rows = [
            (
                stream,
                version,
                str(uuid7()),
                event.wire_name(),
                event.schema_number(),
                event.subject_key(),
                _event_json(event),
                meta,
            )
            for stream, version, event in effects.events
        ]
        return effects

    def _take(self, envelope: Envelope, effects: Effects) -> None:
        self.offsets[envelope.key] = len(self.batch.events)
        self.batch.commands.append((envelope.key, effects.stored, len(self.batch.events)))
        if envelope.timer:
            self.batch.fired.append(envelope.timer)
        self._remember(effects)
        self.outcomes.append((envelope, Answered(effects.answer)))

    def _note(self, envelope: Envelope, facts: Facts) -> list[dict[str, Any]]:
        """Take facts of a command that has no answer yet; its events, as the answer will name them."""
        self.offsets[envelope.key] = len(self.batch.events)
        effects = self._written(envelope, self._effects(facts))
        self._remember(effects)
        return _named(effects)

    def _remember(self, effects: Effects) -> None:
        self._rely_on_what_was_read()
        self.batch.events += effects.rows
        self.desk.decided.update(effects.states)
        self.batch.streams.update(effects.states)
        self.batch.timers.update(effects.timers)

    def _rely_on_what_was_read(self) -> None:
        """Whatever was decided stands only if what it looked at is still so at the commit.

        Nothing else would tell the cache of a state that another replica has changed.
        """
        for stream in self.desk.consulted:
            self.batch.reads.setdefault(stream, self.desk.loaded_version(stream))


def _named(effects: Effects) -> list[dict[str, Any]]:
    """The events as an answer names them; their positions are known when they are committed."""
    return [
        {"type": event.wire_name(), "stream": stream, "version": version}
        for stream, version, event in effects.events
    ]


class EventTooLarge(Refused):
    """An event would not fit into a message."""


def subject_of(envelope: Envelope) -> str:
    """The key a refusal is announced under: the ticket the command spoke of, else the command itself."""
    ticket = getattr(envelope.command, "ticket_id", None)
    if isinstance(ticket, str) and KEY.match(ticket):
        return ticket
    return envelope.id if KEY.match(envelope.id) else str(uuid5(NAMESPACE, envelope.id))


def derived_id(command_id: str) -> str:
    """Id of the thing a command makes when the sender gave none."""
    return str(uuid5(NAMESPACE, command_id))


def reaction_id(event_id: str, service: str, index: int) -> str:
    """Id of the `index`-th command that an event makes a service send.

    The service is part of it: two services may react to one event, and the work queue drops a repeated id.
    """
    return str(uuid5(UUID(event_id), f"{service}/{index}"))


_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME


def dumps(value: Any) -> str:
    """Anything of ours as JSON."""
    return orjson.dumps(value, default=_jsonable, option=_OPTIONS).decode()


def _jsonable(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, datetime):
        return moment_text(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _event_json(event: Event) -> str:
    written = event.model_dump_json()
    if len(written.encode()) > MAX_EVENT_BYTES:
        raise EventTooLarge(
            f"The event {event.wire_name()} would have {len(written.encode())} bytes; "
            f"at most {MAX_EVENT_BYTES} "
            "can be announced. Send less at once.",
            limit_bytes=MAX_EVENT_BYTES,
        )
    return written


def _timer_row(timer: Timer) -> tuple[datetime, str, str]:
    return (timer.due_at, timer.command.wire_name(), timer.command.model_dump_json())
