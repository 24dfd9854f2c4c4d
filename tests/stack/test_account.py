"""Root lends the servers an unprivileged account; everybody else runs them as they are."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import psutil
import pytest

from shared.stack import Stack, account
from shared.stack.account import Account

ROOT = Path(__file__).parents[2]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can take another account")


def servers(stack: Stack) -> list[psutil.Process]:
    assert stack.postgres.child
    assert stack.nats.child
    return [psutil.Process(stack.postgres.child.pid), psutil.Process(stack.nats.child.pid)]


@needs_root
async def test_under_root_the_servers_run_without_its_rights(home: Path) -> None:
    async with await Stack.start(home) as stack:
        assert [(server.username(), server.gids().effective != 0) for server in servers(stack)] == [
            ("omoi", True)
        ] * 2


@needs_root
async def test_under_root_the_servers_take_the_account_of_the_data(home: Path) -> None:
    async with await Stack.start(home):
        pass
    for path in (home, *home.rglob("*")):
        os.lchown(path, 65534, 65534)
    async with await Stack.start(home) as stack:
        assert {server.uids().effective for server in servers(stack)} == {65534}


@needs_root
def test_a_closed_folder_is_opened_for_passing_only(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "home").mkdir(parents=True)
    closed.chmod(0o700)
    account.open_path(closed / "home", Account(65534, 65534))
    assert closed.stat().st_mode & 0o777 == 0o701


def test_a_closed_installation_is_opened_as_far_as_its_owner_can_use_it(tmp_path: Path) -> None:
    program, library = tmp_path / "bin" / "server", tmp_path / "library"
    program.parent.mkdir()
    program.touch()
    library.touch()
    program.chmod(0o700)
    library.chmod(0o600)
    account.open_programs(tmp_path)
    assert (program.stat().st_mode & 0o777, library.stat().st_mode & 0o777) == (0o705, 0o604)


@needs_root
def test_a_plain_user_runs_a_stack() -> None:
    python = _python_of("nobody")
    if python is None:
        pytest.skip("no interpreter that the user nobody can run")
    with tempfile.TemporaryDirectory(prefix="omoi-") as home:
        os.chown(home, 65534, 65534)
        done = subprocess.run(
            [python, "-c", SCRIPT, home],
            user="nobody",
            group=65534,
            extra_groups=[],
            cwd="/",
            env={"PYTHONPATH": f"{ROOT}:{sysconfig.get_path('purelib')}"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.stdout, done.stderr) == ("omoi\n", "")


SCRIPT = """
import asyncio, sys, asyncpg
from pathlib import Path
from shared.stack import Stack

async def main():
    async with await Stack.start(Path(sys.argv[1])) as stack:
        connection = await asyncpg.connect(stack.database_url)
        print(await connection.fetchval("SELECT current_database()"))
        await connection.close()

asyncio.run(main())
"""


def _python_of(user: str) -> str | None:
    """An interpreter like ours that the user can run: ours may lie under the closed home of root."""
    system = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, system):
        try:
            subprocess.run([python, "-c", ""], user=user, cwd="/", capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    return None
