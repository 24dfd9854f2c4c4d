"""The main job on the shipped example, as a newcomer runs it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.system.conftest import System

ROOT = Path(__file__).parents[2]


def test_the_example_ticket_comes_back_from_testing_once_and_gets_done(own_folder: Path) -> None:
    folder = own_folder / "run"
    project = folder / "project"
    shutil.copytree(ROOT / "examples" / "textkit", project)
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        ["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "--quiet", "-m", "start"],
    ):
        subprocess.run(["git", "-C", str(project), *arguments], check=True)
    system = System(folder / ".omoi")
    done = system.cli(
        "run",
        str(ROOT / "examples" / "ticket.md"),
        "--repo",
        str(project),
        "--exec",
        f"{sys.executable} {ROOT / 'examples' / 'agents' / 'agent.py'}",
        "--timeout",
        "100",
        "--json",
        seconds=115,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    summary = lines[-1]["summary"]
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert summary["done"] is True
    assert summary["phase_path"] == [
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
    assert summary["regressions"] == ["PHASE_IMPLEMENTATION"]
    tags = subprocess.run(
        ["git", "-C", str(project), "tag"], capture_output=True, text=True, check=True
    ).stdout
    assert tags.strip()
    assert not list((folder / ".omoi" / "work").iterdir())


def test_a_run_beside_others_does_only_the_work_of_its_own_ticket(system: System, own_folder: Path) -> None:
    project = own_folder / "beside"
    project.mkdir()
    subprocess.run(["git", "-C", str(project), "init", "--quiet", "--initial-branch=main"], check=True)
    author = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    commit = ("commit", "--quiet", "--allow-empty", "-m", "start")
    subprocess.run(["git", "-C", str(project), *author, *commit], check=True)
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
