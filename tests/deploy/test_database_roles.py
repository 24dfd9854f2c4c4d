"""The migration does with what CloudNativePG gives it: roles that are there, and a database of its own."""

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest

from omoi.services import service_names
from shared.kernel.database import open_schema, role_of
from shared.kernel.schema import migrate
from shared.stack import Stack
from tests.deploy.rendered import by_kind, overlay


@pytest.fixture
async def made_by_the_operator() -> AsyncIterator[Stack]:
    """Postgres as CloudNativePG leaves it by our manifests, before the migration."""
    cluster = by_kind(overlay("production"), "Cluster")["postgres"]["spec"]
    first = cluster["bootstrap"]["initdb"]
    with TemporaryDirectory(prefix="omoi-") as folder:
        async with await Stack.start(Path(folder) / ".omoi") as stack:
            roles = sorted(cluster["managed"]["roles"], key=lambda role: len(role.get("inRoles", ())))
            await execute(
                stack.database_url,
                *(f"CREATE ROLE {role['name']} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE" for role in roles),
                *(f"GRANT {of} TO {role['name']}" for role in roles for of in role.get("inRoles", ())),
                f"CREATE DATABASE given OWNER {first['owner']}",
            )
            await execute(stack.database_url.replace("/omoi?", "/given?"), *first["postInitApplicationSQL"])
            yield stack


async def execute(url: str, *statements: str) -> None:
    """Run statements one by one."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_owner_migrates_every_schema_and_every_service_sees_its_own(
    made_by_the_operator: Stack,
) -> None:
    def url(role: str) -> str:
        return made_by_the_operator.role_url(role).replace("/omoi?", "/given?")

    revisions = await migrate(url("omoi_migrate"), service_names())
    assert set(revisions) == set(service_names())
    assert await migrate(url("omoi_migrate"), service_names()) == revisions
    for name in service_names():
        pool = await open_schema(url(role_of(name)), name)
        assert await pool.fetchval("SELECT count(*) FROM events") == 0
        await pool.close()
