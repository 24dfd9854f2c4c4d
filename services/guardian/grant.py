"""A grant: an authority that an actor has until it is taken back or its time is over."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.guardian import (
    GrantAuthority,
    Granted,
    GuardianAuthorityGranted,
    GuardianAuthorityRevoked,
    RevokeAuthority,
    Revoked,
)
from shared.contracts.messages import ANONYMOUS, Authority, moment_text, owners
from shared.kernel.decider import (
    Aggregate,
    CancelTimer,
    Context,
    Facts,
    NotAuthorised,
    Past,
    Refused,
    Timer,
)

OVER = "Its time is over."


class GrantOutlastsOwn(Refused):
    """Who has something for a time cannot grant it for longer."""


class GrantToSelf(Refused):
    """Somebody else has to grant it."""


class NotAnActor(Refused):
    """A name to which nothing can be granted: nobody's, or a service's."""


class NothingGranted(Refused):
    """There is nothing to take back."""


@dataclass(frozen=True)
class Grant:
    """What the guardian has granted to an actor; none without a time at which it was."""

    actor: str = ""
    level: Authority = Authority.WORKER
    reason: str = ""
    granted_by: str = ""
    granted_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def holds(self) -> bool:
        """Whether it was granted and not taken back since."""
        return self.granted_at is not None


def grant(command: GrantAuthority, past: Past, context: Context) -> Facts:
    """Give an authority, in place of what was granted before."""
    _refuse_name(command.actor)
    if command.actor == context.actor:
        raise GrantToSelf(
            f"{context.actor} cannot grant themselves anything. Ask somebody else with "
            f"{command.level.name} authority.",
            actor=command.actor,
        )
    own = past.of(Grant, context.actor)
    _refuse_beyond(command.level, "grant", own, context)
    before = past.of(Grant, command.actor)
    _refuse_beyond(before.level, "replace", own, context)
    seconds = command.expires_in_seconds
    expires_at = context.at + timedelta(seconds=seconds) if seconds is not None else None
    _refuse_longer(expires_at, own, context)
    granted = GuardianAuthorityGranted(
        actor=command.actor,
        level=command.level,
        reason=command.reason,
        granted_by=context.actor,
        expires_at=expires_at,
        at=context.at,
    )
    return [granted, _timer(granted), told(evolve(before, granted))]


def revoke(command: RevokeAuthority, past: Past, context: Context) -> Facts:
    """Take back what was granted; the guardian does so itself when its time is over."""
    before = past.of(Grant, command.actor)
    if not before.holds:
        raise NothingGranted(
            f"The guardian has granted nothing to {command.actor}. `omoi guardian grants` shows what it has "
            "granted; what configuration grants ends with a change of OMOI_GRANTS.",
            actor=command.actor,
        )
    _refuse_beyond(before.level, "take back", past.of(Grant, context.actor), context)
    revoked = GuardianAuthorityRevoked(
        actor=command.actor,
        level=before.level,
        reason=command.reason,
        revoked_by=context.actor,
        at=context.at,
    )
    return [revoked, CancelTimer(_timer_key(command.actor)), Revoked(actor=command.actor, level=before.level)]


def evolve(grant: Grant, event: GuardianAuthorityGranted | GuardianAuthorityRevoked) -> Grant:
    """The grant after an event."""
    match event:
        case GuardianAuthorityGranted():
            return Grant(event.actor, event.level, event.reason, event.granted_by, event.at, event.expires_at)
        case GuardianAuthorityRevoked():
            return Grant(event.actor)


GRANT = Aggregate(Grant, evolve, key="actor")


def told(grant: Grant) -> Granted:
    """A grant as it is answered."""
    assert grant.granted_at is not None, "asked only of a grant that holds"
    return Granted(
        actor=grant.actor,
        level=grant.level,
        reason=grant.reason,
        granted_by=grant.granted_by,
        granted_at=grant.granted_at,
        expires_at=grant.expires_at,
    )


def _timer(granted: GuardianAuthorityGranted) -> Timer | CancelTimer:
    key = _timer_key(granted.actor)
    if granted.expires_at is None:
        return CancelTimer(key)
    return Timer(key, granted.expires_at, RevokeAuthority(actor=granted.actor, reason=OVER))


def _timer_key(actor: str) -> str:
    return f"grant-{actor}"


def _refuse_beyond(level: Authority, verb: str, own: Grant, context: Context) -> None:
    """Raises NotAuthorised where an authority is more than the sender's own.

    The log says what that is: the door may not have heard yet what was taken back a moment ago.
    """
    over = own.expires_at is not None and own.expires_at <= context.at
    held = context.configured if over else max(context.configured, own.level)
    if level > held:
        raise NotAuthorised(
            f"{context.actor} has {held.name} authority and cannot {verb} {level.name}. "
            f"Ask somebody who has {level.name}.",
            required=level.name,
            held=held.name,
        )


def _refuse_longer(expires_at: datetime | None, own: Grant, context: Context) -> None:
    """Raises GrantOutlastsOwn where the sender's own authority is a grant that ends before."""
    if context.configured >= own.level or own.expires_at is None:
        return
    if expires_at is None or expires_at > own.expires_at:
        until = moment_text(own.expires_at)
        raise GrantOutlastsOwn(
            f"{context.actor} has {own.level.name} authority until {until} and cannot grant anything for "
            "longer. Say for how long, or ask somebody whose authority does not end.",
            until=until,
        )


def _refuse_name(actor: str) -> None:
    """Raises NotAnActor."""
    if actor == ANONYMOUS:
        raise NotAnActor(
            "Whoever gives no name is anonymous: grant it to a name, and send commands under that name.",
            actor=actor,
        )
    if actor in owners():
        raise NotAnActor(
            f"{actor} is a service, and has SYSTEM authority over its own commands only. Name a person or "
            "an agent.",
            actor=actor,
        )
