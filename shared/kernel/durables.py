"""What a service reads from the broker, as its declaration asks for it."""

from collections.abc import Mapping, Sequence
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
    return found | {
        reader: Durable(wire.EVENTS_STREAM, f"{service.name}-{reader}") for reader in hearing_of(service)
    }


def hearing_of(service: Service) -> Mapping[str, Sequence[str]]:
    """Name of each reader of events -> the services that it hears."""
    hearing: dict[str, Sequence[str]] = {Granting.name: Granting.sources}
    if service.hears:
        hearing[Reacting.name] = service.sources
    if service.read_models:
        hearing[Journal.name] = Journal(service.read_models).sources
    return hearing
