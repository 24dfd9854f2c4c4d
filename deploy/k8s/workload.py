"""What Kubernetes must know of a service, all of it taken from the service's code."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from omoi.services import all_services
from shared.kernel.database import role_of
from shared.kernel.declaration import Service
from shared.kernel.durables import Durable, durables_of
from shared.kernel.granting import Granting
from shared.kernel.runtime import DRAIN_SECONDS

ROOT = Path(__file__).parents[2]
OUTSIDE = ("shared.model", "shared.embedding")
"""Who imports one of these may call an API on the internet."""
GRACE_SECONDS = int(4 * DRAIN_SECONDS)
"""A service finishes what is in flight, the broker's library its own share, and the database may be slow."""


@dataclass(frozen=True)
class Workload:
    """One service, as a Deployment: its name, its database role, and the consumers whose lag scales it."""

    name: str
    role: str
    durables: Mapping[str, Durable]
    reaches_out: bool
    grace_seconds: int = GRACE_SECONDS


def workloads() -> tuple[Workload, ...]:
    """Every service of the code."""
    return tuple(
        Workload(name, role_of(name), scaling(service), reaches_out(name))
        for name, service in sorted(all_services().items())
    )


def scaling(service: Service) -> Mapping[str, Durable]:
    """The consumers whose lag asks for more replicas: what is granted is too little to lag."""
    return {reader: durable for reader, durable in durables_of(service).items() if reader != Granting.name}


def reaches_out(service: str) -> bool:
    """Whether a service may call an API on the internet."""
    files = (ROOT / "services" / service).rglob("*.py")
    return any(name.startswith(OUTSIDE) for file in files for name in _imported(file))


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
