"""Versions of a read model's rows: what each of them was at any point of the journal."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    MetaData,
    Select,
    Table,
    Text,
    column,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.kernel.declaration import ReadModel, Versions
from shared.kernel.draft import dumps
from shared.kernel.rows import key_of

Version = dict[str, Any]


def versions_table(table: Table, metadata: MetaData) -> Table:
    """`tickets_versions`: one row for each event that changed what is kept of a row of `tickets`."""
    return Table(
        f"{table.name}_versions",
        metadata,
        Column("key", Text, primary_key=True),
        Column("sequence", BigInteger, primary_key=True, autoincrement=False),
        Column("kept", JSONB, nullable=False),
    )


class Keeping:
    """Makes the versions of one read model."""

    def __init__(self, versions: Versions) -> None:
        self.table = versions.table
        self._kept = versions.kept
        loud = [name for name in versions.kept if name not in versions.quiet]
        self._loud: Callable[[Any], Any] = attrgetter(*loud)

    def version(self, key: str, sequence: int, before: Any, after: Any) -> Version | None:
        """The version that an event made; None when nothing worth one has changed."""
        if before is not None and self._loud(before) == self._loud(after):
            return None
        kept = {name: getattr(after, name) for name in self._kept}
        return {"key": key, "sequence": sequence, "kept": kept}

    async def write(self, connection: Any, versions: Sequence[Version], name: str) -> None:
        """Add versions to the table, or to a copy of it called `name`."""
        if versions:
            await connection.execute(
                f'INSERT INTO "{name}" (key, sequence, kept) SELECT key, sequence, kept'  # noqa: S608
                f' FROM jsonb_populate_recordset(NULL::"{name}", $1::text::jsonb)',
                dumps(versions),
            )


def rows_at(
    model: ReadModel, sequence: int, where: Callable[[FromClause], ColumnElement[bool]]
) -> Select[Any]:
    """The rows of a read model as they were when the journal had come to `sequence`.

    `where` picks rows by columns that never change, so that an index of today's table finds them; for each
    one its last version is looked up.
    """
    if model.versions is None:
        raise TypeError(f"{model.name} keeps no versions")
    table, versions, kept = model.table, model.versions.table, set(model.versions.kept)
    names = [one.name for one in table.columns]
    today = table.alias("today")
    last = (
        select(versions.c.kept)
        .where(versions.c.key == today.c[key_of(table)], versions.c.sequence <= sequence)
        .order_by(versions.c.sequence.desc())
        .limit(1)
        .lateral("last")
    )
    empty: ColumnElement[Any] = literal_column(f'NULL::"{table.name}"')
    changing = [column(name, table.c[name].type) for name in names if name in kept]
    former = func.jsonb_populate_record(empty, last.c.kept).table_valued(*changing).alias("former")
    columns = [former.c[name] if name in kept else today.c[name] for name in names]
    return select(*columns).select_from(today.join(last, true()).join(former, true())).where(where(today))
