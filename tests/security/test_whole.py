"""A ticket from opening to done on servers where everybody has credentials of their own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from omoi.services import service_names
from shared.stack.binaries import nats_server
from shared.testing.world import World

OMOI = Path(sys.executable).parent / "omoi"
ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60


class Site:
    """Servers, services and an agent, and the commands of those who run them."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.credentials = folder / "credentials.json"
        self.admin = database_url
        self.database = database_url.replace("postgres@", "", 1)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.nats = f"127.0.0.1:{free.getsockname()[1]}"

    def passwords(self) -> dict[str, str]:
        """Those of the broker's users."""
        held: dict[str, str] = json.loads(self.credentials.read_text())["nats"]
        return held

    def url(self, user: str) -> str:
        """The broker's address for a user, as the command line tells it."""
        told = self.run("credentials", "url", user, "--nats", self.nats, "--database", self.database)
        [line] = [line for line in told.splitlines() if line.startswith("OMOI_NATS_URL=")]
        return line.partition("=")[2]

    def run(self, *arguments: str, **environment: str) -> str:
        """What a command prints; it must succeed."""
        done = subprocess.run(
            [str(OMOI), *arguments],
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def environment(self, **more: str) -> dict[str, str]:
        """A clean one, with the file of credentials."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OMOI_")}
        return {
            **kept,
            "OMOI_CREDENTIALS": str(self.credentials),
            "OMOI_HOME": str(self.folder / "none"),
            **more,
        }

    @contextmanager
    def background(self, name: str, *command: str, **environment: str) -> Iterator[Path]:
        """A program that runs meanwhile, and its log."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                env=self.environment(**environment),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield log
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def eventually(tried: Callable[[], Any], log: Path) -> Any:
    """What is true in the end."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := tried()):
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.2)
    return value


@pytest.fixture
def site(tmp_path: Path, a_world: World) -> Iterator[Site]:
    """Everything at work: the broker as `omoi nats-config` says, each service under its own credentials."""
    made = Site(tmp_path, a_world.database_url)
    made.run("credentials", "create", str(made.credentials), "--agent", "ann")
    config = made.run("nats-config", "--listen", made.nats, "--store", str(tmp_path / "jetstream"))
    (tmp_path / "nats.conf").write_text(config)
    made.run("migrate", OMOI_DATABASE_URL=made.admin)
    with ExitStack() as running:
        program = str(nats_server())
        running.enter_context(made.background("nats", program, "--config", str(tmp_path / "nats.conf")))
        serving = (str(OMOI), "serve", *service_names())
        urls = {"OMOI_DATABASE_URL": made.database, "OMOI_NATS_URL": f"nats://{made.nats}"}
        log = running.enter_context(made.background("services", *serving, **urls))
        operator = made.url("operator")

        def ready() -> bool:
            asked = [str(OMOI), "doctor", "--json"]
            environment = made.environment(OMOI_NATS_URL=operator)
            return subprocess.run(asked, env=environment, capture_output=True, check=False).returncode == 0

        eventually(ready, log)
        yield made


def takes_strangers(site: Site) -> bool:
    """Whether the broker lets somebody in who has no credentials."""
    host, _, port = site.nats.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as stranger:
        stranger.sendall(b"CONNECT {}\r\nPING\r\n")
        return b"-ERR 'Authorization Violation'" not in stranger.makefile("rb").read()


@pytest.mark.timeout(300)
def test_a_ticket_gets_done_and_nobody_asks_for_more_than_they_may(site: Site, tmp_path: Path) -> None:
    operator, ann = site.url("operator"), site.url("ann")
    project = tmp_path / "project"
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(project)], check=True)
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    commit = ["commit", "--quiet", "--allow-empty", "-m", "start"]
    subprocess.run(["git", "-C", str(project), *identity, *commit], check=True)
    site.run("workflow", "load", str(ROOT / "examples" / "greeting.yaml"), OMOI_NATS_URL=operator)
    opening = ("ticket", "open", "Ann", "--workflow", "greeting", "--repo", str(project), "--json")
    ticket = json.loads(site.run(*opening, OMOI_NATS_URL=operator))["result"]["ticket_id"]

    doing = f'env > {tmp_path}/env; {OMOI} discover bug "It rains" && echo hello > GREETING.md'
    working = (str(OMOI), "worker", "--agent", "ann", "--capabilities", "greeting", "--exec", doing)
    with site.background("worker", *working, OMOI_NATS_URL=ann) as log:

        def done() -> bool:
            shown = json.loads(site.run("ticket", "show", ticket, "--json", OMOI_NATS_URL=operator))
            return bool(shown["phase_id"] == "PHASE_DONE")

        eventually(done, log)
    told = json.loads(site.run("discover", "list", "--ticket", ticket, "--json", OMOI_NATS_URL=operator))
    assert [found["recorded_by"] for found in told["discoveries"]] == ["ann"]
    events = site.run("events", "--ticket", ticket, "--json", OMOI_NATS_URL=ann)
    assert '"phase.transitioned"' in events

    given = (tmp_path / "env").read_text()
    secrets = {user: password for user, password in site.passwords().items() if password in given}
    assert set(secrets) == {"ann"}
    assert "credentials.json" not in given
    for log in tmp_path.glob("*.log"):
        assert not re.search("violation", log.read_text(), re.IGNORECASE), log.read_text()[-3000:]
    assert not takes_strangers(site)
