"""Rows of our own tables: they travel as one JSON array, and Postgres casts them to the table's types."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Table

Row = Mapping[str, Any]


def key_of(table: Table) -> str:
    """Name of a table's key, which is one column."""
    return next(iter(table.primary_key.columns)).name


def upsert(table: Table, parameter: int, *, name: str = "", only_if: str = "true") -> str:
    """A statement that writes the rows of one parameter, over those of the same key."""
    target, key = name or table.name, key_of(table)
    columns = [column.name for column in table.columns]
    names = ", ".join(f'"{column}"' for column in columns)
    changes = ", ".join(f'"{c}" = excluded."{c}"' for c in columns if c != key)
    conflict = f"DO UPDATE SET {changes}" if changes else "DO NOTHING"
    return (
        f'INSERT INTO "{target}" ({names}) '  # noqa: S608 - names come from Table objects of ours
        f'SELECT {names} FROM jsonb_populate_recordset(NULL::"{target}", ${parameter}::text::jsonb) '
        f'WHERE {only_if} ORDER BY "{key}" ON CONFLICT ("{key}") {conflict}'
    )


def delete(table: Table, parameter: int, *, name: str = "", only_if: str = "true") -> str:
    """A statement that deletes the rows whose keys are in one parameter."""
    target = name or table.name
    return f'DELETE FROM "{target}" WHERE "{key_of(table)}" = ANY (${parameter}) AND {only_if}'  # noqa: S608


def encoded(rows: Sequence[Row]) -> str:
    """Rows as the parameter of `upsert`."""
    return orjson.dumps(rows, option=orjson.OPT_NON_STR_KEYS).decode()


async def write_rows(
    connection: Any, table: Table, rows: Sequence[Row], gone: Sequence[str], name: str
) -> None:
    """Write rows into the table or a copy of it called `name`, and delete those whose keys are `gone`."""
    if gone:
        await connection.execute(delete(table, 1, name=name), sorted(gone))
    if rows:
        await connection.execute(upsert(table, 1, name=name), encoded(rows))
