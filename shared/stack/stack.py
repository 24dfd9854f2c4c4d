"""The embedded servers of one home, from start to stop."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.stack.account import Account, account_for, open_path, open_programs
from shared.stack.binaries import nats_server, postgres_install
from shared.stack.home import Hold, Home, hold
from shared.stack.nats import Guest, Nats
from shared.stack.nats_config import NatsUser
from shared.stack.passwords import stable_passwords
from shared.stack.postgres import Postgres
from shared.stack.state import RunningStack, announce, withdraw
from shared.stack.supervisor import Server, keep_alive

OPERATOR = "operator"


class Stack:
    """A running Postgres and a running NATS server under one home, kept alive until `stop`.

    As a context manager: `async with await Stack.start(home) as stack`.
    """

    def __init__(self, home: Path, postgres: Postgres, nats: Nats, undo: AsyncExitStack) -> None:
        self.home = home
        self.postgres = postgres
        self.nats = nats
        self._undo = undo

    @classmethod
    async def start(
        cls,
        home: Path,
        users: Sequence[NatsUser] = (NatsUser(OPERATOR),),
        *,
        default_user: str | None = None,
        sync_always: bool = True,
        guest: Guest | None = None,
    ) -> Self:
        """Start both servers of the home (made where missing) and return when they answer.

        `users` must name the operator; clients without credentials are `default_user`, None refuses them.
        `guest` says what agents may do who are admitted later; without it nobody is.
        `sync_always` brings each JetStream message to disk before its acknowledgement.
        Raises StackInUse when another process runs this home, ServerFailed when a server does not start.
        """
        root = _make(home)
        async with AsyncExitStack() as undo:
            held = await hold(root)
            undo.callback(held.release)
            withdraw(root)  # what a dead owner has left
            passwords = stable_passwords(root, [user.name for user in users])
            place = Home(root, _account(root / "postgres"))
            postgres = Postgres(place)
            nats = Nats(
                place, users, passwords, default_user=default_user, sync_always=sync_always, guest=guest
            )
            for server in (postgres, nats):
                await _launch(server, held, undo)
            if guest:
                undo.push_async_callback(_end, asyncio.create_task(nats.keep_guests()))
            announce(root, RunningStack(os.getpid(), postgres.url(), nats.url(OPERATOR)))
            undo.callback(_withdraw, root, held)
            return cls(root, postgres, nats, undo.pop_all())

    @property
    def database_url(self) -> str:
        """Address of the database `omoi` for its superuser, fit for asyncpg and SQLAlchemy."""
        return self.postgres.url()

    def role_url(self, role: str) -> str:
        """The same for a role."""
        return self.postgres.url(role)

    def nats_url(self, user: str = OPERATOR) -> str:
        """Address of the broker with the credentials of a user."""
        return self.nats.url(user)

    async def stop(self) -> None:
        """Stop both servers and give the home back; once stopped, there is nothing to do."""
        await self._undo.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _make(home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    return home.resolve()


def _account(data: Path) -> Account | None:
    """The servers' account, with its way to the data and the programs open."""
    account = account_for(data)
    if account:
        open_path(data, account)
        for programs in (postgres_install(), nats_server()):
            open_path(programs, account)
            open_programs(programs)
    return account


async def _launch(server: Server, held: Hold, undo: AsyncExitStack) -> None:
    await server.prepare()
    undo.push_async_callback(server.stop)
    await server.start()
    undo.push_async_callback(_end, asyncio.create_task(keep_alive(server, held)))


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


def _withdraw(root: Path, held: Hold) -> None:
    if not held.is_lost:
        withdraw(root)
