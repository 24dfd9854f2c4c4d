"""What was committed and acknowledged is there after any process of the stack was killed."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import nats
import psutil
import pytest
from nats.errors import Error as NatsError
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from shared.stack import RunningStack, Stack, running_stack
from shared.stack.account import account_for
from shared.stack.supervisor import CHECK_SECONDS

Owner = subprocess.Popen[str]

CONNECT = {"allow_reconnect": False, "connect_timeout": 1}


@pytest.fixture
def own(home: Path) -> Iterator[Callable[..., Owner]]:
    """Start another process that owns the stack of the home, return when the stack answers."""
    owners: list[Owner] = []

    def start(path: str = os.environ["PATH"]) -> Owner:
        script = [sys.executable, str(Path(__file__).with_name("owner.py")), str(home)]
        environment = {**os.environ, "PATH": path}
        owner = subprocess.Popen(
            script, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        owners.append(owner)
        assert owner.stdout
        assert owner.stdout.readline() == "ready\n"
        return owner

    yield start
    for owner in owners:
        owner.kill()
        owner.communicate()


def found(home: Path) -> RunningStack:
    stack = running_stack(home)
    assert stack
    return stack


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def end(owner: Owner) -> None:
    owner.kill()
    owner.wait()


def server(owner: int, program: str, home: Path) -> psutil.Process:
    """The server of that home: the owner may run those of others too."""
    servers = (child for child in psutil.Process(owner).children() if child.name() == program)
    return next(child for child in servers if any(str(home) in word for word in child.cmdline()))


async def leave(stack: RunningStack) -> None:
    """Commit a row and get a message acknowledged."""
    connection = await asyncpg.connect(stack.database_url)
    await connection.execute("CREATE TABLE notes AS SELECT 'kept' AS note")
    await connection.close()
    async with await nats.connect(stack.nats_url) as client:
        await client.jetstream().add_stream(StreamConfig(name="NOTES", subjects=["notes"]))
        await client.jetstream().publish("notes", b"kept")


async def row(stack: RunningStack) -> str | None:
    connection = await asyncpg.connect(stack.database_url)
    try:
        note: str | None = await connection.fetchval("SELECT note FROM notes")
    finally:
        await connection.close()
    return note


async def message(stack: RunningStack) -> bytes | None:
    async with await nats.connect(stack.nats_url, **CONNECT) as client:
        return (await client.jetstream().get_last_msg("NOTES", "notes")).data


async def eventually(check: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    """The check holds within the time; until then the servers may be away."""
    async with asyncio.timeout(seconds):
        while True:
            with suppress(OSError, asyncpg.PostgresError, NatsError):
                if await check():
                    return
            await asyncio.sleep(0.05)


async def all_is_kept(stack: RunningStack) -> bool:
    return (await row(stack), await message(stack)) == ("kept", b"kept")


async def store_is_empty(stack: RunningStack) -> bool:
    try:
        return not await message(stack)
    except NotFoundError:
        return True


async def test_data_outlives_a_stop_under_the_same_addresses(home: Path) -> None:
    async with await Stack.start(home):
        before = found(home)
        await leave(before)
    async with await Stack.start(home):
        after = found(home)
        assert (after.database_url, after.nats_url) == (before.database_url, before.nats_url)
        assert await all_is_kept(after)


@pytest.mark.parametrize("victims", [(), ("postgres",), ("nats-server",), ("postgres", "nats-server")])
async def test_data_outlives_a_killed_owner(
    home: Path, own: Callable[..., Owner], victims: tuple[str, ...]
) -> None:
    owner = own()
    await leave(found(home))
    owner.send_signal(signal.SIGSTOP)  # else it would bring its servers back
    for victim in victims:
        server(owner.pid, victim, home).kill()
    end(owner)
    assert running_stack(home) is None
    async with await Stack.start(home):
        assert await all_is_kept(found(home))


async def test_servers_that_outlived_their_owner_are_stopped_by_the_next_one(
    home: Path, own: Callable[..., Owner], tmp_path: Path
) -> None:
    owner = own(path=str(tmp_path))  # no setpriv there: the kernel does not stop them with the owner
    await leave(found(home))
    orphans = [server(owner.pid, "postgres", home), server(owner.pid, "nats-server", home)]
    end(owner)
    assert all(lives(orphan) for orphan in orphans)
    async with await Stack.start(home):
        assert not any(lives(orphan) for orphan in orphans)
        assert await all_is_kept(found(home))


async def test_backends_that_outlived_their_postmaster_do_not_hold_up_the_next_start(
    home: Path, own: Callable[..., Owner]
) -> None:
    owner = own()
    await leave(found(home))
    postmaster = server(owner.pid, "postgres", home)
    backends = postmaster.children()
    for backend in backends:
        backend.suspend()
    owner.send_signal(signal.SIGSTOP)
    postmaster.kill()
    end(owner)
    async with await Stack.start(home):
        assert not any(lives(backend) for backend in backends)
        assert await row(found(home)) == "kept"


@pytest.mark.skipif(
    not shutil.which("setpriv"), reason="without setpriv the servers stay until the next start"
)
async def test_the_servers_end_when_their_owner_is_killed(own: Callable[..., Owner], home: Path) -> None:
    owner = own()
    servers = [server(owner.pid, "postgres", home), server(owner.pid, "nats-server", home)]

    async def all_ended() -> bool:
        return not any(lives(process) for process in servers)

    end(owner)
    await eventually(all_ended)


async def test_ctrl_c_does_not_reach_the_servers(own: Callable[..., Owner], home: Path) -> None:
    owner = own()
    servers = [server(owner.pid, "postgres", home), server(owner.pid, "nats-server", home)]
    os.killpg(owner.pid, signal.SIGINT)  # as the terminal does, to every process of the group
    await asyncio.sleep(0.5)
    assert all(lives(process) for process in servers)


@pytest.mark.parametrize("victims", [("postgres",), ("nats-server",), ("postgres", "nats-server")])
async def test_a_server_killed_under_a_running_stack_comes_back(home: Path, victims: tuple[str, ...]) -> None:
    async with await Stack.start(home):
        await leave(found(home))
        killed = [server(os.getpid(), victim, home) for victim in victims]
        for process in killed:
            process.kill()
        await eventually(lambda: all_is_kept(found(home)))
        assert not any(lives(process) for process in killed)


@pytest.mark.parametrize("lost", ["nats", "nats/jetstream", "nats/jetstream/$G/streams"])
async def test_a_broker_that_lost_its_store_comes_back_with_an_empty_one(home: Path, lost: str) -> None:
    async with await Stack.start(home):
        await leave(found(home))
        await asyncio.sleep(CHECK_SECONDS)  # a store made and lost between two checks is not missed
        shutil.rmtree(home / lost)
        await eventually(lambda: store_is_empty(found(home)))
        assert await row(found(home)) == "kept"


async def test_a_postgres_that_lost_its_socket_comes_back(home: Path) -> None:
    async with await Stack.start(home):
        await leave(found(home))
        shutil.rmtree(home / "run")
        await eventually(lambda: all_is_kept(found(home)))


@pytest.fixture
def stranger(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the servers' account, since Postgres ignores those of others."""
    account = account_for(home / "postgres")
    process = subprocess.Popen(["sleep", "60"], user=account.uid if account else None)
    yield process
    process.kill()
    process.wait()


async def test_a_pid_file_that_names_a_stranger_neither_kills_it_nor_stops_the_start(
    home: Path, stranger: subprocess.Popen[bytes]
) -> None:
    async with await Stack.start(home):
        await leave(found(home))
    run, data = home / "run", (home / "postgres").stat()
    run.mkdir(mode=0o700)
    os.chown(run, data.st_uid, data.st_gid)
    for name in ("postgres/postmaster.pid", "run/.s.PGSQL.5432.lock"):
        (home / name).write_text(f"{stranger.pid}\n{home / 'postgres'}\n1\n5432\n{run}\n\n\nready\n")
    async with await Stack.start(home):
        assert await row(found(home)) == "kept"
    assert stranger.poll() is None


async def test_an_owner_whose_home_was_deleted_leaves_the_new_one_alone(home: Path) -> None:
    first = await Stack.start(home)
    shutil.rmtree(home)
    async with await Stack.start(home):
        await leave(found(home))
        servers = [server(os.getpid(), "postgres", home), server(os.getpid(), "nats-server", home)]
        await asyncio.sleep(1.5)  # time for the first one's supervisors to see what happened
        await first.stop()
        assert await all_is_kept(found(home))
        assert all(lives(process) for process in servers)
