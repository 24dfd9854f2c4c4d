"""Locks: holds on named resources, such as files, that tasks must not touch at the same time."""

import hashlib
from base64 import urlsafe_b64encode
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.contracts.messages import Authority, Command, Contract, Event, Key, Moment, Query, Result

ResourceKey = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
    ),
]
"""Names a resource: free text on one line, for example a path. Compared letter by letter."""

Mode = Literal["exclusive", "shared"]
TOKEN_BYTES = 48
"""As many fill a subject token of 64 characters in base64url."""

Holding = Annotated[ResourceKey, Field(description="What is locked.")]
FencingToken = Annotated[int | None, Field(description="The token of the hold meant; any when absent.")]
TimeToLive = Annotated[
    float, Field(gt=0, le=7 * 86_400, description="The lock lapses after so long unless it is extended.")
]
Patience = Annotated[
    float, Field(ge=0, le=3600, description="How long to wait in line when the lock cannot be had at once.")
]


def resource_token(resource_key: str) -> str:
    """A resource key as one token of a subject: base64url, or `h-` and a digest where that is too long.

    The two cannot be mixed up: no base64url text without padding has 45 characters.
    """
    raw = resource_key.encode()
    if len(raw) <= TOKEN_BYTES:
        return urlsafe_b64encode(raw).decode().rstrip("=")
    return "h-" + urlsafe_b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


class LockWish(Contract):
    """One resource, and how it is to be held."""

    resource_key: Holding
    mode: Mode = "exclusive"


class GrantedLock(Contract):
    """One lock that was granted."""

    resource_key: Holding
    mode: Mode
    fencing_token: int = Field(description="Grows with each grant of the resource; quote it where you write.")
    depth: int = Field(description="How often its task has acquired it and not released it.")
    expires_at: Moment | None = Field(
        default=None, description="When it lapses; with the claim of its task when absent."
    )


class Locks(Result):
    """The locks a task was granted, or its place in the line."""

    granted: bool
    request_id: Key
    locks: tuple[GrantedLock, ...] = ()
    wait_until: Moment | None = Field(
        default=None,
        description="Still in line, until then at most: `lock.acquired` says when it is granted.",
    )


class Lock(Result):
    """The lock a task was granted, or its place in the line."""

    granted: bool
    resource_key: Holding
    request_id: Key
    mode: Mode = "exclusive"
    fencing_token: int | None = None
    depth: int = 0
    expires_at: Moment | None = None
    wait_until: Moment | None = Field(
        default=None,
        description="Still in line, until then at most: `lock.acquired` says when it is granted.",
    )


class AcquireLock(Command):
    """Take hold of one resource for a task.

    It is released when the task, or the attempt in work, ends. Acquiring again what the task holds already
    counts: it must be released as often.
    """

    resource_key: Holding
    mode: Mode = "exclusive"
    task_id: Key
    agent_id: Key
    ttl_seconds: TimeToLive = 60
    wait_seconds: Patience = 0


class AcquireLocks(Command):
    """Take hold of several resources for a task, of all of them at once or of none."""

    resources: tuple[LockWish, ...] = Field(min_length=1, max_length=64)
    task_id: Key
    agent_id: Key
    ttl_seconds: TimeToLive = 60
    wait_seconds: Patience = 0


class ExtendLock(Command):
    """Hold a lock for longer, from now on."""

    resource_key: Holding
    task_id: Key
    agent_id: Key | None = None
    fencing_token: FencingToken = None
    ttl_seconds: TimeToLive = 60


class ReleaseLock(Command):
    """Let go of a lock."""

    resource_key: Holding
    task_id: Key
    agent_id: Key | None = None
    fencing_token: FencingToken = None


class ExpireLock(Command):
    """A lock was not extended in time. Sent by its timer."""

    authority = Authority.SYSTEM

    resource_key: Holding
    task_id: Key
    fencing_token: int


class EndLockWait(Command):
    """A request has waited long enough. Sent by its timer."""

    authority = Authority.SYSTEM

    task_id: Key
    request_id: Key


class _OfResource(Event):
    """Its key is the ticket's id where the scheduler knows the task, else the resource's token."""

    key = "resource_key"

    resource_key: ResourceKey
    task_id: Key
    ticket_id: Key | None = None

    def subject_key(self) -> str:
        """The last token of the event's subject."""
        return self.ticket_id or resource_token(self.resource_key)


