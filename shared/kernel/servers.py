"""The NATS servers that one setting names."""

from typing import NamedTuple
from urllib.parse import unquote, urlsplit


class NatsServers(NamedTuple):
    """Arguments of `nats.connect`: addresses without credentials, and the credentials for all of them.

    A client learns of further nodes from the cluster, by address only. nats-py would introduce itself to
    those with credentials out of a URL that they do not have, and closes the connection when refused.
    """

    servers: list[str]
    user: str | None
    password: str | None


def nats_servers(nats_url: str) -> NatsServers:
    """Read `nats://ann:secret@one:4222,two:4222`: all nodes share the first credentials named."""
    parts = [urlsplit(part if "://" in part else f"nats://{part}") for part in nats_url.split(",") if part]
    named = next((part for part in parts if part.username), None)
    return NatsServers(
        [part._replace(netloc=part.netloc.rpartition("@")[2]).geturl() for part in parts],
        unquote(named.username or "") if named else None,
        unquote(named.password or "") if named else None,
    )
