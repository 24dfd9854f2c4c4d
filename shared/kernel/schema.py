"""Making and changing a service's schema: its tables, and the role that may use them."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_only

from shared.kernel.database import known_revisions, plain_url, role_of

log = structlog.get_logger()

APPEND_ONLY = ("events",)


def install_kernel(op: Operations, service: str) -> None:
    """The tables every service has, and what its role may do with them: the log can only grow."""
    execute_script(op, files("shared.kernel").joinpath("schema.sql").read_text())
    role = role_of(service)
    op.execute(f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{service}" TO "{role}"')
    op.execute(f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA "{service}" TO "{role}"')
    for table in APPEND_ONLY:
        op.execute(f'REVOKE UPDATE, DELETE, TRUNCATE ON "{service}"."{table}" FROM "{role}"')
    op.execute(f'REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON "{service}".alembic_version FROM "{role}"')


def install_tables(op: Operations, service: str, metadata: MetaData, *, owned: bool = False) -> None:
    """A service's own tables; `owned` ones belong to its role, which may then rebuild and swap them."""
    role = role_of(service)
    if owned:
        op.execute(f'GRANT CREATE ON SCHEMA "{service}" TO "{role}"')
        op.execute(f'SET LOCAL ROLE "{role}"')
    metadata.create_all(op.get_bind(), checkfirst=False)
    if owned:
        op.execute("RESET ROLE")
        return
    for table in metadata.tables.values():
        op.execute(f'GRANT SELECT, INSERT, UPDATE, DELETE ON "{table.name}" TO "{role}"')


def execute_script(op: Operations, script: str) -> None:
    """Run several statements at once, as they stand."""
    driver: Any = op.get_bind().connection.driver_connection
    await_only(driver.execute(script))


def scripts(service: str) -> ScriptDirectory:
    """The revisions of a service."""
    return ScriptDirectory.from_config(config(service))


def config(service: str) -> Config:
    """Alembic's configuration for one service's history."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    made.set_main_option("version_locations", str(files("services") / service / "migrations"))
    made.set_main_option("path_separator", "os")
    made.attributes["service"] = service
    return made


async def migrate(
    database_url: str, services: Sequence[str], passwords: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Bring the schemas of `services` to their newest revision; returns service -> revision.

    The URL's user must be allowed to create schemas and roles; the services themselves work under roles that
    see their own schema only. `passwords` are those of the roles, by service.
    """
    engine = create_async_engine(
        plain_url(database_url).replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool
    )
    try:
        revisions = {service: await _migrate(engine, service) for service in services}
        async with engine.begin() as connection:
            for service, password in (passwords or {}).items():
                await connection.run_sync(_give_password, service, password)
        return revisions
    finally:
        await engine.dispose()


async def _migrate(engine: Any, service: str) -> str:
    head = scripts(service).get_current_head() or ""
    async with engine.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('omoios/migrate', 0))"))
        await connection.run_sync(_prepare, service)
        current: str | None = await connection.run_sync(_current, service)
        if current and current not in known_revisions(service):  # a newer release has been here: it stays
            log.warning("schema_is_newer", service=service, schema=current, code=head)
            return current
        if current != head:
            await connection.run_sync(_upgrade, service)
            log.info("schema_migrated", service=service, revision=head, before=current)
    return head


def _prepare(connection: Connection, service: str) -> None:
    role = role_of(service)
    _make_role(connection, role)
    connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{service}"'))
    connection.execute(text(f'GRANT USAGE ON SCHEMA "{service}" TO "{role}"'))
    _close_to_others(connection, role)
    connection.execute(text(f'SET LOCAL search_path = "{service}", public'))


def _make_role(connection: Connection, role: str) -> None:
    """A role is the whole server's: it is changed only where it must be, since others may be at it."""
    may_login = text("SELECT rolcanlogin FROM pg_roles WHERE rolname = :role")
    known = connection.scalar(may_login, {"role": role})
    if known is None:
        connection.execute(text(f'CREATE ROLE "{role}" LOGIN'))
        connection.execute(text(f'GRANT "{role}" TO CURRENT_USER'))
    elif not known:
        connection.execute(text(f'ALTER ROLE "{role}" LOGIN'))


def _close_to_others(connection: Connection, role: str) -> None:
    """Take away what everybody has by default, temporary tables too, and let the role connect."""
    database = connection.scalar(text("SELECT quote_ident(current_database())"))
    connection.execute(text(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC"))
    connection.execute(text(f'GRANT CONNECT ON DATABASE {database} TO "{role}"'))
    connection.execute(text("REVOKE CREATE ON SCHEMA public FROM PUBLIC"))


def _give_password(connection: Connection, service: str, password: str) -> None:
    statement = connection.scalar(
        text("SELECT format('ALTER ROLE %I PASSWORD %L', CAST(:role AS text), CAST(:password AS text))"),
        {"role": role_of(service), "password": password},
    )
    connection.exec_driver_sql(str(statement))


def _current(connection: Connection, service: str) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": service})
    return context.get_current_revision()


def _upgrade(connection: Connection, service: str) -> None:
    made = config(service)
    made.attributes["connection"] = connection
    command.upgrade(made, "head")
