"""The configuration of a NATS server: its users, what each may do, its JetStream store."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

ROUTES = "routes"
"""The user that nodes of a cluster introduce themselves as, to each other only."""


@dataclass(frozen=True)
class NatsUser:
    """What one user of the broker may publish and subscribe to: subjects or wildcards; None is everything.

    A subscription may name its queue group after a blank: `ask.phase.> phase`. `allow_responses` lets the
    user answer a request on whatever subject the requester waits at.
    """

    name: str
    publish: tuple[str, ...] | None = None
    subscribe: tuple[str, ...] | None = None
    allow_responses: bool = False


@dataclass(frozen=True)
class Cluster:
    """What makes a server one node of a cluster.

    Name and password are the same on all nodes, `server_name` is not. `listen` is host:port where the others
    reach this node; `routes` are host:port of all of them, or of enough for it to hear of the rest.
    """

    name: str
    password: str
    listen: str
    routes: tuple[str, ...]


def nats_config(
    users: Sequence[NatsUser],
    passwords: Mapping[str, str],
    *,
    listen: str,
    store: str,
    default_user: str | None = None,
    sync_always: bool = True,
    server_name: str = "omoi",
    cluster: Cluster | None = None,
) -> str:
    """Render the server's configuration. `listen` is host:port, `store` the folder of JetStream.

    Who comes without credentials is `default_user`; None refuses them. `sync_always` brings every message to
    disk before it is acknowledged; else the server does so every two minutes. Strict, it refuses requests to
    JetStream with fields that it does not know, such as its own answers, which may be sent anywhere.
    """
    sync = ", sync_interval: always" if sync_always else ""
    anonymous = f"no_auth_user: {_quoted(default_user)}\n" if default_user else ""
    rendered = "\n".join(f"    {_user(user, passwords[user.name])}" for user in users)
    return f"""\
server_name: {_quoted(server_name)}
listen: {_quoted(listen)}
max_payload: 1MB
jetstream {{ store_dir: {_quoted(store)}{sync}, strict: true }}
authorization {{
  users: [
{rendered}
  ]
}}
{anonymous}{_node(cluster) if cluster else ""}"""


def _node(cluster: Cluster) -> str:
    routes = [f"nats-route://{ROUTES}:{quote(cluster.password, safe='')}@{route}" for route in cluster.routes]
    return f"""\
cluster {{
  name: {_quoted(cluster.name)}
  listen: {_quoted(cluster.listen)}
  authorization {{ user: {ROUTES}, password: {_quoted(cluster.password)} }}
  routes: {json.dumps(routes)}
}}
"""


def _user(user: NatsUser, password: str) -> str:
    rules = [
        *([f"publish: {_rule(user.publish)}"] if user.publish is not None else []),
        *([f"subscribe: {_rule(user.subscribe)}"] if user.subscribe is not None else []),
        # Beside "everything" the server would read it as "answers only".
        *(["allow_responses: true"] if user.allow_responses and user.publish is not None else []),
    ]
    permissions = f", permissions: {{ {', '.join(rules)} }}" if rules else ""
    told = password if is_variable(password) else _quoted(password)
    return f"{{ user: {_quoted(user.name)}, password: {told}{permissions} }}"


def variable(name: str) -> str:
    """A password that the server reads from its environment when it starts."""
    return f"${name}"


def is_variable(password: str) -> bool:
    """Whether it stands for a variable of the server's environment; a hash begins with `$2`."""
    return re.fullmatch(r"\$[A-Z][A-Z0-9_]*", password) is not None


def _rule(subjects: tuple[str, ...]) -> str:
    # An empty allow list would allow everything.
    return f"{{ allow: {json.dumps(subjects)} }}" if subjects else '{ deny: [">"] }'


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
