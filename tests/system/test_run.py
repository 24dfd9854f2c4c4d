"""The main job on the shipped example, as a newcomer runs it."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from defusedxml import ElementTree

from services.memory.reactions import memory_id_of
from tests.system.conftest import System, end

pytestmark = pytest.mark.timeout(300)  # two tickets, on a machine that does other things too

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
FIRST = [
    "PHASE_BACKLOG",
    "PHASE_REQUIREMENTS",
    "PHASE_DESIGN",
    "PHASE_IMPLEMENTATION",
    "PHASE_TESTING",
    "PHASE_IMPLEMENTATION",
    "PHASE_TESTING",
    "PHASE_DEPLOYMENT",
    "PHASE_DONE",
]
SECOND = [*FIRST[:5], *FIRST[7:]]


@dataclass(frozen=True)
class Ran:
    """What a run printed, and what it left behind."""

    system: System
    project: Path
    events: list[dict[str, Any]]
    first: dict[str, Any]
    second: dict[str, Any]

    def of(self, type_: str, ticket: dict[str, Any], **said: Any) -> list[dict[str, Any]]:
        """What the events of a type say of a ticket, where they also say this."""
        found = [e["data"] for e in self.events if (e["type"], e["key"]) == (type_, ticket["ticket_id"])]
        return [data for data in found if all(data[name] == value for name, value in said.items())]

    def git(self, *arguments: str) -> str:
        """What git says of the project."""
        command = ["git", "-C", str(self.project), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def ran(own_folder: Path) -> Ran:
    """Both example tickets, taken through in one run."""
    folder = own_folder / "run"
    project = folder / "project"
    shutil.copytree(EXAMPLES / "textkit", project)
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        ["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "--quiet", "-m", "start"],
    ):
        subprocess.run(["git", "-C", str(project), *arguments], check=True)
    system = System(folder / ".omoi")
    done = system.cli(
        *("run", str(EXAMPLES / "ticket.md"), str(EXAMPLES / "second-ticket.md"), "--repo", str(project)),
        *("--exec", f"{sys.executable} {EXAMPLES / 'agents' / 'agent.py'}", "--timeout", "120", "--json"),
        seconds=280,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    first, second = (line["summary"] for line in lines if "summary" in line)
    return Ran(system, project, [line for line in lines if "summary" not in line], first, second)


def test_the_example_ticket_comes_back_from_testing_once_and_gets_done(ran: Ran) -> None:
    assert ran.first["done"] is True
    assert ran.first["phase_path"] == FIRST
    assert ran.first["regressions"] == ["PHASE_IMPLEMENTATION"]
    assert ran.git("tag").strip()
    assert not list((ran.system.home / "work").iterdir())


def test_nobody_asked_the_broker_for_more_than_they_may(ran: Ran) -> None:
    assert "Violation" not in (ran.system.home / "nats.log").read_text()
    assert json.loads((ran.system.home / "nats-agents.json").read_text()) == {}


def test_a_bug_found_in_testing_branches_off_into_implementation_and_is_fixed(ran: Ran) -> None:
    [branch] = ran.of("discovery.branch_created", ran.first)
    assert (branch["discovery_type"], branch["spawn_phase_id"]) == ("bug", "PHASE_IMPLEMENTATION")
    [source] = ran.of("task.created", ran.first, task_id=branch["source_task_id"])
    assert (source["phase_id"], source["task_type"]) == ("PHASE_TESTING", "run_tests")
    assert ran.of("task.completed", ran.first, task_id=branch["spawned_task_id"])
    assert 'body.rstrip().endswith(",")' in ran.git("show", "main:src/textkit/durations.py")
    [resolved] = ran.of("discovery.resolved", ran.first)
    assert (resolved["automatic"], resolved["completed"]) == (True, 1)
    assert ran.first["discoveries"] == {branch["discovery_id"]: "resolved"}


def test_a_later_ticket_is_briefed_with_the_memory_of_the_fix_and_passes_at_once(ran: Ran) -> None:
    [branch] = ran.of("discovery.branch_created", ran.first)
    [fixed] = ran.of("task.completed", ran.first, task_id=branch["spawned_task_id"])
    memory_id = memory_id_of(branch["spawned_task_id"], fixed["attempt"])
    [built] = ran.of("task.completed", ran.second, task_type="implement_feature")
    [decision] = built["result"]["decisions"]
    assert f"as memory {memory_id} says: A reader that takes a comma" in decision
    assert memory_id in ran.second["memories"][built["task_id"]]
    assert ran.second["phase_path"] == SECOND
    assert ran.second["discoveries"] == {}


@pytest.fixture(scope="module")
def up_again(ran: Ran) -> Iterator[Ran]:
    """The stack once more, on what the run has left."""
    process = ran.system.up()
    yield ran
    assert end(process) == 0


def test_the_graph_shows_the_branch_in_every_form(up_again: Ran) -> None:
    ran, ticket_id = up_again, up_again.first["ticket_id"]
    drawn = ran.system.cli("graph", ticket_id).stdout
    number = re.search(r"▸● +(\d+) parse_duration reads", drawn)
    assert number is not None, drawn
    assert f"◆ → {number[1]}  bug: parse_duration reads" in drawn
    assert ".->" in ran.system.cli("graph", ticket_id, "--ascii").stdout
    mermaid = ran.system.cli("graph", ticket_id, "--mermaid").stdout
    assert re.search(rf'-\. "bug: parse_duration .*" \.-> n{number[1]}\n', mermaid)
    picture = ran.project.parent / "graph.svg"
    assert ran.system.cli("graph", ticket_id, "--svg", str(picture)).returncode == 0
    assert "edge found" in {each.get("class") for each in ElementTree.parse(picture).getroot().iter()}


def test_graph_and_board_are_shown_as_they_were(up_again: Ran) -> None:
    ran, ticket_id = up_again, up_again.first["ticket_id"]
    [opened] = [e["at"] for e in ran.events if e["type"] == "phase.ticket_opened" and e["key"] == ticket_id]
    [moved] = ran.of("phase.transitioned", ran.first, to_phase="PHASE_DESIGN")
    now = ran.system.json("graph", ticket_id, "--json")
    then = ran.system.json("graph", ticket_id, "--at", moved["at"], "--json")
    assert {node["phase"] for node in then["nodes"]} == {"PHASE_REQUIREMENTS"}
    assert len(then["nodes"]) < len(now["nodes"])
    assert (
        "as of sequence" in ran.system.cli("graph", ticket_id, "--at", str(then["as_of"]["sequence"])).stdout
    )
    board = ran.system.json("board", "--json")
    before = ran.system.json("board", "--at", opened, "--json")
    assert [column["count"] for column in board["columns"]] == [0, 0, 0, 0, 0, 2, 0]
    assert sum(column["count"] for column in before["columns"]) < 2
    assert ticket_id[-8:] in ran.system.cli("board").stdout
    assert "Done        2" in ran.system.cli("board", "stats").stdout


def test_a_second_ticket_is_not_begun_when_the_first_one_is_stuck(system: System, own_folder: Path) -> None:
    project = repository(own_folder / "stuck")
    ticket = project / "ticket.md"
    ticket.write_text("---\ntitle: Too hard\n---\nDo it.\n")
    done = system.cli(
        *("run", str(ticket), str(EXAMPLES / "ticket.md"), "--repo", str(project), "--exec", "exit 3"),
        *("--timeout", "60"),
        seconds=90,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Not begun: Write durations for people." in done.stderr
    assert "Too hard  REQUIREMENTS\n" in done.stdout
    assert "✗ 1 " in done.stdout
    assert "omoi memory search 'Too hard'" in done.stdout


def repository(project: Path) -> Path:
    """A git repository with one empty commit."""
    project.mkdir()
    subprocess.run(["git", "-C", str(project), "init", "--quiet", "--initial-branch=main"], check=True)
    author = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    commit = ("commit", "--quiet", "--allow-empty", "-m", "start")
    subprocess.run(["git", "-C", str(project), *author, *commit], check=True)
    return project


def test_a_run_beside_others_does_only_the_work_of_its_own_ticket(system: System, own_folder: Path) -> None:
    project = repository(own_folder / "beside")
    other = system.json("ticket", "open", "Not mine", "--json")["result"]["ticket_id"]
    system.json("ticket", "transition", other, "PHASE_REQUIREMENTS", "--json")
    ticket = own_folder / "own.md"
    ticket.write_text("---\ntitle: Mine\n---\nDo it.\n")
    done = system.cli(
        *("run", str(ticket), "--repo", str(project), "--exec", "echo too hard; exit 3", "--timeout", "60"),
        seconds=90,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "The command ended with exit code 3." in done.stdout
    dag = system.json("query", "scheduler.dag_status", json.dumps({"ticket_id": other}))
    assert {task["status"] for task in dag["nodes"]} == {"ready", "waiting"}
