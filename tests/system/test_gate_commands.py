"""Gates as people meet them on the command line."""

import json
from pathlib import Path

from tests.system.conftest import System

DONE, REFUSED, USAGE = 0, 1, 2
WORKFLOW = """
name: consented
initial_phase: TODO
phases:
  - {id: TODO, name: To do, sequence_order: 0, allowed_transitions: [CHECK]}
  - id: CHECK
    name: Check
    sequence_order: 1
    allowed_transitions: [DONE]
    expected_outputs:
      - type: settings
        json_schema: {type: object, required: [port], properties: {port: {type: integer}}}
    gate:
      all_tasks_completed: false
      approval: {approvers: [ann, bob]}
  - {id: DONE, name: Done, sequence_order: 2, is_terminal: true}
"""


def in_check(system: System, folder: Path) -> str:
    """A ticket in CHECK."""
    file = folder / "consented.yaml"
    file.write_text(WORKFLOW)
    assert system.cli("workflow", "load", str(file)).returncode == DONE
    opened = system.json("ticket", "open", "Settings", "--workflow", "consented", "--json")
    ticket_id = str(opened["result"]["ticket_id"])
    assert system.cli("ticket", "transition", ticket_id, "CHECK").returncode == DONE
    return ticket_id


def hand_in(system: System, folder: Path, ticket_id: str, port: object) -> str:
    """The artifact's id."""
    file = folder / "settings.json"
    file.write_text(json.dumps({"port": port}))
    told = system.json(
        "gate", "submit", ticket_id, "settings", str(file), "--path", "settings.json", "--json"
    )
    return str(told["result"]["artifact_id"])


def test_people_hand_in_validate_and_approve(system: System, tmp_path: Path) -> None:
    ticket_id = in_check(system, tmp_path)
    hand_in(system, tmp_path, ticket_id, "eighty")
    failed = system.cli("gate", "validate", ticket_id)
    assert failed.returncode == REFUSED
    assert "'eighty' is not of type 'integer' at $.port" in failed.stdout
    artifact_id = hand_in(system, tmp_path, ticket_id, 80)
    assert system.cli("gate", "artifacts", ticket_id, "--content", artifact_id).stdout == '{"port":80}\n'
    listed = system.json("gate", "artifacts", ticket_id, "--json")["artifacts"]
    assert [one["superseded"] for one in listed] == [True, False]

    pending = system.cli("gate", "validate", ticket_id, "--json")
    assert (pending.returncode, json.loads(pending.stdout)["result"]["status"]) == (REFUSED, "pending")
    (request,) = system.json("gate", "reviews", "--ticket", ticket_id, "--json")["requests"]
    assert (request["kind"], request["approvers"]) == ("approval", ["ann", "bob"])
    assert "1 to approve" in system.cli("gate", "reviews").stdout

    stranger = system.cli("ticket", "approve", ticket_id)
    assert stranger.returncode == REFUSED
    assert "operator may not decide on the gate of CHECK; that is for ann, bob." in stranger.stderr
    approved = system.cli("ticket", "approve", ticket_id, "--as", "ann", "--comment", "Fine.")
    assert (approved.returncode, approved.stdout) == (DONE, "CHECK, visit 1: passed\n")
    assert system.cli("gate", "validate", ticket_id).returncode == DONE
    assert "ann approved: Fine." in system.cli("gate", "show", ticket_id).stdout


def test_people_reject_with_a_reason(system: System, tmp_path: Path) -> None:
    ticket_id = in_check(system, tmp_path)
    hand_in(system, tmp_path, ticket_id, 80)
    system.cli("gate", "validate", ticket_id)
    rejected = system.cli("ticket", "reject", ticket_id, "Not this port.", "--as", "bob")
    assert rejected.returncode == DONE
    assert rejected.stdout == "CHECK, visit 1: failed\n- bob rejected it: Not this port.\n"
    gate = system.json("gate", "show", ticket_id, "--json")
    assert gate["approvals"][0]["decisions"][0]["reason"] == "Not this port."


def test_what_is_not_there_is_refused_and_what_is_not_said_is_a_usage_error(system: System) -> None:
    assert system.cli("gate", "show", "nobody").returncode == REFUSED
    assert "ticket_not_found" in system.cli("ticket", "approve", "nobody").stderr
    nobody = "00000000-0000-7000-8000-000000000000"
    assert system.cli("gate", "review", nobody, "Well.").returncode == USAGE
    assert system.cli("gate", "submit", nobody, "note", "/no/such/file").returncode == USAGE
