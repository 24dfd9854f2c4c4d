"""Talking to OmoiOS over NATS: commands, questions and events, with retries that cannot double anything."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import Any, Self

import nats
import nats.errors
import nats.js.errors
import orjson
from nats.aio.client import Client as Connection
from uuid_utils import uuid7

from shared.client.history import followed, held
from shared.client.permitted import NotPermitted, Permitted
from shared.contracts.messages import ANONYMOUS, Command, Query
from shared.kernel import wire
from shared.kernel.received import Received, Unreadable, from_message
from shared.kernel.servers import nats_servers

TRY_SECONDS = 10.0
"""How long one try waits for its answer."""
PATIENCE_SECONDS = 30.0
"""How long a command is tried again, with the same id, while nobody answers."""
PAUSE_SECONDS = 0.25
LEADERLESS = (
    nats.errors.TimeoutError,
    nats.errors.ConnectionReconnectingError,
    nats.js.errors.NoStreamResponseError,
)
"""What publishing to a stream raises while its cluster chooses another leader."""


class ClientError(Exception):
    """Something a caller may want to tell a person."""


class Unreachable(ClientError):
    """Nobody answered: no broker, or no service behind the subject."""


class TooLarge(ClientError):
    """The body is larger than the broker takes."""


class Forbidden(ClientError):
    """The broker does not take the credentials, or does not let their user publish that."""


class RefusedByService(ClientError):
    """The service said no; `answer` has the code, the sentence and the details."""

    def __init__(self, answer: "Answer") -> None:
        super().__init__(answer.message)
        self.answer = answer


@dataclass(frozen=True)
class Answer:
    """What a service answered."""

    ok: bool
    result: dict[str, Any] = field(default_factory=dict)
    command_id: str | None = None
    events: tuple[dict[str, Any], ...] = ()
    code: str = ""
    message: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)

    def accepted(self) -> Self:
        """The answer, if the service said yes; raises `RefusedByService`."""
        if not self.ok:
            raise RefusedByService(self)
        return self

    @property
    def positions(self) -> dict[str, int]:
        """For `min_position`: the last position of each noun's service among the events."""
        from shared.contracts.messages import owner_of

        return {owner_of(event["type"].partition(".")[0]): event["position"] for event in self.events}


def _answer(body: bytes) -> Answer:
    raw = orjson.loads(body)
    known = {
        name: raw[name]
        for name in ("ok", "result", "command_id", "code", "message", "details")
        if name in raw
    }
    return Answer(**known, events=tuple(raw.get("events", ())), raw=raw)


