"""The users of the broker: one for each service, the operator, and whoever else has a password."""

from collections.abc import Iterable

from omoi.services import all_services
from shared.contracts.messages import ANONYMOUS
from shared.kernel.permissions import actor_user, service_user
from shared.kernel.wire import KEY
from shared.stack import OPERATOR, NatsUser


class NameTaken(ValueError):
    """A name that an agent or a person cannot have."""


def users(names: Iterable[str]) -> list[NatsUser]:
    """What each of these may do: the operator everything, services as they declare, others as actors."""
    return [_user(name) for name in names]


def _user(name: str) -> NatsUser:
    if name == OPERATOR:
        return NatsUser(name)
    service = all_services().get(name)
    return service_user(service) if service else actor_user(name)


def free_name(name: str) -> str:
    """The name, if an agent or a person can have it; raises `NameTaken`."""
    if not KEY.match(name):
        raise NameTaken(f"{name!r} cannot be a name: a name is 1 to 64 letters, digits, - and _.")
    if name in (OPERATOR, ANONYMOUS) or name in all_services():
        raise NameTaken(f"{name} is taken: operator, anonymous and the services' names are nobody else's.")
    return name
