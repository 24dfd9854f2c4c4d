"""What follows when policies are triggered: interventions, the times waited for, and what is undone later."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from services.guardian.intervening import intend
from services.guardian.intervention import Intervention
from services.guardian.policy import BOOK, Book
from services.guardian.reverting import revert
from services.guardian.watch import WatchEvent
from shared.contracts.guardian import (
    GuardianConditionBegan,
    GuardianFactCounted,
    GuardianPolicyTriggered,
    PlannedAction,
    ReachMoment,
    Revert,
    RollBack,
)
from shared.contracts.policy import Policy, Trigger
from shared.kernel.decider import CancelTimer, Context, Fact, Facts, Past, Timer

ACTOR = "guardian"


def acted(events: Sequence[WatchEvent], past: Past, context: Context) -> Iterator[Fact]:
    """The events, each with what it brings about."""
    for event in events:
        yield event
        match event:
            case GuardianConditionBegan():
                yield Timer(_timer_key(event), event.due, _moment(event))
            case GuardianFactCounted():
                continue
            case GuardianPolicyTriggered():
                yield CancelTimer(_timer_key(event))
                yield from _interventions(event, past, context)
            case _:
                yield CancelTimer(_timer_key(event))


def _timer_key(event: WatchEvent) -> str:
    return f"moment-{event.watch_id}-{event.policy}/{event.trigger}"


def _moment(event: GuardianConditionBegan) -> ReachMoment:
    return ReachMoment(
        watch_id=event.watch_id, subject=event.subject, subject_id=event.subject_id, due=event.due
    )


def _interventions(event: GuardianPolicyTriggered, past: Past, context: Context) -> Iterator[Fact]:
    policy = past.of(Book, BOOK).policies[event.policy].document
    trigger = next(trigger for trigger in policy.triggers if trigger.id == event.trigger)
    for action in event.actions:
        if action.intended is not None and action.intervention_id is not None:
            yield from intend(
                action.intended,
                intervention_id=action.intervention_id,
                reason=_reason(policy, trigger),
                actor=ACTOR,
                policy=policy.name,
                caused_by=event.cause[-1] if event.cause else None,
                approval=trigger.requires_approval,
                context=context,
            )
            yield from _rollback(action, trigger, policy, context)


def _reason(policy: Policy, trigger: Trigger) -> str:
    why = trigger.description or policy.description
    return f"Policy {policy.name}, trigger {trigger.id}{f': {why}' if why else '.'}"


def _rollback(action: PlannedAction, trigger: Trigger, policy: Policy, context: Context) -> Iterator[Timer]:
    if trigger.rollback_after is not None and action.intervention_id is not None:
        command = RollBack(
            intervention_id=action.intervention_id,
            after_seconds=trigger.rollback_after,
            policy=policy.name,
        )
        yield _rollback_timer(command, context)


def _rollback_timer(command: RollBack, context: Context) -> Timer:
    due = context.at + timedelta(seconds=command.after_seconds)
    return Timer(f"rollback-{command.intervention_id}", due, command)


def roll_back(command: RollBack, past: Past, context: Context) -> Facts:
    """Undo what a policy did, so long after it took effect; until it has, wait once more."""
    intervention = past.of(Intervention, command.intervention_id)
    if intervention.status in ("proposed", "requested"):
        return [_rollback_timer(command, context)]
    if intervention.status != "in_effect" or intervention.in_effect_at is None:
        return []
    due = intervention.in_effect_at + timedelta(seconds=command.after_seconds)
    if context.at < due:
        return [Timer(f"rollback-{command.intervention_id}", due, command)]
    reason = f"Policy {command.policy} does this for {command.after_seconds:g} s only."
    wish = Revert(intervention_id=command.intervention_id, reason=reason)
    return revert(wish, past, replace(context, durable=True))
