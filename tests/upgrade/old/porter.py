"""A porter who carries what comes into purses, in the release that is running."""

from dataclasses import dataclass

from shared.contracts.messages import Command, Event, Key
from shared.kernel.decider import Aggregate, Context, Facts, Past
from shared.kernel.declaration import Service
from tests.upgrade.old.purse import PurseFilled


class Carry(Command):
    """Carry coins."""

    purse_id: Key
    coins: int


class PorterCarried(Event):
    """Coins were carried."""

    purse_id: Key
    coins: int


@dataclass(frozen=True)
class Porter:
    """What was carried for one purse."""

    coins: int = 0


def evolve(porter: Porter, event: PorterCarried) -> Porter:
    return Porter(porter.coins + event.coins)


def carry(command: Carry, past: Past, _: Context) -> Facts:
    past.of(Porter, command.purse_id)
    return [PorterCarried(purse_id=command.purse_id, coins=command.coins)]


def on_filled(event: PurseFilled) -> list[Command]:
    return [Carry(purse_id=event.purse_id, coins=event.coins)]


porter = Service(
    "porter",
    aggregates=[Aggregate(Porter, evolve, key="purse_id")],
    obeys={Carry: carry},
    hears={PurseFilled: on_filled},
)
