"""Users of a running broker who come later: the agents that work on this machine."""

import asyncio
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

from shared.stack.errors import StackError
from shared.stack.home import write_private
from shared.stack.passwords import known_passwords
from shared.stack.state import running_stack

FILE = "nats-agents.json"
LOCK = "nats-agents.lock"
PATIENCE_SECONDS = 20.0
LOOK_SECONDS = 0.05


class NotAdmitted(StackError):
    """The name cannot become a user of the broker."""


def guests(home: Path) -> dict[str, str]:
    """The passwords of those who came, by name."""
    file = home / FILE
    return dict(json.loads(file.read_text())) if file.exists() else {}


async def admit(home: Path, name: str) -> str:
    """Make a user of the broker that runs in this home; returns its URL once the broker takes it.

    The owner of the stack sees the file and has the broker read its configuration anew. Whoever was here
    already stays as it was. Raises NotAdmitted for a name that is somebody else's.
    """
    stack = running_stack(home)
    if stack is None:
        raise NotAdmitted(f"No stack is running in {home}.")
    if name in known_passwords(home):
        raise NotAdmitted(f"{name} is a service's name, the operator's or anonymous: an agent needs another.")
    with _held(home):
        known = guests(home)
        password = known.setdefault(name, secrets.token_urlsafe(24))
        if known != guests(home):
            write_private(home / FILE, json.dumps(known, indent=2))
    place = urlsplit(stack.nats_url)
    await _until_taken(place.hostname or "", place.port or 0, name, password)
    return f"nats://{name}:{password}@{place.hostname}:{place.port}"


def dismiss(home: Path, name: str) -> None:
    """Forget one who will not come again."""
    with _held(home):
        known = guests(home)
        if known.pop(name, None):
            write_private(home / FILE, json.dumps(known, indent=2))


@contextmanager
def _held(home: Path) -> Iterator[None]:
    """One process at a time changes the file."""
    descriptor = os.open(home / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


async def _until_taken(host: str, port: int, name: str, password: str) -> None:
    deadline = monotonic() + PATIENCE_SECONDS
    while not await _takes(host, port, name, password):
        if monotonic() > deadline:
            raise NotAdmitted(f"The broker does not take {name}: does its owner still run?")
        await asyncio.sleep(LOOK_SECONDS)


async def _takes(host: str, port: int, name: str, password: str) -> bool:
    """Whether the broker takes somebody; by hand, since a refused client of nats-py leaks its socket."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        await reader.readline()
        said = json.dumps({"user": name, "pass": password, "verbose": False})
        writer.write(f"CONNECT {said}\r\nPING\r\n".encode())
        return (await reader.readline()).startswith(b"PONG")
    except OSError:
        return False
    finally:
        writer.close()
