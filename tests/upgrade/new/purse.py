"""Purses, in the next release: a schema, a field, a type of event and a column more."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Column, Integer, MetaData, Table, Text

from shared.contracts.messages import Command, Event, Key
from shared.kernel.decider import Aggregate, Context, Facts, Past, Refused
from shared.kernel.declaration import Index, Service

metadata = MetaData()
purse_index = Table(
    "purse_index",
    metadata,
    Column("purse_id", Text, primary_key=True),
    Column("coins", Integer),
    Column("stitches", Integer),
)


class OpenPurse(Command):
    """Open a purse."""

    purse_id: Key


class Fill(Command):
    """Put coins in; every third time the purse is stitched."""

    purse_id: Key
    coins: int


def _held(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "holder": "nobody"}


class PurseOpened(Event):
    """A purse was opened, and somebody holds it."""

    upcasters = (_held,)
    purse_id: Key
    holder: str


class PurseFilled(Event):
    """Coins of some currency came in."""

    purse_id: Key
    coins: int
    currency: str = "gold"


class PurseStitched(Event):
    """A purse was stitched."""

    purse_id: Key


class PurseNotFound(Refused):
    """There is no such purse."""


@dataclass(frozen=True)
class Purse:
    """What a purse holds."""

    purse_id: str = ""
    holder: str = ""
    coins: int = 0
    fillings: int = 0
    stitches: int = 0


def evolve(purse: Purse, event: PurseOpened | PurseFilled | PurseStitched) -> Purse:
    match event:
        case PurseOpened():
            return Purse(event.purse_id, event.holder)
        case PurseFilled():
            return replace(purse, coins=purse.coins + event.coins, fillings=purse.fillings + 1)
        case PurseStitched():
            return replace(purse, stitches=purse.stitches + 1)


def open_purse(command: OpenPurse, past: Past, context: Context) -> Facts:
    if past.of(Purse, command.purse_id).purse_id:
        return []
    return [PurseOpened(purse_id=command.purse_id, holder=context.actor)]


def fill(command: Fill, past: Past, _: Context) -> Facts:
    purse = past.of(Purse, command.purse_id)
    if not purse.purse_id:
        raise PurseNotFound(f"There is no purse {command.purse_id}.")
    filled = PurseFilled(purse_id=command.purse_id, coins=command.coins, currency="ducats")
    return [filled, PurseStitched(purse_id=command.purse_id)] if purse.fillings % 3 == 2 else [filled]


def row(purse: Purse) -> dict[str, Any]:
    return {"purse_id": purse.purse_id, "coins": purse.coins, "stitches": purse.stitches}


purse = Service(
    "purse",
    aggregates=[Aggregate(Purse, evolve, key="purse_id")],
    obeys={OpenPurse: open_purse, Fill: fill},
    indexes=[Index(purse_index, Purse, row)],
)
