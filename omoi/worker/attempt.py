"""A claimed task in work: whether it is still wanted, how far it is, and what is reported of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog

from omoi.worker.assignment import Assignment
from omoi.worker.process import Ending
from shared.client import Answer, Client, ClientError
from shared.contracts.messages import Command
from shared.contracts.task import (
    ClaimedTask,
    CompleteTask,
    ExtendClaim,
    FailTask,
    ReportProgress,
    StartTask,
)

log = structlog.get_logger()

REPORT_BYTES = 900_000
"""Most of a report's size: the broker takes 1 MiB."""
ERROR_CHARACTERS = 20_000
MESSAGE_CHARACTERS = 2000
REPORT_PATIENCE_SECONDS = 60.0
EXTEND_PATIENCE_SECONDS = 10.0
OVER = frozenset({"stale_claim", "task_not_found"})
"""Answers by which a claim is gone. Whatever else goes wrong, healthy work goes on."""


@dataclass(frozen=True)
class Progress:
    """How far the work is."""

    message: str = ""
    percent: float | None = None


@dataclass
class Attempt:
    """One agent's hold on one task, from its claim to the last report."""

    client: Client
    claimed: ClaimedTask
    agent_id: str
    cancel: asyncio.Event = field(default_factory=asyncio.Event)
    """The work is to stop: it is no longer wanted, or the worker goes."""
    lost: str | None = None
    """Why the claim is no longer ours."""
    too_much: str | None = None
    """Why the worker ended the work by itself."""
    ending: Ending = field(default_factory=Ending)
    """How what is run for it is ended, by the worker or when the worker dies."""
    look: Callable[[], Progress] = Progress
    """How far the work is; asked with each beat."""
    _said: Progress = Progress()

    @property
    def assignment(self) -> Assignment:
        """What the claim hands over."""
        names = ("task_id", "ticket_id", "phase_id", "task_type", "title", "attempt", "claim_epoch")
        return Assignment(agent_id=self.agent_id, **{name: getattr(self.claimed, name) for name in names})

    async def start(self) -> bool:
        """Begin; False when the claim was lost meanwhile and the task is somebody else's."""
        return (await self._report(StartTask(**self._claim()))).ok

    async def beat(self) -> None:
        """Hold the claim for another lease, hear whether the work is still wanted, say how far it is."""
        await self.extend()
        said = self.look()
        if self.lost is None and said != self._said:
            told = ReportProgress(
                **self._claim(), message=said.message[:MESSAGE_CHARACTERS], percent=said.percent
            )
            if (await self.client.ask(told, patience=EXTEND_PATIENCE_SECONDS)).ok:
                self._said = said

    async def extend(self) -> None:
        """Hold the claim for another lease, and hear whether the work is still wanted."""
        answer = await self.client.ask(ExtendClaim(**self._claim()), patience=EXTEND_PATIENCE_SECONDS)
        if answer.code in OVER:
            self.lost = answer.message
        elif answer.result.get("cancelled"):
            reason = answer.result.get("cancel_reason") or "no reason given"
            self.lost = f"the task was cancelled: {reason}"
        if self.lost:
            self.cancel.set()

    async def complete(self, result: dict[str, Any]) -> bool:
        """Hand in; False when the report came too late."""
        return (await self._report(CompleteTask(**self._claim(), result=fitted(result)))).ok

    async def fail(self, error: str, *, retryable: bool = True) -> None:
        """Say what went wrong; if nobody hears it, the lease runs out and says so."""
        try:
            await self._report(FailTask(**self._claim(), error=error[:ERROR_CHARACTERS], retryable=retryable))
        except ClientError as away:
            log.warning("report_failed", task_id=self.claimed.task_id, error=str(away))

    def _claim(self) -> dict[str, Any]:
        return {"task_id": self.claimed.task_id, "claim_epoch": self.claimed.claim_epoch}

    async def _report(self, command: Command) -> Answer:
        answer = await self.client.ask(command, patience=REPORT_PATIENCE_SECONDS)
        if not answer.ok:
            log.warning(
                "report_refused", command=command.wire_name(), code=answer.code, message=answer.message
            )
        return answer


def fitted(result: dict[str, Any]) -> dict[str, Any]:
    """A report that fits into a message: the largest contents are left out, their hashes stay."""
    left = [artifact for artifact in result.get("artifacts", ()) if "content" in artifact]
    while len(orjson.dumps(result)) > REPORT_BYTES and left:
        largest = max(left, key=lambda artifact: len(orjson.dumps(artifact["content"])))
        largest["content"] = {
            "problem": "The content was too large to be handed in; the hash is of all of it."
        }
        left.remove(largest)
    return result
