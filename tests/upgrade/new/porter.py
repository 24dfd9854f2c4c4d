"""A porter who mends purses, too, in the next release: a field of a command, a command and an event more."""

from dataclasses import dataclass, replace

from shared.contracts.messages import Command, Event, Key
from shared.kernel.decider import Aggregate, Context, Facts, Past
from shared.kernel.declaration import Service
from tests.upgrade.new.purse import PurseFilled, PurseStitched


class Carry(Command):
    """Carry coins of some currency."""

    purse_id: Key
    coins: int
    currency: str = "gold"


class Mend(Command):
    """Mend a purse."""

    purse_id: Key


class PorterCarried(Event):
    """Coins were carried."""

    purse_id: Key
    coins: int


class PorterMended(Event):
    """A purse was mended."""

    purse_id: Key


@dataclass(frozen=True)
class Porter:
    """What was done for one purse."""

    coins: int = 0
    mended: int = 0


def evolve(porter: Porter, event: PorterCarried | PorterMended) -> Porter:
    match event:
        case PorterCarried():
            return replace(porter, coins=porter.coins + event.coins)
        case PorterMended():
            return replace(porter, mended=porter.mended + 1)


def carry(command: Carry, past: Past, _: Context) -> Facts:
    past.of(Porter, command.purse_id)
    return [PorterCarried(purse_id=command.purse_id, coins=command.coins)]


def mend(command: Mend, past: Past, _: Context) -> Facts:
    past.of(Porter, command.purse_id)
    return [PorterMended(purse_id=command.purse_id)]


def on_filled(event: PurseFilled) -> list[Command]:
    return [Carry(purse_id=event.purse_id, coins=event.coins, currency=event.currency)]


def on_stitched(event: PurseStitched) -> list[Command]:
    return [Mend(purse_id=event.purse_id)]


porter = Service(
    "porter",
    aggregates=[Aggregate(Porter, evolve, key="purse_id")],
    obeys={Carry: carry, Mend: mend},
    hears={PurseFilled: on_filled, PurseStitched: on_stitched},
)
