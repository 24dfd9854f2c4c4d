"""Names that agents and people can have."""

import re

from omoi.services import service_names
from shared.contracts.messages import ANONYMOUS, KEY_PATTERN
from shared.stack import OPERATOR, ROUTES


class NameTaken(ValueError):
    """A name that an agent or a person cannot have."""


def free_name(name: str) -> str:
    """The name, if an agent or a person can have it; raises `NameTaken`."""
    if not re.fullmatch(KEY_PATTERN, name):
        raise NameTaken(f"{name!r} cannot be a name: a name is 1 to 64 letters, digits, - and _.")
    if name in (OPERATOR, ANONYMOUS, ROUTES) or name in service_names():
        raise NameTaken(
            f"{name} is taken: {OPERATOR}, {ANONYMOUS}, {ROUTES} and the services' names are nobody else's."
        )
    return name
