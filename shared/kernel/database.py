"""Connections of one service: its own role, its own schema, nothing else."""

from importlib.resources import files
from typing import Any

import asyncpg
import orjson
import structlog

log = structlog.get_logger()

POOL_MIN, POOL_MAX = 1, 6
DATABASE_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What any statement may raise while the database is away, for loops that look again later."""
NOT_LET_IN = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError)


def role_of(service: str) -> str:
    """The Postgres role a service works under."""
    return f"omoi_{service}"


async def _keep(_: Any) -> None:
    """Connections carry no session state, so nothing is reset between uses; that saves a round trip."""


async def _codecs(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads
    )


async def open_pool(database_url: str, service: str) -> asyncpg.Pool:
    """A pool whose connections see the service's schema only, with the rights of its role."""
    return await asyncpg.create_pool(
        plain_url(database_url),
        min_size=POOL_MIN,
        max_size=POOL_MAX,
        command_timeout=30,
        init=_codecs,
        reset=_keep,
        server_settings={
            "search_path": f"{service}, public",
            "role": role_of(service),
            "application_name": f"omoi-{service}",
            "lock_timeout": "20s",
            "idle_in_transaction_session_timeout": "30s",
        },
    )


def plain_url(database_url: str) -> str:
    """The URL as asyncpg reads it; SQLAlchemy's driver suffix is taken off."""
    return database_url.replace("postgresql+asyncpg://", "postgresql://", 1)


async def open_schema(database_url: str, service: str) -> asyncpg.Pool:
    """A pool of a service whose schema is there and not older than the code; else raises RuntimeError.

    A newer one is fine: while a release is rolled out, its migrations only add to what the code knows.
    """
    missing = f"The schema of {service} is missing. Run `omoi migrate`."
    try:
        pool = await open_pool(database_url, service)
    except asyncpg.InvalidParameterValueError as error:  # not even its role is there
        raise RuntimeError(missing) from error
    except NOT_LET_IN as error:
        raise RuntimeError(
            f"The database does not take the credentials of {service} ({error}). "
            f"`omoi migrate --credentials FILE` makes the role {role_of(service)} and gives it its password."
        ) from error
    if not await pool.fetchval("SELECT to_regclass('streams') IS NOT NULL"):
        await pool.close()
        raise RuntimeError(missing)
    current, known = await pool.fetchval("SELECT version_num FROM alembic_version"), known_revisions(service)
    if current in known[:-1]:
        await pool.close()
        raise RuntimeError(
            f"The schema of {service} is at {current}, not at {known[-1]}. Run `omoi migrate`."
        )
    if known and current and current not in known:
        log.info("schema_is_newer", service=service, schema=current, code=known[-1])
    return pool


def known_revisions(service: str) -> list[str]:
    """The revisions of a schema in this code, oldest first; none of a service declared in a test."""
    folder = files("services") / service / "migrations"
    if not folder.is_dir():
        return []
    return sorted(file.name.partition("_")[0] for file in folder.iterdir() if file.name[:1].isdigit())
