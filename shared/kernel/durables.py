"""What a service reads from the broker, as its declaration asks for it."""

from collections.abc import Mapping
from typing import NamedTuple

from shared.kernel import wire
from shared.kernel.declaration import Service
from shared.kernel.granting import Granting
from shared.kernel.journal import Journal
from shared.kernel.reacting import Reacting

COMMANDS = "commands"
"""Who takes the durable commands; the readers of events are named by what they do with them."""


class Durable(NamedTuple):
    """A durable consumer of the broker: its stream and its name there."""

    stream: str
    name: str


def durables_of(service: Service) -> Mapping[str, Durable]:
    """Name of the reader -> its durable consumer."""
    found = {COMMANDS: Durable(wire.COMMANDS_STREAM, service.name)} if service.obeys else {}
    hearing = [Granting.name]
    hearing += [Reacting.name] if service.hears else []
    hearing += [Journal.name] if service.read_models else []
    return found | {name: Durable(wire.EVENTS_STREAM, f"{service.name}-{name}") for name in hearing}
