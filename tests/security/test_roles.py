"""Every service's role in Postgres beside every schema."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from omoi.services import service_names
from shared.kernel.database import open_schema, role_of
from shared.kernel.schema import migrate
from shared.stack import Stack

DENIED = asyncpg.InsufficientPrivilegeError
PASSWORDS = {name: f"secret-of-{name}" for name in service_names()}
OTHERS = [(one, other) for one, other in product(service_names(), repeat=2) if one != other]


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[str]:
    """A database of every service that asks the roles for their passwords; its superuser's URL."""
    with tempfile.TemporaryDirectory(prefix="omoi-") as folder:
        async with await Stack.start(Path(folder) / ".omoi") as stack:
            await migrate(stack.database_url, service_names(), PASSWORDS)
            await _ask_for_passwords(stack)
            yield stack.database_url


async def _ask_for_passwords(stack: Stack) -> None:
    rules = stack.home / "postgres" / "pg_hba.conf"
    rules.write_text(f"local all postgres trust\nlocal all all scram-sha-256\n{rules.read_text()}")
    async with connected(stack.database_url) as superuser:
        await superuser.execute("SELECT pg_reload_conf()")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def url_of(database: str, service: str, password: str | None = None) -> str:
    return database.replace("postgres@", f"{role_of(service)}:{password or PASSWORDS[service]}@", 1)


async def denied(database: str, service: str, *statements: str) -> list[str]:
    """Those of the statements that the role is not allowed."""
    refused = []
    async with connected(url_of(database, service)) as role:
        for statement in statements:
            try:
                async with role.transaction():
                    await role.execute(statement)
                    raise Undo
            except DENIED:
                refused.append(statement)
            except Undo:
                continue
    return refused


class Undo(Exception):
    """Rolls back what was allowed."""


@pytest.mark.parametrize(("one", "other"), OTHERS)
async def test_a_role_neither_reads_nor_writes_another_ones_schema(
    database: str, one: str, other: str
) -> None:
    tried = [
        f"SELECT * FROM {other}.events",
        f"SELECT * FROM {other}.streams",
        f"INSERT INTO {other}.leases (name, holder, epoch, expires_at) VALUES ('x', 'y', 1, now())",
        f"DELETE FROM {other}.timers",
        f"CREATE TABLE {other}.mine (id integer)",
        f"SELECT {other}.append(NULL)",
        f"SET LOCAL ROLE {role_of(other)}",
    ]
    assert await denied(database, one, *tried) == tried


@pytest.mark.parametrize("service", service_names())
async def test_a_role_reads_its_own_log_and_cannot_change_what_is_in_it(database: str, service: str) -> None:
    own = f"SELECT * FROM {service}.events"
    forbidden = [
        f"UPDATE {service}.events SET type = 'x'",
        f"DELETE FROM {service}.events",
        f"TRUNCATE {service}.events",
        f"DROP TABLE {service}.events",
    ]
    assert await denied(database, service, own, *forbidden) == forbidden


@pytest.mark.parametrize("service", service_names())
async def test_a_role_has_nothing_that_is_not_its_own(database: str, service: str) -> None:
    forbidden = [
        "CREATE TABLE public.mine (id integer)",
        "CREATE TEMPORARY TABLE mine (id integer)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SET LOCAL ROLE postgres",
        "SET LOCAL SESSION AUTHORIZATION postgres",
    ]
    assert await denied(database, service, *forbidden[:4], *forbidden[5:]) == [*forbidden[:4], *forbidden[5:]]
    async with connected(url_of(database, service)) as role:
        with pytest.raises(DENIED):
            await role.execute(forbidden[4])  # not in a transaction
        await role.execute("RESET ROLE")
        assert await role.fetchval("SELECT current_user") == role_of(service)


async def test_a_grant_that_is_too_wide_is_found(database: str) -> None:
    peeking = "SELECT * FROM phase.events"
    async with connected(database) as superuser:
        await superuser.execute("GRANT USAGE ON SCHEMA phase TO omoi_board")  # planted fault
        await superuser.execute("GRANT SELECT ON phase.events TO omoi_board")  # planted fault
        assert await denied(database, "board", peeking) == []
        await superuser.execute("REVOKE ALL ON phase.events FROM omoi_board")
        await superuser.execute("REVOKE ALL ON SCHEMA phase FROM omoi_board")
    assert await denied(database, "board", peeking) == [peeking]


async def test_a_role_comes_in_with_its_password_only(database: str) -> None:
    pool = await open_schema(url_of(database, "phase"), "phase")
    assert await pool.fetchval("SELECT session_user || ' ' || current_user") == "omoi_phase omoi_phase"
    await pool.close()
    with pytest.raises(RuntimeError, match="does not take the credentials of phase"):
        await open_schema(url_of(database, "phase", "wrong"), "phase")
    with pytest.raises(RuntimeError, match="does not take the credentials of board"):
        await open_schema(url_of(database, "phase"), "board")


async def test_migrating_again_gives_a_role_its_new_password(database: str) -> None:
    await migrate(database, ["phase"], {"phase": "it's new"})
    async with connected(url_of(database, "phase", "it%27s%20new")):
        assert urlsplit(database).username == "postgres"
    await migrate(database, ["phase"], PASSWORDS)
