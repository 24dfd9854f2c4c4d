"""An agent's presence in the registry: registered, beating, gone in order."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import uuid4

import structlog

from shared.client import Client, ClientError
from shared.contracts.agent import Deregister, Heartbeat, Register

log = structlog.get_logger()

BEAT_SHARE = 0.6
"""Beat well inside the interval, so that one lost beat is not a missed one."""
LEAVE_PATIENCE_SECONDS = 3.0
SESSION_OVER = frozenset({"stale_session", "agent_not_found"})


class Superseded(ClientError):
    """Another worker has registered under the name of this one."""


@dataclass(frozen=True)
class Profile:
    """What an agent says of itself."""

    agent_id: str
    capabilities: tuple[str, ...] | None = None
    """What it can do; None means anything."""
    capacity: int = 1
    phases: tuple[str, ...] | None = None
    agent_type: str = "worker"


class Presence:
    """The registry's client: one session of an agent after the other, until it leaves."""

    def __init__(
        self,
        client: Client,
        profile: Profile,
        load: Callable[[], int],
        *,
        beat_seconds: float | None = None,
        on_capacity: Callable[[], None] = lambda: None,
    ) -> None:
        """`load` tells how many tasks run; `beat_seconds` overrules the interval that the registry asks.

        `on_capacity` is called when the registry says another capacity than before.
        """
        self._client = client
        self._profile = profile
        self._load = load
        self._wished = beat_seconds
        self._on_capacity = on_capacity
        self._session = 0
        self._me = {"host": socket.gethostname(), "pid": os.getpid(), "instance": uuid4().hex}
        self._interval = 5.0
        self.capacity = profile.capacity
        """Tasks at a time, as the registry has it: a guardian may have set it."""
        self.superseded: Superseded | None = None
        """Who has taken the agent's name, once somebody has."""
        self._sooner = asyncio.Event()

    async def register(self) -> None:
        """Begin a session. Raises ClientError."""
        profile = self._profile
        answer = await self._client.ask(
            Register(
                agent_id=profile.agent_id,
                name=profile.agent_id,
                agent_type=profile.agent_type,
                capabilities=profile.capabilities or (),
                capacity=profile.capacity,
                phases=profile.phases,
                metadata=self._me,
            )
        )
        self._heed(answer.accepted().result)

    async def beat(self, also: Callable[[], Awaitable[None]]) -> None:
        """Beat until superseded, and do `also` with each beat; what fails is tried again at the next one."""
        while True:
            began = monotonic()
            for failed in await asyncio.gather(self._beat_once(), also(), return_exceptions=True):
                if isinstance(failed, ClientError):
                    log.warning("beat_failed", agent=self._profile.agent_id, error=str(failed))
                elif isinstance(failed, Exception):
                    log.error("beat_broke", agent=self._profile.agent_id, exc_info=failed)
            if self.superseded is not None:
                return
            await self._pause(max(0.05, self._interval - (monotonic() - began)))

    def beat_sooner(self) -> None:
        """The load has changed, and with it the interval."""
        self._sooner.set()

    async def leave(self, reason: str) -> None:
        """End the session, and no other; claims that are left are released by it."""
        left = Deregister(agent_id=self._profile.agent_id, session=self._session, reason=reason)
        try:
            await self._client.ask(left, patience=LEAVE_PATIENCE_SECONDS)
        except ClientError as error:
            log.warning("not_deregistered", agent=self._profile.agent_id, error=str(error))

    async def _beat_once(self) -> None:
        beat = Heartbeat(agent_id=self._profile.agent_id, session=self._session, running=self._load())
        answer = await self._client.ask(beat, patience=self._interval)
        if answer.ok:
            self._heed(answer.result)
        elif answer.code in SESSION_OVER:
            self.superseded = self._rival(answer.details)
            if self.superseded is None:
                await self.register()

    def _rival(self, told: dict[str, Any]) -> Superseded | None:
        """Who began a session after this one, unless it was we ourselves and the answer was lost."""
        other = told.get("metadata", {})
        if (
            told.get("registered_session", 0) <= self._session
            or other.get("instance") == self._me["instance"]
        ):
            return None
        who = f"process {other['pid']} on {other['host']}" if {"pid", "host"} <= other.keys() else "somebody"
        name = self._profile.agent_id
        return Superseded(
            f"Another worker has registered as {name}: {who}, by {told['registered_by']}, at "
            f"{told['registered_at']}. This one takes no more tasks. Give each worker a name of its own."
        )

    def _heed(self, standing: dict[str, Any]) -> None:
        self._session = int(standing["session"])
        if (capacity := standing.get("capacity")) and capacity != self.capacity:
            log.info("capacity_changed", agent=self._profile.agent_id, capacity=capacity)
            self.capacity = capacity
            self._on_capacity()
        self._interval = self._wished or standing["heartbeat_seconds"] * BEAT_SHARE

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._sooner.wait()
        except TimeoutError:
            return
        self._sooner.clear()
