"""A claim, as far as collaboration has heard: who has a task, and which handoff of it is under way."""

from dataclasses import dataclass, replace

from shared.contracts.collaboration import ClaimEnded, ClaimFollowed, ClaimOffered
from shared.kernel.decider import Aggregate


@dataclass(frozen=True)
class Claim:
    """The last claim of a task; the scheduler decides what is true."""

    task_id: str = ""
    ticket_id: str = ""
    agent_id: str | None = None
    """Who has the task now."""
    claim_epoch: int = 0
    attempt: int = 0
    handoff_id: str | None = None
    """The last handoff that was asked for; it says itself whether it still goes on."""


def evolve(claim: Claim, event: ClaimFollowed | ClaimEnded | ClaimOffered) -> Claim:
    """The claim after `event`."""
    match event:
        case ClaimFollowed():
            return replace(
                claim,
                task_id=event.task_id,
                ticket_id=event.ticket_id,
                agent_id=event.agent_id,
                claim_epoch=event.claim_epoch,
                attempt=event.attempt,
            )
        case ClaimEnded():
            return replace(claim, agent_id=None)
        case ClaimOffered():
            return replace(claim, handoff_id=event.handoff_id)


CLAIM = Aggregate(Claim, evolve, key="task_id")
