"""Giving a table another name, and its parts theirs: what belongs to `tickets` begins with `tickets`."""

from typing import Any

INDEXES = (
    "SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE i.indrelid = $1::text::regclass"
)
CONSTRAINTS = (
    "SELECT conname AS name FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype IN ('n', 'c')"
)
"""Those without an index; the others are renamed with theirs."""


def renamed(name: str, before: str, after: str) -> str:
    """The name of a part after its table was renamed: `tickets_pkey` -> `tickets__old_pkey`."""
    return after + name.removeprefix(before) if name.startswith(before) else name


async def rename(connection: Any, before: str, after: str) -> None:
    """Rename a table with its indexes and constraints."""
    await connection.execute(f'ALTER TABLE "{before}" RENAME TO "{after}"')
    for row in await connection.fetch(INDEXES, after):
        name = row["name"]
        await connection.execute(f'ALTER INDEX "{name}" RENAME TO "{renamed(name, before, after)}"')
    for row in await connection.fetch(CONSTRAINTS, after):
        name = row["name"]
        change = f'RENAME CONSTRAINT "{name}" TO "{renamed(name, before, after)}"'
        await connection.execute(f'ALTER TABLE "{after}" {change}')
