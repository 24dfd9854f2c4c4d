"""Purses, in the release that is running."""

from dataclasses import dataclass, replace

from sqlalchemy import Column, Integer, MetaData, Table, Text

from shared.contracts.messages import Command, Event, Key
from shared.kernel.decider import Aggregate, Context, Facts, Past, Refused
from shared.kernel.declaration import Index, Service

metadata = MetaData()
purse_index = Table(
    "purse_index", metadata, Column("purse_id", Text, primary_key=True), Column("coins", Integer)
)


class OpenPurse(Command):
    """Open a purse."""

    purse_id: Key


class Fill(Command):
    """Put coins in."""

    purse_id: Key
    coins: int


class PurseOpened(Event):
    """A purse was opened."""

    purse_id: Key


class PurseFilled(Event):
    """Coins came in."""

    purse_id: Key
    coins: int


class PurseNotFound(Refused):
    """There is no such purse."""


@dataclass(frozen=True)
class Purse:
    """What a purse holds."""

    purse_id: str = ""
    coins: int = 0


def evolve(purse: Purse, event: PurseOpened | PurseFilled) -> Purse:
    match event:
        case PurseOpened():
            return Purse(event.purse_id)
        case PurseFilled():
            return replace(purse, coins=purse.coins + event.coins)


def open_purse(command: OpenPurse, past: Past, _: Context) -> Facts:
    return [] if past.of(Purse, command.purse_id).purse_id else [PurseOpened(purse_id=command.purse_id)]


def fill(command: Fill, past: Past, _: Context) -> Facts:
    if not past.of(Purse, command.purse_id).purse_id:
        raise PurseNotFound(f"There is no purse {command.purse_id}.")
    return [PurseFilled(purse_id=command.purse_id, coins=command.coins)]


purse = Service(
    "purse",
    aggregates=[Aggregate(Purse, evolve, key="purse_id")],
    obeys={OpenPurse: open_purse, Fill: fill},
    indexes=[Index(purse_index, Purse, lambda purse: {"purse_id": purse.purse_id, "coins": purse.coins})],
)
