"""A ticket's way through the phases of its workflow."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.contracts.phase import GateSettled, GateUnsettled, PhaseTransitioned
from shared.contracts.workflow import Column, Phase, Workflow


@dataclass(frozen=True)
class Verdict:
    """What the gate of a phase said of the ticket's latest visit."""

    passed: bool
    blocking_reasons: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    on_hold: bool = False
    """It came while the ticket was on hold: what follows from it waits until the ticket is back."""


@dataclass(frozen=True)
class Journey:
    """Where a ticket is and where it has been; folded without looking at the workflow."""

    phase_id: str = ""
    came_from: str = ""
    """The phase it was in before this one."""
    forced: bool = False
    """Whether it is in this phase by an override."""
    reason: str = ""
    """Why it is in this phase."""
    blocking_reasons: tuple[str, ...] = ()
    """Why a gate sent it to this phase."""
    visits: dict[str, int] = field(default_factory=dict)
    """Phase -> how often the ticket has entered it."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """Phase -> verdict on the latest visit, once there is one."""
    spoken: dict[str, datetime] = field(default_factory=dict)
    """Phase -> when its gate last spoke of the latest visit, so that an older word changes nothing."""
    regressions: dict[str, int] = field(default_factory=dict)
    """Phase -> how often its gate has sent the ticket back."""
    moves: int = 0
    """How often the ticket has moved."""
    entered: dict[str, int] = field(default_factory=dict)
    """Phase -> which move began the latest visit; 0 for the phase it was opened in."""

    def moved(self, event: PhaseTransitioned) -> "Journey":
        """The journey after a move; a verdict outlives it only where the same visit goes on."""
        verdicts, spoken = dict(self.verdicts), dict(self.spoken)
        judged = verdicts.pop(event.to_phase, None)
        goes_on = self.visits.get(event.to_phase) == event.visit
        if judged and goes_on:
            verdicts[event.to_phase] = replace(judged, on_hold=False)
        if not goes_on:
            spoken.pop(event.to_phase, None)
        back = {event.from_phase: self.regressions.get(event.from_phase, 0) + 1} if event.regression else {}
        return Journey(
            phase_id=event.to_phase,
            came_from=self.came_from if event.from_phase == event.to_phase else event.from_phase,
            forced=event.forced,
            reason=event.reason,
            blocking_reasons=event.blocking_reasons,
            visits={**self.visits, event.to_phase: event.visit},
            verdicts=verdicts,
            spoken=spoken,
            regressions={**self.regressions, **back},
            moves=self.moves + 1,
            entered=self.entered if goes_on else {**self.entered, event.to_phase: self.moves + 1},
        )

    def settled(self, event: GateSettled) -> "Journey":
        """The journey after a verdict on the visit that is going on."""
        away = event.phase_id != self.phase_id
        verdict = Verdict(event.passed, event.blocking_reasons, event.artifacts, on_hold=away)
        return replace(
            self,
            verdicts={**self.verdicts, event.phase_id: verdict},
            spoken=self._spoken(event.phase_id, event.at),
        )

    def unsettled(self, event: GateUnsettled) -> "Journey":
        """The journey after the verdict on its visit was taken back."""
        without = self.without_verdict(event.phase_id)
        return replace(without, spoken=self._spoken(event.phase_id, event.at))

    def without_verdict(self, phase_id: str) -> "Journey":
        """The journey without what the gate of a phase said."""
        verdicts = {phase: verdict for phase, verdict in self.verdicts.items() if phase != phase_id}
        return replace(self, verdicts=verdicts)

    def _spoken(self, phase_id: str, at: datetime | None) -> dict[str, datetime]:
        return {**self.spoken, phase_id: at} if at else self.spoken


@dataclass(frozen=True)
class Standing:
    """A ticket's journey seen in the workflow version the ticket is pinned to."""

    ticket_id: str
    journey: Journey
    workflow: Workflow
    migrations: int = 0
    """How often it was pinned to another version."""
    columns: tuple[Column, ...] = ()
    """What the workflow's board keeps; none where there is no board."""

    @property
    def phase(self) -> Phase:
        """The phase the ticket is in."""
        return self._phase(self.journey.phase_id)

    @property
    def on_hold(self) -> bool:
        """Whether it is in the blocked phase."""
        return self.journey.phase_id == self.workflow.blocked_phase

    @property
    def working_phase(self) -> str:
        """The phase whose visit is going on, also while the ticket is on hold."""
        return self.journey.came_from if self.on_hold else self.journey.phase_id

    @property
    def working_visit(self) -> int:
        """Number of the visit that is going on, also while the ticket is on hold."""
        return self.journey.visits.get(self.working_phase, 1)

    @property
    def waiting(self) -> Verdict | None:
        """The verdict to act upon when the ticket is back from hold.

        It came meanwhile, or it had passed and the ticket was put on hold before the board had a slot for it.
        """
        verdict = self.journey.verdicts.get(self.working_phase)
        return verdict if verdict and (verdict.on_hold or verdict.passed) else None

    def visit(self, to_phase: str) -> int:
        """Number of the visit that a move to `to_phase` begins, or goes on with.

        Leaving the blocked phase for the phase the ticket came from is no new visit: the work was
        interrupted, not discarded. The tasks, artifacts and verdict of the visit stay valid and are found
        under its number, and the scheduler generates nothing twice. Any other move starts clean.
        """
        entered = self.journey.visits.get(to_phase, 0)
        return entered if self.on_hold and to_phase == self.journey.came_from else entered + 1

    def is_end(self, phase_id: str) -> bool:
        """Whether a ticket is over in that phase."""
        return self._phase(phase_id).is_terminal

    def unpassed(self, to_phase: str) -> Sequence[Phase]:
        """The phases that a move to `to_phase` would leave behind without a passed gate, nearest first."""
        if to_phase == self.workflow.blocked_phase:
            return ()
        target = self._phase(to_phase)
        left = [phase for phase in self._behind() if phase.gated and _is_later(target, phase)]
        return sorted((phase for phase in left if not self._passed(phase)), key=_order)

    def waits_for(self, phase: Phase) -> tuple[str, ...]:
        """Why the gate of `phase` has not passed, in sentences."""
        verdict = self.journey.verdicts.get(phase.id)
        if verdict and verdict.blocking_reasons:
            return verdict.blocking_reasons
        if verdict and verdict.passed:
            return (f"The gate of {phase.id} passed before the ticket went back; it must pass again.",)
        if verdict:
            return (f"The gate of {phase.id} has failed.",)
        return (f"The gate of {phase.id} has not passed yet.",)

    @property
    def onward(self) -> Phase | None:
        """Where it goes by itself when the gate of its phase has passed."""
        if self.phase.auto_advance:
            return next_phase(self.workflow, self.phase)
        column = self._column(self.phase.id)
        after = next((each for each in self.columns if column and each.id == column.auto_to), None)
        ways = after.phases if after else ()
        return next((self._phase(way) for way in ways if way in self.phase.allowed_transitions), None)

    def needs_slot(self, to_phase: str) -> bool:
        """Whether a move leads to another column of the board, and that one has a limit."""
        column = self._column(to_phase)
        return column is not None and column.wip_limit is not None and column != self._column(self.phase.id)

    def _column(self, phase_id: str) -> Column | None:
        return next((column for column in self.columns if phase_id in column.phases), None)

    def _behind(self) -> Sequence[Phase]:
        """The phases whose gates count when the ticket moves on.

        The blocked phase leads far ahead, and blocking must be no way round a gate: every phase from the
        one that was interrupted counts. Not so where an override put the ticket on hold: that took it off
        its way with the authority to do so, and only the phase it was taken out of counts.
        """
        start = self._phase(self.working_phase)
        if not self.on_hold or self.journey.forced:
            return (start,)
        return [phase for phase in self.workflow.phases if phase == start or _is_later(phase, start)]

    def _passed(self, phase: Phase) -> bool:
        """Whether its gate has passed since the ticket last came to the phase it works in.

        What passed before the ticket went back to an earlier phase passed on work that is being done again.
        """
        verdict = self.journey.verdicts.get(phase.id)
        entered = self.journey.entered
        since = entered.get(phase.id, 0) >= entered.get(self.working_phase, 0)
        return verdict is not None and verdict.passed and since

    def _phase(self, phase_id: str) -> Phase:
        phase = self.workflow.phase(phase_id)
        assert phase is not None, f"{phase_id}: a ticket is only ever moved to phases of its workflow"
        return phase


def next_phase(workflow: Workflow, phase: Phase) -> Phase | None:
    """Where a ticket goes by itself when the gate of `phase` has passed: the nearest later phase allowed."""
    allowed = [
        p for p in workflow.phases if p.id in phase.allowed_transitions and p.id != workflow.blocked_phase
    ]
    return min((p for p in allowed if _is_later(p, phase)), key=_order, default=None)


def _is_later(phase: Phase, than: Phase) -> bool:
    return phase.sequence_order > than.sequence_order


def _order(phase: Phase) -> int:
    return phase.sequence_order
