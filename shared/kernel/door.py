"""The door: what comes in from the wire is read, checked and turned into an envelope, or refused in words."""

from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, TypeVar
from uuid import uuid4

import orjson
from pydantic import BaseModel, ValidationError

from shared.contracts.messages import Authority, Command
from shared.kernel import wire
from shared.kernel.decider import NotAuthorised, Refused
from shared.kernel.declaration import Service
from shared.kernel.draft import derived_id
from shared.kernel.envelope import Envelope

M = TypeVar("M", bound=BaseModel)
ID_MAX = 256


class MalformedMessage(Refused):
    """The body is not a JSON object."""


class InvalidCommand(Refused):
    """The body is JSON, but not what the contract asks for."""


class UnknownCommand(Refused):
    """The service has no command of that name."""


class UnknownQuery(Refused):
    """The service has no query of that name."""


class Door:
    """Reads the commands of one service. Identity is the subject's last token, which the broker vouches for."""

    def __init__(self, service: Service, grants: Mapping[str, Authority], *, allow_anonymous: bool) -> None:
        self._service = service
        self._commands = {command.wire_name(): command for command in service.obeys}
        self._grants = grants
        self._allow_anonymous = allow_anonymous

    def envelope(
        self, subject: str, headers: Mapping[str, str], body: bytes, *, fallback_id: str | None = None
    ) -> Envelope:
        """An envelope for whatever came; what cannot be read becomes one that holds the refusal.

        `fallback_id` is the id of a message without one: derived from its place in the stream on the durable
        lane, minted on the asked lane.
        """
        address = wire.address(subject)
        command_id = headers.get(wire.CE_ID) or headers.get(wire.MSG_ID) or fallback_id or str(uuid4())
        command: Command | None = None
        refusal: Refused | None = None
        try:
            self._check_sender(address, command_id)
            command = self._command(address, command_id, body)
        except Refused as refused:
            refusal = refused
        actor = address.actor or wire.ANONYMOUS
        return Envelope(
            id=command_id[:ID_MAX],
            name=address.name,
            command=command,
            refusal=refusal,
            actor=actor,
            authority=self.authority(actor),
            received_at=datetime.now(UTC),
            durable=subject.startswith("cmd."),
            correlation=headers.get(wire.CE_CORRELATION),
            causation=headers.get(wire.CE_CAUSATION),
            traceparent=headers.get(wire.TRACEPARENT),
        )

    def authority(self, actor: str) -> Authority:
        """What an actor may do: as granted, else as a worker."""
        return self._grants.get(actor, Authority.WORKER)

    def _check_sender(self, address: wire.Address, command_id: str) -> None:
        if address.extra or (address.actor is not None and not wire.KEY.match(address.actor)):
            raise InvalidCommand(
                "The subject has tokens that no command has: it is cmd.SERVICE.COMMAND or cmd.SERVICE.COMMAND.ACTOR.",
                fields={"subject": "an actor is one token of letters, digits, - and _, at most 64"},
            )
        if address.actor is None and not self._allow_anonymous:
            raise NotAuthorised(
                f"This system takes no anonymous commands: end the subject with your name, as in "
                f"ask.{address.service}.{address.name}.YOUR_NAME."
            )
        if len(command_id) > ID_MAX:
            raise InvalidCommand(
                f"The command's id has {len(command_id)} characters; at most {ID_MAX} can be kept.",
                fields={wire.CE_ID: f"at most {ID_MAX} characters"},
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
    if b"\\u0000" in body:
        raise InvalidCommand(
            "The body holds a NUL character (\\u0000), which Postgres cannot store. Leave it out.",
            fields={"*": "no NUL characters"},
        )
    return fields


def validated(contract: type[M], fields: dict[str, Any]) -> M:
    """The fields as the contract's class; refuses with every field that is wrong and what is wrong with it."""
    try:
        return contract.model_validate(fields)
    except ValidationError as error:
        wrong = {".".join(str(part) for part in e["loc"]) or "*": e["msg"] for e in error.errors()}
        known = ", ".join(contract.model_fields) or "none"
        first = "; ".join(f"{path}: {message}" for path, message in list(wrong.items())[:5])
        raise InvalidCommand(f"{first}. The fields are: {known}.", fields=wrong) from error
