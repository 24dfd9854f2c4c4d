"""The whole system, started as a user starts it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

OMOI = Path(sys.executable).parent / "omoi"
READY_SECONDS = 60


@dataclass
class System:
    """A running `omoi up`, and the CLI beside it."""

    home: Path

    def cli(
        self, *arguments: str, seconds: float = 60, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `omoi` with this home."""
        return subprocess.run(
            [str(OMOI), *arguments],
            env={**os.environ, "OMOI_HOME": str(self.home), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=seconds,
            cwd=cwd,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """What a command printed as JSON."""
        done = self.cli(*arguments)
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def up(self) -> "subprocess.Popen[bytes]":
        """Start `omoi up` and wait until `omoi doctor` says ready."""
        with (self.home.parent / "up.log").open("ab") as log:
            process = subprocess.Popen(
                [str(OMOI), "up", "-v"],
                env={**os.environ, "OMOI_HOME": str(self.home)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while self.cli("doctor", "--json").returncode != 0:
            assert process.poll() is None, (self.home.parent / "up.log").read_text()[-4000:]
            assert time.monotonic() < deadline, self.cli("doctor", "--json").stdout
            time.sleep(0.2)
        return process


def end(process: "subprocess.Popen[bytes]") -> int:
    """Stop `omoi up` as Ctrl-C does."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    return process.wait(30)


@pytest.fixture(scope="session")
def system(own_folder: Path) -> Iterator[System]:
    """One `omoi up` for the tests that only use it."""
    running = System(own_folder / "system" / ".omoi")
    running.home.parent.mkdir()
    process = running.up()
    yield running
    assert end(process) == 0