class LockAcquired(_OfResource):
    """A task holds a resource."""

    key = "resource_key"

    agent_id: Key
    mode: Mode
    fencing_token: int
    depth: int = Field(default=1, description="How often the task has acquired it and not released it.")
    request_id: Key
    waited_ms: float = 0
    expires_at: Moment | None = Field(
        default=None, description="When it lapses; with the claim of its task when absent."
    )
    acquired_by: str | None = Field(
        default=None, description="Actor who asked for it, and may extend and release it too."
    )
    at: Moment


class LockQueued(_OfResource):
    """A request waits in line for a resource."""

    key = "resource_key"

    agent_id: Key
    mode: Mode
    request_id: Key
    wait_until: Moment
    at: Moment


class LockHandedOver(_OfResource):
    """The claim of its task has passed to another agent, and the lock with it."""

    key = "resource_key"

    from_agent: Key
    agent_id: Key
    fencing_token: int
    at: Moment


class LockExtended(_OfResource):
    """A lock is held for longer."""

    key = "resource_key"

    fencing_token: int
    expires_at: Moment
    at: Moment


class LockReleased(_OfResource):
    """A task let go of a resource, or its attempt ended."""

    key = "resource_key"

    agent_id: Key
    fencing_token: int
    depth: int = Field(default=0, description="How often the task still has acquired it; 0 is let go.")
    reason: str = ""
    at: Moment


class LockExpired(_OfResource):
    """A lock lapsed: it was not extended in time."""

    key = "resource_key"

    agent_id: Key
    fencing_token: int
    at: Moment


class LockDenied(_OfResource):
    """A request was not granted: at once, or after it had waited."""

    key = "resource_key"

    agent_id: Key
    mode: Mode
    request_id: Key
    reason: str
    at: Moment


class LockRequested(Event):
    """A task waits for resources: for all of them at once."""

    key = "task_id"

    task_id: Key
    ticket_id: Key | None = None
    agent_id: Key
    request_id: Key
    resources: tuple[LockWish, ...]
    ttl_seconds: float
    wait_until: Moment
    requested_by: str | None = Field(default=None, description="Actor who asked.")
    at: Moment

    def subject_key(self) -> str:
        """The ticket's id where the scheduler knows the task, else the task's."""
        return self.ticket_id or self.task_id


class LockWaitTime(_OfResource):
    """How long an attempt at a lock took, won or lost."""

    key = "resource_key"

    request_id: Key
    mode: Mode
    waited_ms: float
    granted: bool
    at: Moment


class LockGrantsForgotten(Event):
    """A task was granted many locks one after the other: those that it let go of are no longer remembered."""

    key = "task_id"

    task_id: Key
    resource_keys: tuple[str, ...]
    at: Moment


class ListLocks(Query):
    """Locks that are held or waited for, by resource."""

    resource_prefix: str = Field(default="", max_length=512, description="Only resources that begin so.")
    task_id: Key | None = Field(default=None, description="Only those this task holds or waits for.")
    agent_id: Key | None = Field(default=None, description="Only those this agent holds or waits for.")
    after: str = Field(default="", max_length=512, description="Go on behind this resource.")
    limit: int = Field(default=100, ge=1, le=1000)


class LockHolder(Contract):
    """Who holds a lock."""

    task_id: Key
    ticket_id: Key | None = None
    agent_id: Key
    mode: Mode
    fencing_token: int
    depth: int
    request_id: Key
    acquired_at: Moment
    expires_at: Moment | None = Field(
        default=None, description="When it lapses; with the claim of its task when absent."
    )
    acquired_by: str | None = Field(
        default=None, description="Actor who asked for it, and may extend and release it too."
    )


class LockWaiter(Contract):
    """Who waits for a lock."""

    task_id: Key
    ticket_id: Key | None = None
    agent_id: Key
    mode: Mode
    request_id: Key
    since: Moment
    wait_until: Moment


class LockView(Result):
    """A lock as it stands; those who wait are in their order."""

    resource_key: Holding
    holders: tuple[LockHolder, ...]
    waiting: tuple[LockWaiter, ...]


class LockList(Result):
    """Locks by resource."""

    locks: tuple[LockView, ...]
