"""A system in containers, as a trial sees it: what compose says of it, and what its servers hold."""

import csv
import json
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from deploy.requirements import ROOT

PROJECT = "omoios-trial"


@dataclass(frozen=True)
class Containers:
    """One project of compose."""

    command: Sequence[str]
    """`docker compose`, or whatever it is called here."""
    secrets: Path
    port: int
    """Where the broker is reached from outside."""

    def compose(self, *arguments: str, seconds: float = 300, quiet: bool = True) -> str:
        """Run compose on the project; returns what it printed. Raises CalledProcessError with that."""
        file = str(ROOT / "deploy" / "compose.yaml")
        command = [
            *self.command,
            "--project-name",
            PROJECT,
            "--profile",
            "example",
            "--file",
            file,
            *arguments,
        ]
        return _run(command, seconds, self._environment(), quiet=quiet)

    def _environment(self) -> Mapping[str, str]:
        return {
            **os.environ,
            "OMOI_SECRETS": str(self.secrets),
            "OMOI_NATS_PORT": str(self.port),
            "OMOI_USER": f"{os.getuid()}:{os.getgid()}",
            "DOCKER_BUILDKIT": os.environ.get("DOCKER_BUILDKIT", "0"),
        }

    def names(self) -> list[str]:
        """The parts of the project that go on running."""
        return sorted(set(self.compose("ps", "--services").split()) - {"migrate"})

    def id(self, name: str) -> str:
        """Docker's name for the container of a part."""
        return self.compose("ps", "--quiet", "--all", name).split()[0]

    def state(self, name: str) -> dict[str, object]:
        """What Docker says of a container: status, health, exit code."""
        found: dict[str, object] = json.loads(docker("inspect", "--format", "{{json .State}}", self.id(name)))
        return found

    def until_healthy(self, names: Sequence[str], seconds: float) -> None:
        """Wait until every container runs and says that it is well; raises TimeoutError with the logs."""
        deadline = monotonic() + seconds
        while ill := [name for name in names if not _is_well(self.state(name))]:
            if monotonic() > deadline:
                logs = self.compose("logs", "--tail", "30", *ill)
                raise TimeoutError(f"Not well after {seconds:g} s: {', '.join(ill)}\n{logs}")
            sleep(0.5)

    def sql(self, statement: str) -> list[list[str]]:
        """Rows of the database, as its superuser sees them."""
        psql = ("psql", "--host=/var/run/postgresql", "--username=postgres", "--dbname=omoi", "--csv", "-t")
        printed = docker("exec", self.id("postgres"), *psql, "--command", statement)
        return list(csv.reader(printed.splitlines()))


def docker(*arguments: str, seconds: float = 60) -> str:
    """Run docker; returns what it printed."""
    return _run(["docker", *arguments], seconds)


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_well(state: Mapping[str, object]) -> bool:
    health = state.get("Health")
    return state["Status"] == "running" and (not isinstance(health, dict) or health["Status"] == "healthy")


def _run(
    command: Sequence[str],
    seconds: float,
    environment: Mapping[str, str] | None = None,
    *,
    quiet: bool = True,
) -> str:
    done = subprocess.run(
        command, env=environment, timeout=seconds, capture_output=quiet, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout or ""
