"""`omoi guardian` as people type it."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.guardian.service import guardian
from shared.kernel.schema import migrate
from shared.testing.world import World

OMOI = Path(sys.executable).parent / "omoi"


@pytest.fixture
async def town(a_world: World) -> AsyncIterator[World]:
    await migrate(a_world.database_url, ["guardian"])
    async with a_world.running(guardian):
        yield a_world


async def typed(world: World, *arguments: str) -> tuple[int, str]:
    """Exit code of `omoi guardian ...`, and what was printed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("OMOI_")}
    process = await asyncio.create_subprocess_exec(
        str(OMOI),
        "guardian",
        *arguments,
        env={**own, "OMOI_NATS_URL": world.nats_url},
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, (out or err).decode()


async def test_authority_is_granted_listed_and_taken_back(town: World) -> None:
    code, said = await typed(town, "grant", "ann", "monitor", "--reason", "on call", "--for", "2h")
    assert (code, "ann has MONITOR authority until" in said) == (0, True), said
    code, said = await typed(town, "grants")
    assert (code, "ann" in said, "on call" in said) == (0, True, True), said
    code, said = await typed(town, "revoke", "ann", "--reason", "off call", "--json")
    answer = json.loads(said)
    assert (code, answer["result"]) == (0, {"actor": "ann", "level": "MONITOR"})
    code, said = await typed(town, "grants", "--json")
    assert (code, json.loads(said)) == (0, {"grants": []})


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("grant", "ann", "king", "--reason", "x"), 2, "GUARDIAN, SYSTEM"),
        (
            ("grant", "ann", "GUARDIAN", "--reason", "x", "--for", "soon"),
            2,
            "a time is a number and s, m, h or d",
        ),
        (("grant", "ann", "GUARDIAN", "--reason", "x", "--as", "ann"), 1, "not_authorised"),
        (("grant", "phase", "GUARDIAN", "--reason", "x"), 1, "not_an_actor"),
        (("revoke", "ann", "--reason", "x"), 1, "nothing_granted"),
        (("grant", "ann", "GUARDIAN"), 2, "--reason"),
    ],
)
async def test_what_cannot_be_done_is_said_in_words(
    town: World, arguments: tuple[str, ...], code: int, words: str
) -> None:
    ended, said = await typed(town, *arguments)
    assert (ended, words in said) == (code, True), said
