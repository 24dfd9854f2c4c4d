"""Claims: who may work on a task, under which epoch, and for how long."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain, islice

from services.scheduler import timer
from services.scheduler.agent import Agent, refuse_quarantined
from services.scheduler.allotment import ClaimsOf, allotment, counted
from services.scheduler.claimed_task import claimed_task
from services.scheduler.decision import Decision
from services.scheduler.dependency import close, failed
from services.scheduler.dispatch import Reason, reasons
from services.scheduler.entitlement import refuse_other_claimants, refuse_other_reporters
from services.scheduler.lock import Lock
from services.scheduler.locking import hold_with_claim, release_all
from services.scheduler.pick_up import assigned_to, pick_up
from services.scheduler.rank import make_ready
from services.scheduler.share import Share
from services.scheduler.sharing import return_shares, take_shares
from services.scheduler.task import Task, normalised
from services.scheduler.ticket import Ticket
from services.scheduler.workflow import workflow_of
from shared.contracts.task import (
    Claimed,
    ClaimedTask,
    ClaimTask,
    ExpireClaim,
    ExtendClaim,
    Extended,
    ReleaseClaims,
    TaskClaimed,
    TaskLeaseExpired,
)
from shared.kernel.decider import Context, Facts, Lookup, Past, Refused, Waiting

FIRST_PAGE = 16
"""Candidates looked at first; more are asked for when claims decided before have taken them."""
PAGE_GROWTH = 4
ANSWER_BYTES = 700_000
"""Of descriptions and contexts, as JSON; the broker takes no message over 1 MiB."""


class StaleClaim(Refused):
    """The claim that the report speaks of is over."""


@dataclass(frozen=True)
class ReadyCandidates(Lookup[tuple[str, ...]]):
    """Ids of the tasks that an agent can do and may claim, smallest rank first."""

    holds = Task

    capabilities: tuple[str, ...] | None
    phases: tuple[str, ...] | None
    limit: int
    tickets: tuple[str, ...] | None = None
    task_types: tuple[str, ...] | None = None


def claim_task(command: ClaimTask, past: Past, context: Context) -> Facts:
    """Hand the first tasks in rank to an agent that can do them; wait for one if it likes to.

    What was assigned to it comes first. One that was taken out, or has as many tasks as a guardian lets it
    have, waits as if there were none else; one in quarantine is told so.
    """
    decision = Decision(past, context)
    agent = decision.of(Agent, command.agent_id)
    refuse_other_claimants(agent, context)
    refuse_quarantined(agent)
    wanted = _wanted(command)
    allotted = allotment(decision, agent)
    assigned = (task for task in assigned_to(decision, agent) if _suits(wanted, task))
    free = _offered(decision, wanted) if agent.available else iter(())
    offered = chain(assigned, islice(free, allotted.room) if allotted else free)
    fitting = _fitting_one_message(decision, islice(offered, command.max_tasks))
    won = tuple(
        pick_up(decision, task)
        if task.claimed
        else hand_over(decision, task, command.agent_id, context.actor)
        for task in fitting
    )
    until = context.received_at + timedelta(seconds=command.wait_seconds)
    if not won and context.at < until:
        raise Waiting(until)
    if allotted:
        has = counted(decision, agent.agent_id, allotted, [task.task_id for task in won])
        return [*decision.facts, Claimed(tasks=won, capacity=has.capacity, running=len(has.task_ids))]
    return [*decision.facts, Claimed(tasks=won)]


def _wanted(command: ClaimTask) -> ReadyCandidates:
    return ReadyCandidates(
        None if command.capabilities is None else normalised(command.capabilities),
        _each_once(command.phases),
        FIRST_PAGE,
        _each_once(command.tickets),
        _each_once(command.task_types),
    )


def _offered(decision: Decision, wanted: ReadyCandidates) -> Iterator[Task]:
    for task_id in _candidates(decision, wanted):
        task = decision.of(Task, task_id)
        if task.status != "ready":  # taken by a claim just before, as are most; nobody asks why
            continue
        if _suits(wanted, task) and not reasons_against(decision, task):
            yield task


def reasons_against(decision: Decision, task: Task) -> list[Reason]:
    """Everything that keeps a task from being handed out now."""
    locks = [decision.of(Lock, resource_key) for resource_key in task.resources]
    shares = [decision.of(Share, share_id) for share_id, _ in task.shares]
    return reasons(task, decision.of(Ticket, task.ticket_id), locks, shares)


def _each_once(ids: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if ids is None else tuple(sorted(set(ids)))


def _suits(wanted: ReadyCandidates, task: Task) -> bool:
    able = wanted.capabilities is None or set(task.required_capabilities) <= set(wanted.capabilities)
    return (
        able
        and (wanted.phases is None or task.phase_id in wanted.phases)
        and (wanted.tickets is None or task.ticket_id in wanted.tickets)
        and (wanted.task_types is None or task.task_type in wanted.task_types)
    )


def _fitting_one_message(decision: Decision, tasks: Iterator[Task]) -> Iterator[Task]:
    """As many of the tasks as an answer can hold; one alone always fits (at most 100,000 characters)."""
    filled = 0
    for task in tasks:
        texts = (task.description, decision.of(Ticket, task.ticket_id).context)
        filled += len(json.dumps(texts, ensure_ascii=False).encode())
        if filled > ANSWER_BYTES:
            return
        yield task


def _candidates(decision: Decision, wanted: ReadyCandidates) -> Iterator[str]:
    seen: dict[str, None] = {}
    while True:
        found = decision.find(wanted)
        for task_id in found:
            if task_id not in seen:
                seen[task_id] = None
                yield task_id
        if len(found) < wanted.limit:
            return
        wanted = replace(wanted, limit=wanted.limit * PAGE_GROWTH)


def hand_over(decision: Decision, task: Task, agent_id: str, claimed_by: str | None = None) -> ClaimedTask:
    """Let an agent have a task, with the locks it needs; who claims it for the agent may report on it too."""
    lease_seconds = workflow_of(decision, task.workflow_version).lease_seconds
    epoch, attempt = task.claim_epoch + 1, task.attempt + 1
    expires_at = decision.at + timedelta(seconds=lease_seconds)
    decision.record(
        TaskClaimed(
            task_id=task.task_id,
            ticket_id=task.ticket_id,
            phase_id=task.phase_id,
            agent_id=agent_id,
            claim_epoch=epoch,
            attempt=attempt,
            claimed_at=decision.at,
            lease_expires_at=expires_at,
            claimed_by=claimed_by,
        ),
        timer.lease(task.task_id, epoch, expires_at),
    )
    locks = hold_with_claim(decision, task, agent_id, claimed_by)
    take_shares(decision, task)
    return claimed_task(decision, task.task_id, expires_at, locks)


def extend_claim(command: ExtendClaim, past: Past, context: Context) -> Facts:
    """Hold a claim for another lease. A heartbeat is telemetry: it moves the timer and makes no history."""
    decision = Decision(past, context)
    task = decision.task(command.task_id)
    if task.status == "cancelled" and task.claim_epoch == command.claim_epoch:
        refuse_other_reporters(task, context)
        return [Extended(task_id=task.task_id, cancelled=True, cancel_reason=task.reason)]
    refuse_report(task, command.claim_epoch, context)
    lease_seconds = workflow_of(decision, task.workflow_version).lease_seconds
    expires_at = decision.at + timedelta(seconds=lease_seconds)
    return [
        timer.lease(task.task_id, task.claim_epoch, expires_at),
        Extended(task_id=task.task_id, lease_expires_at=expires_at),
    ]


def refuse_report(task: Task, claim_epoch: int, context: Context) -> None:
    """Refuse a report of a claim that is over, or of an actor who has nothing to do with it."""
    refuse_stale(task, claim_epoch)
    refuse_other_reporters(task, context)


def refuse_stale(task: Task, claim_epoch: int) -> None:
    """Refuse a report whose claim is not the one that holds now."""
    if task.claimed and task.claim_epoch == claim_epoch:
        return
    raise StaleClaim(
        f"Claim {claim_epoch} on task {task.task_id} is over: the task is {task.status}, its last claim "
        f"is {task.claim_epoch}. Drop the work.",
        current_epoch=task.claim_epoch,
        status=task.status,
    )


def expire_claim(command: ExpireClaim, past: Past, context: Context) -> Facts:
    """End a claim that was not extended in time; its timer was dropped if it was."""
    decision = Decision(past, context)
    task = decision.of(Task, command.task_id)
    if task.claimed and task.claim_epoch == command.claim_epoch:
        _end_claim(decision, task, f"{task.agent_id} did not extend its claim in time.")
    return decision.facts


def release_claims(command: ReleaseClaims, past: Past, context: Context) -> Facts:
    """End the claims of an agent that is gone; those it made after it came back stay."""
    decision = Decision(past, context)
    for task_id in decision.find(ClaimsOf(command.agent_id)):
        task = decision.of(Task, task_id)
        claimed_at = task.claimed_at if task.claimed and task.agent_id == command.agent_id else None
        if claimed_at and (command.before is None or claimed_at <= command.before):
            _end_claim(decision, task, command.reason, returned=command.returned)
    return decision.facts


def _end_claim(decision: Decision, task: Task, reason: str, *, returned: bool = False) -> None:
    decision.record(
        TaskLeaseExpired(
            task_id=task.task_id,
            ticket_id=task.ticket_id,
            phase_id=task.phase_id,
            agent_id=task.holder,
            claim_epoch=task.claim_epoch,
            attempt=task.attempt,
            reason=reason,
            at=decision.at,
            task_type=task.task_type,
            returned=returned,
        ),
        *timer.of_attempt(task),
    )
    release_all(decision, task.task_id, reason)
    return_shares(decision, task.task_id)
    if task.exhausted and not returned:
        close(decision, failed(decision, task, f"Attempt {task.attempt} was the last one: {reason}"))
    else:
        make_ready(decision, decision.of(Task, task.task_id))
