"""The journal and the read models folded from it, committed together."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog
from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.contracts.messages import Event
from shared.kernel.declaration import ReadModel
from shared.kernel.received import Received
from shared.kernel.store import write_rows

log = structlog.get_logger()

metadata = MetaData()
journal = Table(
    "journal",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("id", Text, nullable=False, unique=True),
    Column("type", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("schema", SmallInteger, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("correlation", Text, nullable=False),
    Column("command_id", Text, nullable=False),
    Column("trigger", Text),
    Column("traceparent", Text),
    Column("data", JSONB, nullable=False),
)
"""Every event of every service in the order it was heard here: the one order that all read models share."""

COLUMNS = [column.name for column in journal.columns]


class Fold:
    """Folds events into one read model."""

    def __init__(self, model: ReadModel) -> None:
        self.model = model
        self._adapter: TypeAdapter[Any] = TypeAdapter(model.row)
        self._key = next(iter(model.table.primary_key.columns)).name

    async def apply(self, connection: Any, events: Sequence[Event], table: str | None = None) -> None:
        """Load the rows the events are about, fold in memory, write them back in one statement."""
        by_key: dict[str, list[Event]] = defaultdict(list)
        for event in events:
            if (key := self.model.key(event)) is not None:
                by_key[key].append(event)
        if not by_key:
            return
        name = table or self.model.name
        before = await self._load(connection, name, list(by_key))
        after = {key: self._folded(before.get(key), happened) for key, happened in by_key.items()}
        rows = [self._adapter.dump_python(row, mode="json") for row in after.values() if row is not None]
        gone = [key for key, row in after.items() if row is None and key in before]
        await write_rows(connection, self.model.table, rows, gone, name)

    def _folded(self, row: Any, events: Sequence[Event]) -> Any:
        for event in events:
            row = self.model.evolve(row, event)
        return row

    async def _load(self, connection: Any, name: str, keys: list[str]) -> dict[str, Any]:
        rows = await connection.fetch(
            f'SELECT "{self._key}" AS key, to_jsonb(t) AS row FROM "{name}" t WHERE "{self._key}" = ANY ($1)',  # noqa: S608
            keys,
        )
        return {row["key"]: self._adapter.validate_python(row["row"]) for row in rows}


class Journal:
    """The effect of the projection service's consumer: the journal grows and every read model with it."""

    def __init__(self, models: Sequence[ReadModel]) -> None:
        self._folds = [Fold(model) for model in models]

    async def prepare(self, events: Sequence[Received]) -> None:
        """Nothing: everything commits together."""

    async def apply(self, connection: Any, events: Sequence[Received]) -> None:
        """Append to the journal and fold, in the consumer's transaction."""
        if not events:
            return
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('omoios/journal', 0))")
        last = await connection.fetchval("SELECT coalesce(max(sequence), 0) FROM journal")
        rows = [_row(last + 1 + offset, received) for offset, received in enumerate(events)]
        await connection.copy_records_to_table("journal", records=rows, columns=COLUMNS)
        known = [event for received in events if (event := received.event()) is not None]
        for fold in self._folds:
            await fold.apply(connection, known)


def _row(sequence: int, event: Received) -> tuple[Any, ...]:
    values = event.as_json() | {"sequence": sequence, "at": datetime.fromisoformat(event.at)}
    return tuple(values[name] for name in COLUMNS)
