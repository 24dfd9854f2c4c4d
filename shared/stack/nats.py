"""The embedded NATS server: its port, its configuration, its start."""

import asyncio
import json
import logging
import secrets
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from shared.stack.binaries import nats_server
from shared.stack.child import Child
from shared.stack.guests import guests
from shared.stack.home import Home, write_private
from shared.stack.nats_config import NatsUser, nats_config
from shared.stack.processes import stop_leftovers

HOST = "127.0.0.1"
# Below the range that systems hand out to clients: one that retries a port of its own range can meet itself.
FIRST_PORT, LAST_PORT = 20_000, 29_999

GUEST_SECONDS = 0.2
"""How soon somebody who comes later is seen."""
Guest = Callable[[str], NatsUser]
"""What somebody of that name may do."""

log = logging.getLogger(__name__)


class Nats:
    """A NATS server with JetStream on this machine only; its port stays the same for as long as it can."""

    name = "NATS"

    def __init__(
        self,
        home: Home,
        users: Sequence[NatsUser],
        passwords: Mapping[str, str],
        *,
        default_user: str | None,
        sync_always: bool,
        guest: Guest | None = None,
    ) -> None:
        self._home = home
        self._users = users
        self._passwords = passwords
        self._default_user = default_user
        self._sync_always = sync_always
        self._guest = guest
        self._program = nats_server()
        self._store = home.root / "nats" / "jetstream"
        self._store_inodes: dict[Path, int] = {}
        self._port = 0
        self.child: Child | None = None

    def url(self, user: str) -> str:
        """Address of the broker with the credentials of a user."""
        return f"nats://{user}:{self._passwords[user]}@{HOST}:{self._port}"

    @property
    def command(self) -> list[str]:
        """The server's command line."""
        return [str(self._program), "--config", str(self._home.root / "nats" / "server.conf")]

    async def prepare(self) -> None:
        """Choose the port, once nobody of this home holds it any more."""
        await asyncio.to_thread(self._clear_the_way)
        self._port = _stable_port(self._home.root / "nats.port")

    async def start(self) -> None:
        """Start the server and return when it takes clients."""
        self._write_config()
        self.child = Child(
            self.name,
            self.command,
            log_file=self._home.root / "nats.log",
            account=self._home.account,
            stop_signal=signal.SIGTERM,
        )
        await self.child.until_ready(self._is_ready)
        self._store_inodes = {}

    async def stop(self) -> None:
        """Stop the server."""
        if self.child:
            await self.child.stop()

    async def keep_guests(self) -> None:
        """For ever: have the server know who was added to those that come later, or taken out."""
        known = guests(self._home.root)
        while True:
            await asyncio.sleep(GUEST_SECONDS)
            if known != (now := guests(self._home.root)):
                known = now
                self._write_config()
                if self.child and self.child.code is None:
                    self.child.send(signal.SIGHUP)

    def trouble(self) -> str | None:
        """What makes a living server useless: it goes on with files that nobody can read again."""
        before = self._store_inodes
        # The server makes the lower folders with the first stream and never takes one away.
        folders = (self._store, self._store / "$G", self._store / "$G" / "streams")
        now = {folder: folder.stat().st_ino for folder in folders if folder.exists()}
        self._store_inodes = now
        return None if before.items() <= now.items() else "lost its store"

    def _write_config(self) -> None:
        write_private(self._home.folder("nats") / "server.conf", self._config())

    def _config(self) -> str:
        coming = guests(self._home.root) if self._guest else {}
        return nats_config(
            [*self._users, *(self._guest(name) for name in coming if self._guest)],
            {**coming, **self._passwords},
            listen=f"{HOST}:{self._port}",
            store=str(self._store.parent),
            default_user=self._default_user,
            sync_always=self._sync_always,
            server_name=self._home.mark,
        )

    def _clear_the_way(self) -> None:
        if stopped := stop_leftovers("nats-server", lambda command: command == self.command, signal.SIGTERM):
            log.warning("Stopped what a dead owner left of NATS: pids %s", stopped)

    async def _is_ready(self) -> bool:
        try:
            async with asyncio.timeout(1):
                greeting = await _greeting(self._port)
        except (ConnectionError, TimeoutError):
            return False
        return _introduces(greeting, self._home.mark)


async def _greeting(port: int) -> bytes:
    """The first line of whoever listens at the port."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        return await reader.readline()
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def _introduces(greeting: bytes, name: str) -> bool:
    verb, _, body = greeting.partition(b" ")
    return verb == b"INFO" and json.loads(body)["server_name"] == name


def _stable_port(remembered: Path) -> int:
    port = int(remembered.read_text()) if remembered.exists() else 0
    while not (FIRST_PORT <= port <= LAST_PORT and _is_free(port)):
        port = FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT + 1)
    write_private(remembered, str(port))
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server itself does: connections of its predecessor that linger in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
