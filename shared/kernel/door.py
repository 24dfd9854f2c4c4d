"""The door: what comes in from the wire is read, checked and turned into an envelope, or refused in words."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, TypeVar
from uuid import uuid4

import orjson
from pydantic import BaseModel, ValidationError

from shared.contracts.messages import ANONYMOUS, Command
from shared.contracts.wrong import in_words
from shared.kernel import wire
from shared.kernel.decider import NotAuthorised, Refused
from shared.kernel.declaration import Service
from shared.kernel.draft import derived_id
from shared.kernel.envelope import Envelope

M = TypeVar("M", bound=BaseModel)
ID_MAX = 256
DEPTH_MAX = 100
WRONG_MAX = 50
"""Most fields a refusal names."""
MARKS = (wire.CE_ID, wire.CE_CORRELATION, wire.CE_CAUSATION)
"""Headers that are kept as they come."""
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
"""https://www.w3.org/TR/trace-context: one that does not look so is to be ignored."""
SUSPICIOUS = re.compile(rb"\\u0000|[0-9]{19}|[:,\[\s]-?[0-9.]+[eE]")
"""What a value that cannot be kept is written with; most bodies have none and are not looked through."""


class MalformedMessage(Refused):
    """The body is not a JSON object."""


class InvalidCommand(Refused):
    """The body is JSON, but not what the contract asks for."""


class UnknownCommand(Refused):
    """The service has no command of that name."""


class UnknownQuery(Refused):
    """The service has no query of that name."""


class Door:
    """Reads the commands of one service. Identity is the subject's last token; the broker vouches for it."""

    def __init__(self, service: Service, *, allow_anonymous: bool) -> None:
        self._service = service
        self._own = (f"ask.{service.name}.", f"cmd.{service.name}.")
        self._commands = {command.wire_name(): command for command in service.obeys}
        self._allow_anonymous = allow_anonymous

    def envelope(
        self, subject: str, headers: Mapping[str, str], body: bytes, *, fallback_id: str | None = None
    ) -> Envelope:
        """An envelope for whatever came; what cannot be read becomes one that holds the refusal.

        `fallback_id` is the id of a message without one: derived from its place in the stream on the durable
        lane, minted on the asked lane.
        """
        address = wire.address(subject)
        forged = self.is_forged(subject, headers)
        if forged:  # neither its name nor its marks are anybody's word
            address, headers = replace(address, actor=None), {}
        command_id = headers.get(wire.CE_ID) or headers.get(wire.MSG_ID) or fallback_id or str(uuid4())
        command: Command | None = None
        refusal: Refused | None = None
        try:
            self.check_sender(address, forged=forged)
            self._check_marks({**headers, wire.CE_ID: command_id})
            if address.actor is not None and not body:  # the broker can be made to send these to any subject
                raise MalformedMessage("A command under a name needs a body: {} at least.")
            command = self._command(address, command_id, body)
        except Refused as refused:
            refusal = refused
        trace = headers.get(wire.TRACEPARENT, "")
        return Envelope(
            id=command_id if is_keepable(command_id) else derived_id(command_id),
            name=address.name,
            command=command,
            refusal=refusal,
            actor=address.actor or ANONYMOUS,
            received_at=datetime.now(UTC),
            durable=subject.startswith("cmd."),
            own=address.actor == self._service.name,
            correlation=kept(headers, wire.CE_CORRELATION),
            causation=kept(headers, wire.CE_CAUSATION),
            traceparent=trace if TRACEPARENT.fullmatch(trace) else None,
        )

    def is_forged(self, subject: str, headers: Mapping[str, str]) -> bool:
        """Whether the broker itself put this here: a copy of a stored message, or a status.

        Whoever may read a stream names the subject that the broker sends to, under nobody's permissions.
        """
        return not (subject.startswith(self._own) and wire.OF_THE_BROKER.isdisjoint(headers))

    def check_sender(self, address: wire.Address, *, forged: bool) -> None:
        """Refuse what the broker sent, and a subject that names no actor of ours."""
        if forged:
            raise NotAuthorised("This was sent by the broker, not by anybody who may command.")
        if address.extra or (address.actor is not None and not wire.KEY.match(address.actor)):
            raise InvalidCommand(
                "The subject has tokens that no command has: it is cmd.SERVICE.COMMAND or "
                "cmd.SERVICE.COMMAND.ACTOR.",
                fields={"subject": "an actor is one token of letters, digits, - and _, at most 64"},
            )
        if address.actor is None and not self._allow_anonymous:
            raise NotAuthorised(
                f"This system takes no anonymous commands: end the subject with your name, as in "
                f"ask.{address.service}.{address.name}.YOUR_NAME."
            )

    def _check_marks(self, headers: Mapping[str, str]) -> None:
        wrong = [name for name in MARKS if name in headers and not is_keepable(headers[name])]
        if wrong:
            raise InvalidCommand(
                f"The header {' and the header '.join(wrong)} cannot be kept: at most {ID_MAX} characters, "
                "and only such as can be printed.",
                fields=dict.fromkeys(wrong, f"at most {ID_MAX} printable characters"),
            )

    def _command(self, address: wire.Address, command_id: str, body: bytes) -> Command:
        contract = self._commands.get(address.name)
        if contract is None:
            raise UnknownCommand(
                unknown(self._service.name, "command", address.name, list(self._commands)),
                known=sorted(self._commands),
            )
        fields = read_object(body)
        if contract.creates and fields.get(contract.creates) is None:
            fields[contract.creates] = derived_id(command_id)
        return validated(contract, fields)


