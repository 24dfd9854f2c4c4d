"""The users of the broker: one for each service, the operator, and whoever else has a password."""

from collections.abc import Iterable

from omoi.services import all_services
from shared.kernel.permissions import actor_user, service_user
from shared.stack import OPERATOR, NatsUser


def users(names: Iterable[str]) -> list[NatsUser]:
    """What each of these may do: the operator everything, services as they declare, others as actors."""
    return [_user(name) for name in names]


def _user(name: str) -> NatsUser:
    if name == OPERATOR:
        return NatsUser(name)
    service = all_services().get(name)
    return service_user(service) if service else actor_user(name)
