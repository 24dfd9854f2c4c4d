"""A watch: what the policies wait for at one subject."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.guardian.policy import Armed
from shared.contracts.guardian import (
    GuardianConditionBegan,
    GuardianConditionEnded,
    GuardianFactCounted,
    GuardianMomentReached,
    GuardianPolicyMissed,
    GuardianPolicyTriggered,
)
from shared.kernel.decider import Aggregate

WatchEvent = (
    GuardianConditionBegan
    | GuardianConditionEnded
    | GuardianFactCounted
    | GuardianPolicyTriggered
    | GuardianPolicyMissed
)


@dataclass(frozen=True)
class Hold:
    """How one trigger stands at the subject."""

    load: int = 0
    """Of the policy: what an earlier load waited for counts no more."""
    since: datetime | None = None
    """From when on the condition has held; None when it does not, or was met."""
    due: datetime | None = None
    """When it is met if it goes on holding."""
    causes: tuple[str, ...] = ()
    times: tuple[datetime, ...] = ()
    """Of the facts that it counts."""
    cooled_at: datetime | None = None


@dataclass(frozen=True)
class Watch:
    """How each trigger stands at one subject, by `<policy>/<trigger>`."""

    holds: Mapping[str, Hold] = field(default_factory=dict)

    def hold(self, armed: Armed) -> Hold:
        """How a trigger stands."""
        hold = self.holds.get(armed.name, Hold())
        return hold if hold.load == armed.load else Hold(load=armed.load)

    def due_by(self, moment: datetime) -> bool:
        """Whether anything is met by then."""
        return any(hold.due is not None and hold.due <= moment for hold in self.holds.values())


def after(hold: Hold, event: WatchEvent) -> Hold:
    """How a trigger stands after `event`."""
    match event:
        case GuardianConditionBegan():
            return replace(hold, since=event.since, due=event.due, causes=event.causes)
        case GuardianConditionEnded():
            return replace(hold, since=None, due=None, causes=())
        case GuardianFactCounted():
            return replace(hold, times=event.times)
        case GuardianPolicyTriggered() | GuardianPolicyMissed():
            return replace(hold, since=None, due=None, causes=(), cooled_at=event.cooled_at)


def evolve(watch: Watch, event: WatchEvent | GuardianMomentReached) -> Watch:
    """The watch after `event`."""
    if isinstance(event, GuardianMomentReached):
        return watch
    name = f"{event.policy}/{event.trigger}"
    hold = watch.holds.get(name, Hold())
    now = after(hold if hold.load == event.load else Hold(load=event.load), event)
    return Watch({**watch.holds, name: now})


WATCH = Aggregate(Watch, evolve, key="watch_id")
