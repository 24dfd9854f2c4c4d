"""A service of read models for the kernel's tests: what each till holds, and the last payment."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Column, Integer, MetaData, Table, Text, select

from shared.contracts.messages import Event, Key, Query, Result
from shared.kernel.declaration import ReadModel, Service
from shared.kernel.reading import Reading
from tests.kernel.till import TillClosed, TillOpened, TillPaid

metadata = MetaData()
till_book = Table(
    "till_book",
    metadata,
    Column("till_id", Text, primary_key=True),
    Column("coins", Integer, nullable=False),
    Column("payments", Integer, nullable=False),
    Column("last", Integer, nullable=False),
)

BROKEN: set[str] = set()
"""Tills whose payments the fold stumbles over, until a test mends it."""


class GetPage(Query):
    """The page of one till."""

    position_of = "till"
    till_id: Key


class Page(Result):
    """What the book says of a till."""

    till_id: Key
    coins: int
    payments: int


@dataclass(frozen=True)
class Row:
    """A row of the book."""

    till_id: str
    coins: int = 0
    payments: int = 0
    last: int = 0


def key(event: Event) -> str | None:
    return event.till_id if isinstance(event, TillOpened | TillPaid | TillClosed) else None


def evolve(row: Row | None, event: TillOpened | TillPaid | TillClosed) -> Row | None:
    match event:
        case TillOpened():
            return Row(event.till_id)
        case TillPaid():
            if event.till_id in BROKEN:
                raise ZeroDivisionError(event.till_id)
            assert row
            return replace(row, coins=row.coins + event.coins, payments=row.payments + 1, last=event.coins)
        case TillClosed():
            return None


async def get_page(query: GetPage, reading: Reading) -> dict[str, Any]:
    rows = await reading.rows(select(till_book).where(till_book.c.till_id == query.till_id))
    return dict(rows[0]) if rows else {"till_id": query.till_id, "coins": 0, "payments": 0}


book = Service("book", answers={GetPage: get_page}, read_models=[ReadModel(till_book, Row, key, evolve)])
