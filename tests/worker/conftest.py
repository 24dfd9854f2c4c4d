"""A repository with one file and one commit, and services with workers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.testing.world import World
from tests.worker.fleet import Fleet, fleet
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


@pytest.fixture
async def running_fleet(a_world: World, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Services that only this test's workers use."""
    async with fleet(a_world, tmp_path) as made:
        yield made
