"""`omoi board` beside a running stack."""

from pathlib import Path

import pytest

from tests.system.conftest import System

WORKFLOW = """
name: board-command
initial_phase: PHASE_WANTED
blocked_phase: PHASE_BLOCKED
phases:
  - {id: PHASE_WANTED, name: Wanted, sequence_order: 0, allowed_transitions: [PHASE_BUILD]}
  - {id: PHASE_BUILD, name: Build, sequence_order: 1, allowed_transitions: [PHASE_DONE, PHASE_BLOCKED]}
  - {id: PHASE_DONE, name: Done, sequence_order: 2, is_terminal: true}
  - {id: PHASE_BLOCKED, name: Blocked, sequence_order: 3, allowed_transitions: [PHASE_BUILD]}
columns:
  - {id: wanted, name: Wanted, phases: [PHASE_WANTED]}
  - {id: building, name: Building, wip_limit: 1, phases: [PHASE_BUILD]}
  - {id: done, name: Done, phases: [PHASE_DONE]}
  - {id: blocked, name: Blocked, phases: [PHASE_BLOCKED]}
"""
BOARD = ("--workflow", "board-command")


@pytest.fixture(scope="module")
def tickets(system: System, own_folder: Path) -> list[str]:
    """Three tickets of a workflow in which one at a time is built."""
    document = own_folder / "board-command.yaml"
    document.write_text(WORKFLOW)
    system.json("workflow", "load", str(document), "--json")
    opened = [
        system.json("ticket", "open", f"Number {n}", *BOARD, "--json")["result"]["ticket_id"]
        for n in (1, 2, 3)
    ]
    return [str(ticket_id) for ticket_id in opened]


def test_cards_are_moved_wait_in_line_and_are_pulled(system: System, tickets: list[str]) -> None:
    first, second, third = tickets
    moved = system.cli("board", "move", first[-8:], "building")
    assert moved.stdout == f"{first} is in building (PHASE_BUILD).\n", moved.stderr
    waits = system.cli("board", "move", second, "building")
    assert waits.stdout.startswith(f"building is full. {second} waits in line (1 of 1)"), waits.stderr
    shown = system.json("ticket", "show", second, "--json")
    assert shown["place_in_line"] == "waits for a slot in column building (1 of 1; limit 1)"
    drawn = system.cli("board", *BOARD).stdout
    assert "Building 1/1" in drawn
    assert "place 1 for building" in drawn
    placed = system.cli("board", "reorder", third, "--before", second[-8:])
    assert placed.stdout == f"{third} is number 1 in wanted.\n", placed.stderr
    left = system.cli("board", "withdraw", second)
    assert left.stdout == f"{second} waits for building no more.\n", left.stderr
    forced = system.cli("board", "move", second, "building", "--force", "--reason", "it burns")
    assert forced.stdout == f"{second} is in building (PHASE_BUILD).\n", forced.stderr
    assert "Building 2/1" in system.cli("board", *BOARD, "--ascii").stdout


def test_a_board_is_shown_as_it_was(system: System, tickets: list[str]) -> None:
    before = system.cli("board", *BOARD, "--at", "0")
    assert before.returncode == 1
    assert "had no board before the first event" in before.stderr
    head = system.json("query", "projection.journal", '{"limit": 1}')["head"]
    drawn = system.cli("board", *BOARD, "--at", str(head)).stdout
    assert drawn.startswith(f"as of sequence {head}, ")
    assert all(f"Number {n}" in drawn for n in (1, 2, 3))


def test_statistics_of_a_board_are_drawn(system: System, tickets: list[str]) -> None:
    drawn = system.cli("board", "stats", *BOARD).stdout
    assert "nothing was done" in drawn
    assert "w wanted  b building  d done  l blocked" in drawn
    told = system.json("board", "stats", *BOARD, "--json")
    assert told["open"] == len(tickets)


def test_what_the_board_refuses_is_told_in_words(system: System, tickets: list[str]) -> None:
    unknown = system.cli("board", "move", "no-such-ticket", "building")
    assert unknown.returncode == 1
    assert "no-such-ticket" in unknown.stderr
    nowhere = system.cli("board", "move", tickets[2], "nowhere")
    assert nowhere.returncode == 1
    assert "nowhere" in nowhere.stderr
    assert system.cli("board", "reorder", tickets[2]).returncode == 2
    assert system.cli("board", "--at", "yesterday").returncode == 2
    assert system.cli("graph", "no-such-ticket").returncode == 1
