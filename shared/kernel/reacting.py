"""Reactions: what a service hears becomes commands to itself, on the durable lane, with ids that repeat."""

from collections.abc import Sequence
from typing import Any

from nats.aio.client import Client

from shared.contracts.messages import Command
from shared.kernel import wire
from shared.kernel.declaration import Service
from shared.kernel.draft import reaction_id
from shared.kernel.publishing import Message, publish_all
from shared.kernel.received import Received

ACK_SECONDS = 10.0


class Reacting:
    """The effect of a service's reactions: publishing commands, which a repetition cannot double."""

    name = "reactions"

    def __init__(self, service: Service, client: Client) -> None:
        self._service = service
        self.sources: Sequence[str] = service.sources
        self._heard = {event.wire_name(): reaction for event, reaction in service.hears.items()}
        self._js = client.jetstream(publish_async_max_pending=1000, timeout=ACK_SECONDS)

    async def prepare(self, events: Sequence[Received]) -> None:
        """Send the commands that the events ask for, and wait until the broker has them."""
        messages = [
            self._message(event, *command) for event in events for command in enumerate(self.commands(event))
        ]
        await publish_all(self._js, wire.COMMANDS_STREAM, messages, ACK_SECONDS + len(messages) / 200)

    async def apply(self, connection: Any, events: Sequence[Received]) -> None:
        """Nothing beside the marks."""

    def commands(self, received: Received) -> Sequence[Command]:
        """The commands that one event asks for."""
        reaction = self._heard.get(received.type)
        event = received.event() if reaction else None
        return reaction(event) if reaction and event is not None else ()

    def _message(self, event: Received, index: int, command: Command) -> Message:
        identity = reaction_id(event.id, self._service.name, index)
        headers = {
            wire.CE_ID: identity,
            wire.CE_CORRELATION: event.correlation,
            wire.CE_CAUSATION: event.id,
        }
        if event.traceparent:
            headers[wire.TRACEPARENT] = event.traceparent
        body = command.model_dump_json(exclude_defaults=True).encode()
        if len(body) > wire.MAX_BODY_BYTES:
            raise ValueError(f"{command.wire_name()} would have {len(body)} bytes; no message can carry it")
        subject = wire.command_subject("cmd", command.owner(), command.wire_name(), self._service.name)
        return subject, body, headers
