"""`omoi guardian` as people type it who intervene."""

import json
from collections.abc import AsyncIterator

import pytest

from shared.testing.world import World
from tests.guardian.fleet import Fleet, at_work
from tests.guardian.test_command_line import typed


@pytest.fixture
async def fleet(a_world: World) -> AsyncIterator[Fleet]:
    async with at_work(a_world) as made:
        yield made


async def test_interventions_are_made_shown_listed_and_undone(fleet: Fleet) -> None:
    await fleet.task("saw")
    code, said = await typed(fleet.world, "priority", "saw", "high", "--reason", "It burns.")
    assert (code, "was: priority MEDIUM" in said, "is:  priority HIGH" in said) == (0, True, True), said
    code, said = await typed(fleet.world, "list", "--json")
    [listed] = json.loads(said)["interventions"]
    named = listed["intervention_id"]
    assert (code, listed["status"], listed["actor"], listed["ticket_id"]) == (
        0,
        "in_effect",
        "operator",
        "T-1",
    )
    code, said = await typed(fleet.world, "show", named[-9:])
    assert (code, "override_priority, in effect" in said, "It burns." in said) == (0, True, True), said
    code, said = await typed(fleet.world, "revert", named, "--reason", "A drill.")
    assert (code, "is reverted" in said, "is:  priority MEDIUM" in said) == (0, True, True), said
    code, said = await typed(fleet.world, "revert", named, "--reason", "A drill.")
    assert (code, "already_reverted" in said) == (1, True), said


async def test_what_cannot_be_done_is_said_with_its_code(fleet: Fleet) -> None:
    await fleet.task("saw")
    for arguments, exits, words in (
        (("priority", "saw", "urgent", "--reason", "x"), 2, "LOW, MEDIUM, HIGH, CRITICAL"),
        (("cancel", "saw"), 2, "--reason"),
        (("quarantine", "nobody", "--reason", "x"), 1, "agent_not_found"),
        (("cancel", "saw", "--reason", "x", "--as", "ann"), 1, "not_authorised"),
        (("list", "--status", "odd"), 2, "proposed"),
    ):
        code, said = await typed(fleet.world, *arguments)
        assert (code, words in said) == (exits, True), said
