"""`omoi guardian policy`, `triggers` and `backtest` as people type them."""

import json
from pathlib import Path

from shared.testing.world import World
from tests.guardian.test_command_line import town, typed

__all__ = ["town"]
TRY = """\
name: try
shadow: true
triggers:
  - id: made
    on: phase.ticket_opened
    when: ticket.priority == HIGH
    actions: [pause_ticket: {ticket_id: ticket.id}]
"""


async def test_a_policy_is_checked_loaded_seen_at_work_tested_and_removed(
    town: World, tmp_path: Path
) -> None:
    file = tmp_path / "try.yaml"
    file.write_text(TRY.replace("HIGH", "HUGE"))
    code, said = await typed(town, "policy", "validate", str(file))
    assert (code, f"{file}:6: triggers[0].when: There is no name HUGE." in said) == (1, True), said
    file.write_text(TRY)
    code, said = await typed(town, "policy", "load", str(file))
    assert (code, said.split()[0], said.strip().endswith("is watched in shadow.")) == (0, "try", True), said
    code, said = await typed(town, "policy", "list", "--json")
    assert [each["name"] for each in json.loads(said)["policies"]] == ["try"]
    told = {"fact": "phase.ticket_opened", "ticket_id": "T-1", "at": "2999-01-01T00:00:00Z"}
    body = {**told, "changes": {"priority": "HIGH"}}
    assert (await town.ask("guardian.follow_ticket", body, actor="operator"))["ok"]
    code, said = await typed(town, "triggers")
    assert (code, "would: pause_ticket" in said) == (0, True), said
    code, said = await typed(town, "backtest", str(file), "--from", "1", "--json")
    [met] = json.loads(said)["triggers"]
    assert (code, met["subject_id"], met["actions"][0]["intended"]["kind"]) == (0, "T-1", "pause_ticket")
    code, said = await typed(town, "backtest", str(file), "--to", "2020-01-01T00:00")
    assert (code, "Nothing was triggered." in said) == (0, True), said
    code, said = await typed(town, "policy", "remove", "try", "--reason", "It was a trial.")
    assert code == 0, said
    code, said = await typed(town, "policy", "show", "try")
    assert (code, "policy_not_found" in said or "no policy" in said) == (1, True), said


async def test_a_policy_that_ships_is_named_without_its_path(town: World) -> None:
    code, said = await typed(town, "policy", "load", "emergency", "priority_override")
    assert code == 0, said
    code, said = await typed(town, "policy", "validate", "nothing-like-it")
    assert code == 2, said
