"""The guardian: who may do what."""

from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from shared.contracts.messages import (
    Authority,
    Command,
    Event,
    Key,
    Moment,
    Query,
    Result,
)

REASON_MAX = 2000

Reason = Annotated[str, Field(min_length=1, max_length=REASON_MAX, description="Why; kept for good.")]


def _level(value: object) -> object:
    """`guardian`, `GUARDIAN` and `4` mean the same."""
    if isinstance(value, str):
        return Authority.__members__.get(value.strip().upper(), value)
    return value


Level = Annotated[
    Authority,
    BeforeValidator(_level),
    PlainSerializer(lambda level: level.name, return_type=str),
    WithJsonSchema({"type": "string", "enum": list(Authority.__members__)}),
    Field(description="WORKER, WATCHDOG, MONITOR, GUARDIAN or SYSTEM; its number is taken too."),
]


class GrantAuthority(Command):
    """Give an actor an authority, in place of one granted before.

    Needs GUARDIAN; nobody grants more than they have. What configuration grants stays: the higher one holds.
    """

    authority = Authority.GUARDIAN

    actor: Key
    level: Level
    reason: Reason
    expires_in_seconds: float | None = Field(
        default=None, gt=0, le=31_536_000, description="The grant ends by itself after so long."
    )


class RevokeAuthority(Command):
    """Take back what was granted to an actor; what configuration grants stays.

    Needs GUARDIAN; nobody takes back more than they have."""

    authority = Authority.GUARDIAN

    actor: Key
    reason: Reason


class Granted(Result):
    """What the guardian has granted to an actor."""

    actor: Key
    level: Level
    reason: str
    granted_by: str
    granted_at: Moment
    expires_at: Moment | None = Field(default=None, description="When it ends by itself; never when absent.")


class Revoked(Result):
    """What was taken back."""

    actor: Key
    level: Level


class GuardianAuthorityGranted(Event):
    """An actor has an authority."""

    actor: Key
    level: Level
    reason: str
    granted_by: str
    expires_at: Moment | None = None
    at: Moment


class GuardianAuthorityRevoked(Event):
    """An actor has what configuration grants, else WORKER authority."""

    actor: Key
    level: Level = Field(description="What was taken back.")
    reason: str
    revoked_by: str
    at: Moment


class ListGrants(Query):
    """What the guardian has granted and not taken back, by actor."""


class Grants(Result):
    """What the guardian has granted; what configuration grants is not among it."""

    grants: tuple[Granted, ...]
