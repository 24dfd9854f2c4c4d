"""A repository with one file and one commit."""

from pathlib import Path

import pytest

from tests.worker.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """On branch main, with story.txt of nine numbered lines."""
    root = tmp_path / "project"
    root.mkdir()
    made = Project(root, tmp_path / "work")
    made.git("init", "--quiet")
    made.commit("story.txt", "".join(f"line {number}\n" for number in range(1, 10)))
    return made
