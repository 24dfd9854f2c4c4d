"""Keep secrets of the environment out of what is reported."""

import re
from collections.abc import Mapping

_SECRET_NAME = re.compile(
    r"(^|_)(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PWD|CREDENTIALS?|AUTH)(_|$)", re.IGNORECASE
)
_PASSWORD_IN_URL = re.compile(r"://[^\s/@:]*:([^\s/@]+)@")
_SHORTEST = 8
"""Hiding shorter values would blot out ordinary words."""
_BLOT = "[hidden]"


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Values whose names say that they are secret, and passwords of URLs; longest first."""
    named = {
        value
        for name, value in environment.items()
        if _SECRET_NAME.search(name) and not value.startswith("/")  # paths of key files are none
    }
    in_urls = {found for value in environment.values() for found in _PASSWORD_IN_URL.findall(value)}
    found = {value for value in named | in_urls if len(value) >= _SHORTEST}
    return tuple(sorted(found, key=len, reverse=True))


def without(text: str, secrets: tuple[str, ...]) -> str:
    """The text with each secret blotted out."""
    for secret in secrets:
        text = text.replace(secret, _BLOT)
    return text
