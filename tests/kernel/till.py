"""A small service for the kernel's tests: tills hold coins."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from pydantic import Field
from sqlalchemy import Column, Integer, MetaData, Table, Text, select

from shared.contracts.messages import Authority, Command, Event, Key, Query, Result
from shared.kernel.decider import (
    Aggregate,
    CancelTimer,
    Context,
    Facts,
    Lookup,
    Past,
    Refused,
    Timer,
    Waiting,
)
from shared.kernel.declaration import Index, Service
from shared.kernel.reading import Reading

metadata = MetaData()
till_index = Table(
    "till_index", metadata, Column("till_id", Text, primary_key=True), Column("coins", Integer, index=True)
)


class TillRef(Result):
    """A till and what it holds."""

    till_id: Key
    coins: int


class OpenTill(Command):
    """Open a till."""

    creates = "till_id"
    till_id: Key | None = None
    note: str = ""


class Pay(Command):
    """Put coins in."""

    till_id: Key
    coins: int = Field(ge=1)


class Move(Command):
    """Move coins between two tills, both or neither."""

    from_till: Key
    to_till: Key
    coins: int = Field(ge=1)


class TakeFromRichest(Command):
    """Take a coin from whichever till holds most; waits for one that holds any."""

    wait_seconds: float = 0


class Close(Command):
    """Close a till; needs MONITOR."""

    authority = Authority.MONITOR
    till_id: Key


class CloseLater(Command):
    """Close a till after a while, unless it is paid into before."""

    till_id: Key
    seconds: float


class Stumble(Command):
    """Run into a fault of ours."""

    till_id: Key


class TillOpened(Event):
    """A till was opened."""

    till_id: Key
    note: str = ""


class TillPaid(Event):
    """Coins came in, or went out."""

    till_id: Key
    coins: int


class TillClosed(Event):
    """A till was closed."""

    till_id: Key


class GetTill(Query):
    """One till."""

    till_id: Key


class TillNotFound(Refused):
    """There is no such till."""


class TillExists(Refused):
    """There is such a till already."""


class TooFewCoins(Refused):
    """The till does not hold that many."""


@dataclass(frozen=True)
class Till:
    """What a till holds."""

    till_id: str = ""
    coins: int = 0
    closed: bool = False


@dataclass(frozen=True)
class Richest(Lookup[list[str]]):
    """The tills that hold most."""

    limit: int = 5


def evolve(till: Till, event: TillOpened | TillPaid | TillClosed) -> Till:
    match event:
        case TillOpened():
            return Till(event.till_id)
        case TillPaid():
            return Till(till.till_id, till.coins + event.coins)
        case TillClosed():
            return Till(till.till_id, till.coins, closed=True)


def _till(past: Past, till_id: str) -> Till:
    till = past.of(Till, till_id)
    if not till.till_id:
        raise TillNotFound(f"There is no till {till_id}.", till_id=till_id)
    return till


def open_till(command: OpenTill, past: Past, _: Context) -> Facts:
    assert command.till_id
    if past.of(Till, command.till_id).till_id:
        raise TillExists(f"Till {command.till_id} is open already.")
    return [TillOpened(till_id=command.till_id, note=command.note), TillRef(till_id=command.till_id, coins=0)]


def pay(command: Pay, past: Past, _: Context) -> Facts:
    till = _till(past, command.till_id)
    return [
        TillPaid(till_id=till.till_id, coins=command.coins),
        CancelTimer(f"close-{till.till_id}"),
        TillRef(till_id=till.till_id, coins=till.coins + command.coins),
    ]


def move(command: Move, past: Past, _: Context) -> Facts:
    source, target = _till(past, command.from_till), _till(past, command.to_till)
    if source.coins < command.coins:
        raise TooFewCoins(f"{source.till_id} holds {source.coins}.", coins=source.coins)
    return [
        TillPaid(till_id=source.till_id, coins=-command.coins),
        TillPaid(till_id=target.till_id, coins=command.coins),
    ]


def take_from_richest(command: TakeFromRichest, past: Past, context: Context) -> Facts:
    for till_id in past.find(Richest()):
        till = past.of(Till, till_id)
        if till.coins > 0:
            return [TillPaid(till_id=till_id, coins=-1), TillRef(till_id=till_id, coins=till.coins - 1)]
    until = context.received_at + timedelta(seconds=command.wait_seconds)
    if context.at < until:
        raise Waiting(until)
    raise TooFewCoins("No till holds a coin.")


def close(command: Close, past: Past, _: Context) -> Facts:
    till = _till(past, command.till_id)
    return [] if till.closed else [TillClosed(till_id=till.till_id)]


def close_later(command: CloseLater, past: Past, context: Context) -> Facts:
    till = _till(past, command.till_id)
    due = context.at + timedelta(seconds=command.seconds)
    return [Timer(f"close-{till.till_id}", due, Close(till_id=till.till_id))]


def stumble(command: Stumble, past: Past, _: Context) -> Facts:
    raise ZeroDivisionError(command.till_id)


async def get_till(query: GetTill, reading: Reading) -> TillRef:
    till = await reading.state(Till, query.till_id)
    if till is None:
        raise TillNotFound(f"There is no till {query.till_id}.")
    return TillRef(till_id=till.till_id, coins=till.coins)


async def richest(lookup: Richest, reading: Reading) -> list[str]:
    await asyncio.sleep(0)
    table = till_index.c
    rows = await reading.rows(
        select(table.till_id)
        .where(table.coins > 0)
        .order_by(table.coins.desc(), table.till_id)
        .limit(lookup.limit)
    )
    return [row["till_id"] for row in rows]


till = Service(
    "till",
    aggregates=[Aggregate(Till, evolve, key="till_id")],
    obeys={
        OpenTill: open_till,
        Pay: pay,
        Move: move,
        TakeFromRichest: take_from_richest,
        Close: close,
        CloseLater: close_later,
        Stumble: stumble,
    },
    answers={GetTill: get_till},
    lookups={Richest: richest},
    indexes=[Index(till_index, Till, lambda till: {"till_id": till.till_id, "coins": till.coins})],
)
