"""The root holds what a newcomer needs to see, and no plans, notes or reports."""

import subprocess
from collections.abc import Set
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

FILES = {".dockerignore", ".gitignore", "LICENSE", "Makefile", "README.md", "pyproject.toml", "uv.lock"}
FOLDERS = {
    ".ci",
    "benchmarks",
    "deploy",
    "docs",
    "examples",
    "omoi",
    "policies",
    "services",
    "shared",
    "tests",
    "web",
    "workflows",
}


def committed(folder: Path) -> Set[str]:
    """Names at the top of a git repository."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return {path.partition("/")[0] for path in listed.stdout.split("\0") if path}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the tree is not a git repository")
def test_the_root_holds_nothing_else() -> None:
    assert committed(ROOT) - FILES - FOLDERS == set()


def test_a_planted_plan_is_found(tmp_path: Path) -> None:
    for name in ("PLAN.md", "README.md", "docs/glossary.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True)
    assert committed(tmp_path) - FILES - FOLDERS == {"PLAN.md"}
