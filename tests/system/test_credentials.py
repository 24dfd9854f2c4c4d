"""Under whose credentials the embedded stack runs."""

import os
import subprocess
import time
from collections import Counter

import asyncpg
import pytest

from omoi.services import service_names
from shared.kernel.database import role_of
from tests.system.conftest import OMOI, System, end


async def sessions(system: System) -> Counter[tuple[str, str]]:
    """How many connections each program has to the database, and under which role it came."""
    connection = await asyncpg.connect(system.json("doctor", "--json")["database_url"])
    try:
        rows = await connection.fetch(
            "SELECT application_name, usename FROM pg_stat_activity WHERE application_name LIKE 'omoi-%'"
        )
    finally:
        await connection.close()
    return Counter((row["application_name"], row["usename"]) for row in rows)


def serving(system: System, service: str) -> "subprocess.Popen[bytes]":
    """A replica of a service beside `omoi up`."""
    return subprocess.Popen(
        [str(OMOI), "serve", service],
        env={**os.environ, "OMOI_HOME": str(system.home)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


async def test_every_service_comes_to_the_database_as_its_own_role(system: System) -> None:
    assert set(await sessions(system)) == {(f"omoi-{name}", role_of(name)) for name in service_names()}


async def test_a_replica_beside_the_stack_comes_under_its_own_role_too(system: System) -> None:
    before = (await sessions(system))["omoi-board", "omoi_board"]
    replica = serving(system, "board")
    try:
        deadline = time.monotonic() + 60
        while (found := await sessions(system))["omoi-board", "omoi_board"] <= before:
            assert time.monotonic() < deadline, found
            assert replica.poll() is None
    finally:
        assert end(replica) == 0
    assert {role for program, role in found if program == "omoi-board"} == {"omoi_board"}


@pytest.mark.parametrize("name", ["phase", "operator", "with.dots"])
def test_a_worker_cannot_take_a_name_that_is_not_its_own(system: System, name: str) -> None:
    done = system.cli("worker", "--agent", name, "--exec", "true")
    assert done.returncode == 2
    assert name in done.stderr


def test_wrong_credentials_are_told_from_a_server_that_is_not_there(system: System) -> None:
    right = system.json("doctor", "--json")["nats_url"]
    said = []
    for url in (right.replace("operator:", "operator:wrong"), "nats://operator:x@127.0.0.1:1"):
        environment = {**os.environ, "OMOI_NATS_URL": url, "COLUMNS": "300"}
        asked = [str(OMOI), "ticket", "list"]
        done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False, timeout=60)
        said.append((done.returncode, done.stderr))
    assert [code for code, _ in said] == [1, 3]
    assert "does not let operator in" in said[0][1]
    assert "No NATS server answers" in said[1][1]
