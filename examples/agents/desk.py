"""What lies on an agent's desk: the brief, the worktree and the folder for reports."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DRAFTS = Path(__file__).parent / "drafts"

_GIT = (
    "git",
    "-c",
    "commit.gpgSign=false",
    "-c",
    "tag.gpgSign=false",
)  # nobody is there to type a passphrase


class GiveUp(Exception):
    """The task cannot be done; the sentence says why."""


@dataclass(frozen=True)
class Desk:
    brief: dict[str, Any]
    tree: Path
    reports: Path

    @classmethod
    def from_environment(cls) -> "Desk":
        tree = Path(os.environ["OMOI_WORKTREE"])
        if not (tree / "src/textkit").is_dir():
            raise GiveUp("I know the textkit example only; src/textkit is not here.")
        brief = json.loads(Path(os.environ["OMOI_BRIEF_JSON"]).read_text(encoding="utf-8"))
        return cls(brief, tree, Path(os.environ["OMOI_REPORTS"]))

    @property
    def title(self) -> str:
        return str(self.brief["ticket"]["title"])

    @property
    def ticket_id(self) -> str:
        return str(self.brief["ticket"]["ticket_id"])

    @property
    def blocking_reasons(self) -> list[str]:
        return self.brief.get("blocking_reasons") or []

    @property
    def task_description(self) -> str:
        return str(self.brief["task"]["description"])

    @property
    def memories(self) -> list[dict[str, Any]]:
        """What was learnt from earlier work that is like this."""
        return list(self.brief.get("memory", {}).get("memories", []))

    def introduction(self) -> str:
        """The ticket's words before its first heading."""
        return self._description().split("\n## ")[0].strip()

    def section(self, heading: str) -> str:
        """The ticket's words under a heading, nothing when it has no such heading."""
        found = re.search(rf"^## {heading}\s*\n(.*?)(?=^## |\Z)", self._description(), re.M | re.S | re.I)
        return found[1].strip() if found else ""

    def criteria(self) -> list[str]:
        """The ticket's acceptance criteria, one by one."""
        listed = re.findall(r"^[-*] (.+)$", self.section("Acceptance criteria"), re.M)
        if not listed:
            raise GiveUp("The ticket lists no acceptance criteria under a heading of that name.")
        return listed

    def read(self, path: str) -> str:
        if not (self.tree / path).is_file():
            raise GiveUp(f"{path} is missing; an earlier task should have written it.")
        return (self.tree / path).read_text(encoding="utf-8")

    def write(self, path: str, text: str) -> None:
        (self.tree / path).parent.mkdir(parents=True, exist_ok=True)
        (self.tree / path).write_text(text.rstrip() + "\n", encoding="utf-8")
        print(f"wrote {path}")

    def decide(self, decision: str) -> None:
        """Tell everybody who comes later what was decided."""
        path = self.reports / "findings.json"
        findings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"decisions": []}
        findings["decisions"].append(decision)
        path.write_text(json.dumps(findings), encoding="utf-8")
        print(f"decided: {decision}")

    def discover(self, discovery_type: str, description: str, *, branch: str) -> None:
        """Record what was found, and have a task for it in another phase. Raises GiveUp."""
        omoi = shutil.which("omoi") or str(Path(sys.executable).with_name("omoi"))
        command = [omoi, "discover", discovery_type, description, "--branch", branch]
        done = subprocess.run(command, cwd=self.tree, capture_output=True, text=True, check=False)
        if done.returncode:
            raise GiveUp(f"omoi discover: {done.stderr.strip()}")
        print(done.stdout.strip())

    def git(self, *arguments: str) -> str:
        """What git prints. Raises GiveUp."""
        done = subprocess.run([*_GIT, *arguments], cwd=self.tree, capture_output=True, text=True, check=False)
        if done.returncode:
            raise GiveUp(f"git {arguments[0]}: {done.stderr.strip()}")
        return done.stdout.strip()

    def _description(self) -> str:
        return str(self.brief["ticket"]["description"])
