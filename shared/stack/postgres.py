"""The embedded Postgres: its cluster, its settings, its start."""

import asyncio
import logging
import os
import secrets
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import asyncpg

from shared.stack.binaries import postgres_install
from shared.stack.child import Child
from shared.stack.errors import ServerFailed
from shared.stack.home import Home, write_private
from shared.stack.processes import drop_misleading_pid_file, stop_leftovers

DATABASE = "omoi"
SUPERUSER = "postgres"

log = logging.getLogger(__name__)


def postgres_config(socket_folder: Path, mark: str) -> str:
    """Render postgresql.conf. What somebody sets with ALTER SYSTEM is read after it and wins.

    `mark` shows in the titles of the server's processes.
    """
    return f"""\
# Written at every start. Settings of your own: ALTER SYSTEM SET ...
listen_addresses = ''
port = 5432
unix_socket_directories = '{socket_folder}'
cluster_name = '{mark}'
max_connections = 200
shared_buffers = 192MB

# The journal is the truth of the whole system: what was answered is on disk.
fsync = on
synchronous_commit = on
full_page_writes = on
max_wal_size = 2GB
checkpoint_timeout = 15min

# Short statements by key on a solid-state disk: neither compiling nor parallel workers pay.
random_page_cost = 1.1
jit = off
max_parallel_workers_per_gather = 0
autovacuum_max_workers = 2

# An abandoned transaction would hold the lock of its schema's journal.
idle_in_transaction_session_timeout = 30s

timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %u@%d '
"""


class Postgres:
    """Postgres 18 with pgvector, reached by a unix socket only; the folder of the socket is the door."""

    name = "Postgres"

    def __init__(self, home: Home) -> None:
        self._home = home
        self._data = home.root / "postgres"
        self._log = home.root / "postgres.log"
        self._bin = postgres_install() / "bin"
        self._socket_folder = home.socket_folder()
        self.child: Child | None = None

    def url(self, user: str = SUPERUSER) -> str:
        """Address of the database, for the superuser or for a role."""
        return f"postgresql://{user}@/{DATABASE}?host={self._socket_folder}"

    @property
    def command(self) -> list[str]:
        """The server's command line."""
        return [str(self._bin / "postgres"), "-D", str(self._data)]

    async def prepare(self) -> None:
        """Make the cluster at the first start; its name appears only when it is whole."""
        if self._data.exists():
            return
        # The server of a home that was deleted would write its farewell into the new cluster.
        await asyncio.to_thread(self._clear_the_way)
        for torn in self._home.root.glob("postgres.torn-*"):
            shutil.rmtree(torn, ignore_errors=True)
        # A name of its own: an initdb that was interrupted may still be writing.
        fresh = self._home.folder(f"postgres.torn-{secrets.token_hex(4)}")
        await self._initdb(fresh)
        fresh.rename(self._data)
        _sync_folder(self._home.root)

    async def start(self) -> None:
        """Start the server and return when the database answers."""
        await asyncio.to_thread(self._clear_the_way)
        config = postgres_config(self._home.socket_folder(), self._home.mark)
        write_private(self._data / "postgresql.conf", config)
        self.child = self._run(self.command)
        await self.child.until_ready(self._is_ready)
        try:
            await self._ensure_database()
        except asyncpg.PostgresError as error:
            raise ServerFailed(self.name, f"refused: {error}", self._log) from error

    async def stop(self) -> None:
        """Stop the server."""
        if self.child:
            await self.child.stop()
        with suppress(OSError):  # not empty: the server was killed, and the next start cleans up
            self._socket_folder.rmdir()

    def trouble(self) -> str | None:
        """What makes a living server useless."""
        return None if (self._socket_folder / ".s.PGSQL.5432").exists() else "lost its socket"

    def _run(self, command: list[str]) -> Child:
        # The fast shutdown: open transactions are rolled back, nothing waits for clients.
        fast = signal.SIGINT
        return Child(self.name, command, log_file=self._log, account=self._home.account, stop_signal=fast)

    async def _initdb(self, target: Path) -> None:
        options = ["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--data-checksums"]
        locale = ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        child = self._run([str(self._bin / "initdb"), "-D", str(target), *options, *locale])
        try:
            await child.exited.wait()
        finally:
            await child.stop()
        if child.code:
            raise ServerFailed("initdb", f"ended with code {child.code}", self._log)

    def _clear_the_way(self) -> None:
        stopped = stop_leftovers("postgres", lambda command: command == self.command, signal.SIGINT)
        # Backends and helpers that outlived their postmaster hold its shared memory.
        stopped += stop_leftovers("postgres", self._is_orphan, signal.SIGKILL)
        if stopped:
            log.warning("Stopped what a dead owner left of Postgres: pids %s", stopped)
        drop_misleading_pid_file(self._data / "postmaster.pid")
        drop_misleading_pid_file(self._socket_folder / ".s.PGSQL.5432.lock")

    def _is_orphan(self, command: list[str]) -> bool:
        return " ".join(command).startswith(f"postgres: {self._home.mark}: ")

    async def _is_ready(self) -> bool:
        assert self.child
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.child.pid) and lines[7].strip() == "ready"

    async def _ensure_database(self) -> None:
        try:
            connection = await self._connect(DATABASE)
        except asyncpg.InvalidCatalogNameError:
            connection = await self._connect("postgres")
            await connection.execute(f"CREATE DATABASE {DATABASE}")
        await connection.close()

    async def _connect(self, database: str) -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(host=str(self._socket_folder), user=SUPERUSER, database=database)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