class Client:
    """One connection under one name.

    `async with await Client.connect(url, actor="ann") as client`. Commands carry an id, so trying again is
    safe: a command that was decided before is answered as it was then.
    """

    def __init__(self, connection: Connection, url: str, actor: str | None, permitted: Permitted) -> None:
        self.connection = connection
        self.url = url
        self.actor = actor
        self._permitted = permitted

    @classmethod
    async def connect(cls, url: str, actor: str | None = None, *, seconds: float = 3.0) -> Self:
        """Connect to a server, or to any node of a cluster; raises `Unreachable` when none answers.

        Raises `Forbidden` when it does not take the credentials.
        """
        servers, permitted = nats_servers(url), Permitted()
        try:
            async with asyncio.timeout(seconds):
                connection = await nats.connect(
                    **servers._asdict(),
                    name=actor or ANONYMOUS,
                    inbox_prefix=inbox_prefix(servers.user),
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=1,
                    ping_interval=10,
                    error_cb=permitted.note,
                )
        except (OSError, TimeoutError, nats.errors.Error) as error:
            where = ", ".join(servers.servers)
            if permitted.shut_out:
                who = servers.user or "anybody without credentials"
                raise Forbidden(
                    f"The NATS server at {where} does not let {who} in: name it with a user and the "
                    "password that it has, as in nats://USER:PASSWORD@HOST:PORT."
                ) from error
            raise Unreachable(f"No NATS server answers at {where}: {error!r}.") from error
        return cls(connection, url, actor, permitted)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Send what is left and part."""
        if not self.connection.is_closed:
            await self.connection.close()

    async def ask(
        self,
        command: Command,
        *,
        command_id: str | None = None,
        patience: float = PATIENCE_SECONDS,
        **causes: str,
    ) -> Answer:
        """Have a command decided; the answer comes after the commit.

        It is tried again with the same id while nobody answers, for `patience` seconds; then `Unreachable`.
        """
        return await self.ask_raw(
            command.owner(),
            command.wire_name(),
            _body(command),
            command_id=command_id,
            patience=patience,
            headers=causes,
        )

    async def ask_raw(
        self,
        service: str,
        name: str,
        body: bytes,
        *,
        command_id: str | None = None,
        patience: float = PATIENCE_SECONDS,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The same for a body that is JSON already."""
        subject = wire.command_subject("ask", service, name, self.actor)
        sent = {wire.CE_ID: command_id or str(uuid7()), **(headers or {})}
        return await self._request(subject, body, sent, patience)

    async def send(self, command: Command, *, command_id: str | None = None) -> str:
        """Put a command on the durable lane; returns its id once the broker has promised to keep it."""
        return await self.send_raw(
            command.owner(), command.wire_name(), _body(command), command_id=command_id
        )

    async def send_raw(
        self,
        service: str,
        name: str,
        body: bytes,
        *,
        command_id: str | None = None,
        reply_to: str | None = None,
    ) -> str:
        """The same for a body that is JSON already; the outcome also goes to `reply_to`, if given."""
        _check_size(body)
        identity = command_id or str(uuid7())
        headers = {wire.CE_ID: identity, wire.MSG_ID: identity} | (
            {wire.REPLY_TO: reply_to} if reply_to else {}
        )
        await self._keep(wire.command_subject("cmd", service, name, self.actor), body, headers)
        return identity

    async def _keep(self, subject: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Publish until the broker has it: a cluster whose leader is gone takes nothing for some seconds."""
        js = self.connection.jetstream(timeout=TRY_SECONDS)
        deadline = monotonic() + PATIENCE_SECONDS
        while True:
            try:
                async with self._permitted.to(subject):
                    await js.publish(subject, body, headers=dict(headers))
            except NotPermitted as forbidden:
                raise self._forbidden(subject) from forbidden
            except LEADERLESS as error:
                if monotonic() + PAUSE_SECONDS > deadline:
                    raise Unreachable(f"The broker did not take the command: {error!r}.") from error
            except (nats.errors.Error, TimeoutError) as error:
                raise Unreachable(f"The broker did not take the command: {error!r}.") from error
            else:
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def query(self, query: Query, *, patience: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Ask a question; raises `RefusedByService` when there is nothing to answer."""
        return await self.query_raw(query.owner(), query.wire_name(), _body(query), patience=patience)

    async def query_raw(
        self, service: str, name: str, body: bytes = b"{}", *, patience: float = PATIENCE_SECONDS
    ) -> dict[str, Any]:
        """The same for a body that is JSON already."""
        answer = await self._request(wire.query_subject(service, name), body, None, patience)
        return answer.accepted().result

    async def _request(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None, patience: float
    ) -> Answer:
        _check_size(body)
        deadline = monotonic() + patience
        while True:
            left = deadline - monotonic()
            try:
                async with self._permitted.to(subject):
                    reply = await self.connection.request(
                        subject,
                        body,
                        timeout=max(0.1, min(left, max(TRY_SECONDS, patience))),
                        headers=dict(headers) if headers else None,
                    )
                answer = _answer(reply.data)
                if answer.code != "unavailable" or monotonic() + PAUSE_SECONDS > deadline:
                    return answer
            except NotPermitted as forbidden:
                raise self._forbidden(subject) from forbidden
            except nats.errors.NoRespondersError as error:
                if monotonic() + PAUSE_SECONDS > deadline:
                    raise Unreachable(f"No service answers {subject}: is it running?") from error
            except (nats.errors.TimeoutError, nats.errors.ConnectionReconnectingError) as error:
                if monotonic() + PAUSE_SECONDS > deadline:
                    raise Unreachable(f"No answer to {subject} within {patience:g} s.") from error
            except (nats.errors.ConnectionClosedError, nats.errors.OutboundBufferLimitError) as error:
                raise Unreachable(f"The connection to NATS is gone: {error!r}.") from error
            await asyncio.sleep(PAUSE_SECONDS)

    async def events(
        self,
        *,
        ticket_id: str | None = None,
        start: int | None = None,
        follow: bool = True,
        new_only: bool = False,
    ) -> AsyncIterator[tuple[int, Received]]:
        """Events as the broker holds them, with their place in the stream; of one ticket, or all.

        `start` is a place to begin at. Without `follow` it ends at what is the newest event when it begins.
        """
        subject = f"evt.*.*.{ticket_id}" if ticket_id else "evt.>"
        last = (await self.connection.jetstream().stream_info(wire.EVENTS_STREAM)).state.last_seq
        first = last + 1 if new_only else start or 1
        found = (
            followed(self.connection, subject, first)
            if follow
            else held(self.connection, subject, first, last)
        )
        async with aclosing(found):
            async for place, message in found:
                try:
                    event = from_message(message.headers or {}, message.data or b"")
                except Unreadable:
                    continue
                if message.subject == wire.event_subject(event.type, event.key):  # else it is a copy
                    yield place, event

    def _forbidden(self, subject: str) -> Forbidden:
        user = nats_servers(self.url).user or ANONYMOUS
        return Forbidden(
            f"The broker does not let {user} publish {subject}: everybody speaks under the own name only. "
            f"Act as {user}, or name the server with the credentials of {self.actor or 'somebody who may'}."
        )


def inbox_prefix(user: str | None) -> str:
    """Where answers to a user of the broker go; only one with a name has an inbox that is nobody else's."""
    return wire.inbox_of(user) if user and wire.KEY.match(user) else "_INBOX"


def _body(message: Command | Query) -> bytes:
    return message.model_dump_json(exclude_defaults=True).encode()


def _check_size(body: bytes) -> None:
    if len(body) > wire.MAX_BODY_BYTES:
        raise TooLarge(
            f"The message has {len(body)} bytes; the broker takes at most {wire.MAX_BODY_BYTES}. "
            "Hand large contents in as files, by path and hash."
        )
