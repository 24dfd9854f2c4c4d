"""The passwords of the broker's users, made once and kept."""

import json
import secrets
from collections.abc import Iterable
from pathlib import Path

from shared.stack.home import write_private

FILE = "nats-users.json"


def stable_passwords(home: Path, names: Iterable[str]) -> dict[str, str]:
    """The password of each name: what `nats-users.json` of the home says, else a new one, written there."""
    kept = known_passwords(home)
    passwords = {name: kept.get(name) or secrets.token_urlsafe(24) for name in names}
    if not passwords.items() <= kept.items():
        write_private(home / FILE, json.dumps(kept | passwords, indent=2))
    return passwords


def known_passwords(home: Path) -> dict[str, str]:
    """The passwords that the home holds, by name."""
    file = home / FILE
    return dict(json.loads(file.read_text())) if file.exists() else {}
