"""Starting, finding and stopping a stack."""

import asyncio
import fcntl
import os
import socket
import stat
from pathlib import Path
from typing import Any

import asyncpg
import nats
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from shared.stack import ServerFailed, Stack, StackInUse, running_stack, stable_passwords


async def ask(stack: Stack, sql: str) -> Any:
    connection = await asyncpg.connect(stack.database_url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def port(stack: Stack) -> int:
    return int(stack.nats_url().rpartition(":")[2])


async def test_a_second_start_on_a_running_home_names_its_process(home: Path) -> None:
    async with await Stack.start(home):
        with pytest.raises(StackInUse, match=f"already running, pid {os.getpid()}"):
            await Stack.start(home)
    async with await Stack.start(home):
        pass


async def test_an_interrupted_first_start_can_be_repeated(folder: Path) -> None:
    start = asyncio.create_task(Stack.start(folder))
    while not list(folder.glob("postgres.torn-*/*")):  # noqa: ASYNC110 - a folder tells nobody
        await asyncio.sleep(0.01)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    async with await Stack.start(folder):
        assert list(folder.glob("postgres.torn-*")) == []


async def test_stopping_twice_is_stopping_once(home: Path) -> None:
    stack = await Stack.start(home)
    await stack.stop()
    await stack.stop()
    with (
        pytest.raises(OSError, match="refused"),
        socket.create_connection(("127.0.0.1", port(stack))),
    ):
        pass


async def test_two_homes_run_side_by_side(home: Path) -> None:
    async with await Stack.start(home) as one, await Stack.start(home / "another") as two:
        await ask(one, "CREATE TABLE only_in_one ()")
        assert await ask(two, "SELECT to_regclass('only_in_one')") is None
        assert one.nats_url() != two.nats_url()


async def test_a_running_stack_is_found_by_its_state_file_and_a_stopped_one_is_not(home: Path) -> None:
    async with await Stack.start(home) as stack:
        found = running_stack(home)
        assert found
        assert (found.pid, found.database_url, found.nats_url) == (
            os.getpid(),
            stack.database_url,
            stack.nats_url(),
        )
    assert running_stack(home) is None


async def test_a_state_file_that_nobody_stands_behind_is_stale(home: Path) -> None:
    async with await Stack.start(home):
        left = (home / "stack.json").read_text()
    (home / "stack.json").write_text(left)
    assert running_stack(home) is None


async def test_asking_for_a_stack_does_not_hinder_its_start(home: Path) -> None:
    with (home / "lock").open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        asyncio.get_running_loop().call_later(0.05, fcntl.flock, asking, fcntl.LOCK_UN)
        async with await Stack.start(home):
            assert running_stack(home)


async def test_files_with_secrets_are_closed_to_others(home: Path) -> None:
    async with await Stack.start(home):
        for name in ("stack.json", "nats-users.json", "nats/server.conf", "postgres", "run", "nats"):
            assert stat.S_IMODE((home / name).stat().st_mode) & 0o077 == 0, name


async def test_a_port_taken_meanwhile_is_given_up_for_a_free_one(home: Path) -> None:
    async with await Stack.start(home) as stack:
        old = port(stack)
    with socket.create_server(("127.0.0.1", old)):
        async with await Stack.start(home) as stack:
            assert port(stack) != old
            async with await nats.connect(stack.nats_url()):
                pass


@pytest.mark.parametrize("name", ["d" * 120, "a b, 'c' \"d\" ü%"])
async def test_a_home_may_have_any_path(home: Path, name: str) -> None:
    async with await Stack.start(home / name) as stack:
        assert await ask(stack, "SELECT current_database()") == "omoi"
        async with await nats.connect(stack.nats_url()) as client:
            await client.jetstream().account_info()
    socket_folder = Path(stack.database_url.rpartition("=")[2])
    assert len(str(socket_folder)) < 90
    assert not socket_folder.exists()


async def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    (home / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(ServerFailed, match="initialized by PostgreSQL version 17"):
        await Stack.start(home)
    assert running_stack(home) is None


def test_passwords_are_kept_when_users_join(tmp_path: Path) -> None:
    before = stable_passwords(tmp_path, ["operator"])
    after = stable_passwords(tmp_path, ["phase", "operator"])
    assert after["operator"] == before["operator"] != after["phase"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("listen_addresses", ""),
        ("max_connections", "200"),
        ("max_wal_size", "2GB"),
        ("jit", "off"),
        ("idle_in_transaction_session_timeout", "30s"),
    ],
)
async def test_postgres_is_set_up_for_a_journal(stack: Stack, setting: str, value: str) -> None:
    assert await ask(stack, f"SHOW {setting}") == value


async def test_vectors_can_be_stored(stack: Stack) -> None:
    await ask(stack, "CREATE EXTENSION IF NOT EXISTS vector")
    assert await ask(stack, "SELECT '[1,2]'::vector <-> '[1,4]'::vector") == 2


async def test_sqlalchemy_takes_the_same_address(stack: Stack) -> None:
    engine = create_async_engine(stack.database_url.replace("postgresql", "postgresql+asyncpg", 1))
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT current_user")) == "postgres"
    await engine.dispose()
