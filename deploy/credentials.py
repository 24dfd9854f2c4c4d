"""What is secret about a system in containers: `python -m deploy.credentials FOLDER` writes what is missing.

Each container is given one file of the folder, so no service knows another's password.
"""

import secrets
import subprocess
import sys
from pathlib import Path

from omoi.credentials import read
from omoi.services import service_names
from shared.stack import OPERATOR
from shared.stack.home import write_private

AGENT = "example"
NATS = "nats:4222"
DATABASE = "postgres:5432/omoi"


def write(folder: Path) -> None:
    """Complete the folder, which is for its owner only; passwords that are there stay."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / "credentials.json"
    _omoi("credentials", "create", str(file), "--agent", AGENT)
    held = read(file)
    _superuser(folder)
    for service in service_names():
        urls = [f"OMOI_NATS_URL={held.nats_url(NATS, service)}"]
        urls += [f"OMOI_DATABASE_URL={held.database_url(DATABASE, service)}"]
        _write(folder / f"{service}.env", urls)
    _write(folder / f"{AGENT}.env", [f"OMOI_NATS_URL={held.nats_url(NATS, AGENT)}"])
    _broker(folder / "nats.conf", file)


def operator_url(folder: Path, address: str) -> str:
    """Where the person connects to the broker."""
    return read(folder / "credentials.json").nats_url(address, OPERATOR)


def _superuser(folder: Path) -> None:
    """The database's own user, who only makes schemas and roles."""
    if (folder / "postgres.env").exists():
        return
    password = secrets.token_urlsafe(24)
    _write(folder / "postgres.env", [f"POSTGRES_PASSWORD={password}"])
    _write(folder / "migrate.env", [f"OMOI_DATABASE_URL=postgresql://postgres:{password}@{DATABASE}"])


def _broker(conf: Path, credentials: Path) -> None:
    """The broker's configuration; its passwords are hashed, and in the container another user reads it."""
    listen = ("--listen", "0.0.0.0:4222", "--store", "/data")
    text = _omoi("nats-config", "--credentials", str(credentials), *listen)
    conf.write_text(text, "utf-8")  # in place: a container that has the file mounted sees it
    conf.chmod(0o644)


def _omoi(*arguments: str) -> str:
    omoi = str(Path(sys.executable).with_name("omoi"))
    return subprocess.run([omoi, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout


def _write(file: Path, lines: list[str]) -> None:
    write_private(file, "".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