def is_keepable(mark: str) -> bool:
    """Whether an id that came in a header can be stored and sent on."""
    return len(mark) <= ID_MAX and mark.isprintable()


def kept(headers: Mapping[str, str], name: str) -> str | None:
    """A header's value; None when there is none, or none that could be kept, which the refusal then says."""
    value = headers.get(name)
    return value if value is not None and is_keepable(value) else None


def unknown(service: str, kind: str, name: str, known: list[str]) -> str:
    """The sentence for a name that a service does not know."""
    near = get_close_matches(name, known, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return f"{service} has no {kind} {name!r}. {hint}It has: {', '.join(sorted(known))}."


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; an empty body is an empty object."""
    if len(body) > wire.MAX_BODY_BYTES:
        raise MalformedMessage(f"The body has {len(body)} bytes; at most {wire.MAX_BODY_BYTES} are taken.")
    try:
        fields = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise MalformedMessage(
            f"The body is not JSON: {error}.", line=error.lineno, column=error.colno
        ) from error
    if not isinstance(fields, dict):
        raise MalformedMessage(f"The body is a JSON {type(fields).__name__}; a JSON object is needed.")
    if SUSPICIOUS.search(body) or body.count(b"{") + body.count(b"[") > DEPTH_MAX:
        for path, wrong in unkeepable(fields):
            raise InvalidCommand(f"{path}: {wrong}", fields={path: wrong})
    return fields


def unkeepable(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Where a body holds what can be read but not stored, and what is wrong with it."""
    pending: list[tuple[tuple[str, ...], Any]] = [((), fields)]
    while pending:
        path, value = pending.pop()
        if len(path) > DEPTH_MAX:
            yield ".".join(path[:3]), f"nested deeper than {DEPTH_MAX}"
            return
        if isinstance(value, dict):
            pending += (((*path, key), inner) for key, inner in value.items())
            pending += (((*path, "(key)"), key) for key in value)
        elif isinstance(value, list):
            pending += (((*path, str(index)), inner) for index, inner in enumerate(value))
        elif isinstance(value, str) and "\0" in value:
            yield ".".join(path), "holds a NUL character (\\u0000), which Postgres cannot store; leave it out"
        elif isinstance(value, int | float) and not -(2**63) <= value < 2**63:
            yield ".".join(path), "a number beyond 64 bits"


def validated(contract: type[M], fields: dict[str, Any]) -> M:
    """The fields as the contract's class; refuses with every wrong field and what is wrong with it."""
    try:
        return contract.model_validate(fields)
    except ValidationError as error:
        wrong = {
            ".".join(map(str, place))[:ID_MAX] or "*": words[:ID_MAX]
            for place, words in in_words(error, contract, fields)[:WRONG_MAX]
        }
        known = ", ".join(contract.model_fields) or "none"
        first = " ".join(f"{path}: {words}" for path, words in list(wrong.items())[:5])
        raise InvalidCommand(f"{first} The fields are: {known}.", fields=wrong) from error
