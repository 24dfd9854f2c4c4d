"""The file of passwords: every user of the broker, and every service's role in the database."""

import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from shared.client import ClientError
from shared.contracts.messages import KEY_PATTERN
from shared.kernel.database import role_of
from shared.stack.home import write_private


class CredentialsProblem(ClientError):
    """The file does not hold what is asked of it."""


@dataclass(frozen=True)
class Credentials:
    """Passwords by user of the broker, and by service for its role in Postgres."""

    nats: dict[str, str]
    postgres: dict[str, str]

    def nats_url(self, server: str, user: str) -> str:
        """Address of the broker with a user's credentials; of each server, where commas part several."""
        password = self._password(self.nats, user)
        return ",".join(_with_user(one, "nats", user, password) for one in server.split(","))

    def database_url(self, database: str, service: str) -> str:
        """Address of the database with the role of a service."""
        password = self._password(self.postgres, service)
        return _with_user(database, "postgresql", role_of(service), password)

    def of_services(self, services: Iterable[str]) -> dict[str, str]:
        """The password of each service's role."""
        return {service: self._password(self.postgres, service) for service in services}

    def _password(self, passwords: dict[str, str], name: str) -> str:
        if name not in passwords:
            raise CredentialsProblem(
                f"The credentials name no {name}. `omoi credentials create` adds services that are missing, "
                f"with --agent {name} an agent or a person."
            )
        return passwords[name]


def read(file: Path) -> Credentials:
    """The passwords of a file; raises `CredentialsProblem` when it holds none."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        found = Credentials(dict(told["nats"]), dict(told["postgres"]))
    except FileNotFoundError as missing:
        raise CredentialsProblem(
            f"There is no {file}. `omoi credentials create {file}` makes it."
        ) from missing
    except (ValueError, KeyError, TypeError) as error:
        raise CredentialsProblem(f"{file} is no file of credentials: {error!r}.") from error
    # A name becomes a token of the subjects that its user may publish: `*` would be every name.
    if odd := [name for name in (*found.nats, *found.postgres) if not re.fullmatch(KEY_PATTERN, name)]:
        raise CredentialsProblem(
            f"{file} names {odd[0]!r}, which can be nobody's name: that is 1 to 64 letters, digits, - and _."
        )
    return found


def complete(
    file: Path, users: Iterable[str], services: Iterable[str], rotated: Iterable[str] = ()
) -> list[str]:
    """Add what the file lacks and renew what is `rotated`; returns the names that have a new password.

    The file is written whole and only its owner may read it.
    """
    old = read(file) if file.exists() else Credentials({}, {})
    again = set(rotated)
    if unknown := sorted(again - {*users, *services, *old.nats}):
        raise CredentialsProblem(f"{file} names no {', '.join(unknown)}, so there is nothing to renew.")
    new = Credentials(_filled(old.nats, users, again), _filled(old.postgres, services, again))
    if new != old:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_private(file, json.dumps({"nats": new.nats, "postgres": new.postgres}, indent=2) + "\n")
    changed = {name for name in new.nats if new.nats[name] != old.nats.get(name)}
    changed |= {name for name in new.postgres if new.postgres[name] != old.postgres.get(name)}
    return sorted(changed)


def _filled(old: dict[str, str], names: Iterable[str], again: set[str]) -> dict[str, str]:
    kept = {name: password for name, password in old.items() if name not in again}
    wanted = dict.fromkeys([*old, *names])
    return {name: kept.get(name) or secrets.token_urlsafe(24) for name in wanted}


def _with_user(address: str, scheme: str, user: str, password: str) -> str:
    whole = address if "://" in address else f"{scheme}://{address}"
    parts: SplitResult = urlsplit(whole.strip())
    place = parts.netloc.rpartition("@")[2]
    # Passwords of ours need no quoting, and nats-py would not undo it.
    return parts._replace(netloc=f"{user}:{password}@{place}").geturl()
