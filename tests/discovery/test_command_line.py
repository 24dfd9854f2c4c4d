"""`omoi discover` as an agent types it inside a task, and as people do outside."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.discovery.conftest import Bench

OMOI = Path(sys.executable).parent / "omoi"
INSIDE = {"OMOI_TASK_ID": "chair", "OMOI_TICKET_ID": "T-1", "OMOI_AGENT_ID": "ann"}


class Shell:
    """Where commands are typed."""

    def __init__(self, bench: Bench, **variables: str) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith("OMOI_")}
        self.env = {**own, "OMOI_NATS_URL": bench.world.nats_url, "COLUMNS": "200", **variables}

    async def run(self, *arguments: str) -> tuple[int, str]:
        """Exit code, and what was printed."""
        process = await asyncio.create_subprocess_exec(
            str(OMOI), "discover", *arguments, env=self.env, stdout=PIPE, stderr=PIPE
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, (out or err).decode()

    async def json(self, *arguments: str) -> Any:
        """What it printed for scripts."""
        code, printed = await self.run(*arguments, "--json")
        assert code == 0, printed
        return json.loads(printed)


async def test_inside_a_task_no_id_is_typed(bench: Bench) -> None:
    shell = Shell(bench, **INSIDE)
    code, said = await shell.run("bug", "A leg is loose.")
    assert (code, "Recorded discovery" in said) == (0, True), said
    code, said = await shell.run("--branch", "TEST", "bug", "a leg is loose", "--describe", "Glue it.")
    assert (code, "Spawned task" in said) == (0, True), said
    (one,) = (await shell.json("list"))["discoveries"]
    assert (one["recorded_by"], one["source_task_id"], one["ticket_id"]) == ("ann", "chair", "T-1")
    view = await shell.json("show", one["discovery_id"])
    assert [branch["title"] for branch in view["branches"]] == ["Glue it."]
    code, said = await shell.run("bug", "A leg is loose!", "--branch", "TEST")
    assert (code, "open for it already" in said) == (0, True), said


async def test_people_look_after_discoveries(bench: Bench) -> None:
    shell = Shell(bench)
    told = (await shell.json("woodworm", "Holes in the seat", "--task", "chair", "--as", "bob"))["result"]
    discovery_id = told["discovery_id"]
    spawned = await shell.json("branch", discovery_id, "BUILD", "--boost", "--capability", "glue")
    task = await bench.query("scheduler.get_task", task_id=spawned["result"]["spawned_task_id"])
    assert (task["priority"], task["required_capabilities"]) == ("HIGH", ["glue"])
    code, said = await shell.run("show", discovery_id)
    assert (code, "Holes in the seat" in said, "Found by bob" in said) == (0, True, True), said
    code, said = await shell.run("resolve", discovery_id, "--reason", "Poisoned.")
    assert (code, said.strip()) == (0, f"Discovery {discovery_id} is resolved.")
    code, said = await shell.run("list", "--status", "resolved")
    assert (code, discovery_id in said) == (0, True), said
    stats = await shell.json("stats", "--ticket", "T-1")
    assert (stats["by_type"], stats["resolution_rate"]) == ({"woodworm": 1}, 1)
    code, said = await shell.run("stats")
    assert (code, "Resolved: 100%" in said) == (0, True), said
    code, said = await shell.run("dismiss", discovery_id)
    assert (code, said.strip()) == (0, f"Discovery {discovery_id} is invalid.")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nonsense", "x"), 1, "unknown_discovery_type: There is no type nonsense"),
        (("bug", "x", "--branch", "PAINT"), 1, "unknown_phase: The ticket's workflow has no phase PAINT"),
        (("show", "nobody"), 1, "discovery_not_found"),
        (("bug",), 2, "Missing argument"),
        (("bug", "x", "--describe", "y"), 2, "--branch PHASE"),
        (("list", "--status", "gone"), 2, "gone is none of"),
    ],
)
async def test_what_is_refused_and_what_is_mistyped_is_told_by_the_exit_code(
    bench: Bench, arguments: tuple[str, ...], code: int, words: str
) -> None:
    got, said = await Shell(bench, **INSIDE).run(*arguments)
    assert (got, words in " ".join(said.split())) == (code, True), said


async def test_outside_a_task_the_task_is_named(bench: Bench) -> None:
    code, said = await Shell(bench).run("bug", "x")
    assert (code, "--task" in said) == (2, True), said
