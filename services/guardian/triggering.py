"""When policies are triggered: a pure function of the policies, of what is seen, and of what is heard.

The time that counts is that of what was heard, or the time that was waited for; the clock counts only in
telling what is heard of too late. So live and in a back-test the same comes of the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.guardian.planning import planned
from services.guardian.policy import BOOK, Armed, Book
from services.guardian.sight import Sight
from services.guardian.vocabulary import VOCABULARIES
from services.guardian.watch import Hold, Watch, WatchEvent, after
from shared.contracts.guardian import (
    GuardianConditionBegan,
    GuardianConditionEnded,
    GuardianFactCounted,
    GuardianPolicyMissed,
    GuardianPolicyTriggered,
)
from shared.contracts.policy import LONGEST_SECONDS, Fact
from shared.expression import Expression, Kind, understood
from shared.kernel.decider import Past

COUNTED_MAX = 1000
"""Facts that a trigger counts at most; more within its time are as many."""


@dataclass(frozen=True)
class Look:
    """A look at one subject: because something was heard of it, or because a time has come."""

    before: Sight
    """What was seen until then: it decides on what was met by then."""
    sight: Sight
    at: datetime
    heard_at: datetime
    fact: Fact | None = None
    """None when a time has come."""
    cause: str | None = None


def judged(look: Look, past: Past) -> list[WatchEvent]:
    """What a look means for every policy that watches its subject."""
    watch = past.of(Watch, look.sight.watch_id)
    return [
        event
        for armed in past.of(Book, BOOK).armed(look.sight.subject)
        for event in _Judgement(armed, look).of(watch.hold(armed))
    ]


@dataclass(frozen=True)
class _Judgement:
    """One trigger at one look."""

    armed: Armed
    look: Look

    def of(self, hold: Hold) -> Iterator[WatchEvent]:
        """What comes of it, oldest first."""
        if hold.due is not None and hold.due <= self.look.at:
            for event in self._met(self.look.before, hold.since, hold.due, hold):
                yield event
                hold = after(hold, event)
        if self.look.fact is None:
            return
        for event in self._counted(hold):
            yield event
            hold = after(hold, event)
        yield from self._standing(hold)

    def _counted(self, hold: Hold) -> Iterator[GuardianFactCounted]:
        trigger = self.armed.trigger
        if trigger.within is None or self.look.fact not in trigger.on:
            return
        begin = self.look.at - timedelta(seconds=trigger.within)
        times = sorted((*(time for time in hold.times if time > begin), self.look.at))
        yield GuardianFactCounted(**self._named(), times=tuple(times[-COUNTED_MAX:]))

    def _standing(self, hold: Hold) -> Iterator[WatchEvent]:
        """Whether the condition holds now, and from when on it would be met."""
        due = self._due(hold)
        if due is None or (hold.cooled_at is not None and due < hold.cooled_at):
            if hold.since is not None:
                yield GuardianConditionEnded(**self._named())
            return
        since = hold.since or self.look.at
        causes = hold.causes or self._causes(())
        if due <= self.look.at:
            yield from self._met(self.look.sight, since, due, hold)
        elif (since, due) != (hold.since, hold.due):
            yield GuardianConditionBegan(**self._named(), since=since, due=due, causes=causes)

    def _due(self, hold: Hold) -> datetime | None:
        """When the condition is met; None where it does not hold."""
        trigger, look = self.armed.trigger, self.look
        if hold.since is None and look.fact not in trigger.on:
            return None
        names = look.sight.names(look.at, look.fact, len(hold.times))
        if not self._expression(trigger.when, Kind.TRUTH).holds(names):
            return None
        since = hold.since or look.at
        if trigger.at is not None:
            moment: datetime | None = self._expression(trigger.at, Kind.MOMENT).value(names)
            return moment and max(since, moment)
        lasting = self._lasting(names)
        return None if lasting is None else hold.due or since + lasting

    def _lasting(self, names: dict[str, Any]) -> timedelta | None:
        """How long the condition must hold; None where that cannot be told."""
        if self.armed.trigger.lasting is None:
            return timedelta()
        seconds = self._expression(self.armed.trigger.lasting, Kind.NUMBER).value(names)
        return None if seconds is None else timedelta(seconds=min(max(0.0, seconds), LONGEST_SECONDS))

    def _met(self, sight: Sight, since: datetime | None, due: datetime, hold: Hold) -> Iterator[WatchEvent]:
        """The condition has held until it was met: act, unless that is heard too late."""
        trigger, look = self.armed.trigger, self.look
        names = sight.names(due, look.fact, len(hold.times))
        if trigger.provided and not self._expression(trigger.provided, Kind.TRUTH).holds(names):
            yield from self._looking_again(since, due, hold, names)
            return
        told = {
            **self._named(),
            "about": sight.about,
            "cause": self._causes(hold.causes),
            "cooled_at": due + timedelta(seconds=trigger.cooldown),
            "at": due,
        }
        late = (look.heard_at - due).total_seconds()
        if late > trigger.missed_after:
            yield GuardianPolicyMissed(**told, late_seconds=late)
            return
        actions = planned(self.armed, sight, names, due)
        yield GuardianPolicyTriggered(**told, actions=actions, shadow=self.armed.policy.shadow)

    def _looking_again(
        self, since: datetime | None, due: datetime, hold: Hold, names: dict[str, Any]
    ) -> Iterator[WatchEvent]:
        """What is asked for besides does not hold: look again after the same time, if there is one."""
        step = self._lasting(names)
        if since is not None and step:
            again = due + step * (1 + (self.look.at - due) // step)
            causes = hold.causes or self._causes(())
            yield GuardianConditionBegan(**self._named(), since=since, due=again, causes=causes)
        elif hold.since is not None:
            yield GuardianConditionEnded(**self._named())

    def _expression(self, text: str, kind: Kind) -> Expression:
        return understood(text, VOCABULARIES[self.look.sight.subject], kind)

    def _causes(self, before: tuple[str, ...]) -> tuple[str, ...]:
        """The events that made the condition hold, and the one that is heard now."""
        return tuple(dict.fromkeys(filter(None, (*before, self.look.cause))))

    def _named(self) -> dict[str, Any]:
        sight, armed = self.look.sight, self.armed
        return {
            "watch_id": sight.watch_id,
            "subject": sight.subject,
            "subject_id": sight.subject_id,
            "policy": armed.policy.name,
            "version": armed.version,
            "trigger": armed.trigger.id,
            "load": armed.load,
        }
