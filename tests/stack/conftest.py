"""A home for the stacks of one test."""

import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from shared.stack import Stack


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder; not under tmp_path, whose top pytest closes again whenever another run starts."""
    with tempfile.TemporaryDirectory(prefix="omoi-") as made:
        yield Path(made)


@pytest.fixture(scope="session")
async def model() -> AsyncIterator[Path]:
    """A home that has been started once."""
    with tempfile.TemporaryDirectory(prefix="omoi-") as made:
        async with await Stack.start(Path(made) / ".omoi") as stack:
            pass
        yield stack.home


@pytest.fixture
def home(model: Path, folder: Path) -> Path:
    """A home of the test's own that has been started once: a copy, which spares the test the making."""
    subprocess.run(["cp", "-a", model, folder / ".omoi"], check=True)
    return folder / ".omoi"
