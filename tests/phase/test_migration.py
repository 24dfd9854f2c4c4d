"""Pinning a ticket to another version of its workflow."""

import pytest

from services.phase.migration import HoldDiffers
from services.phase.ticket import GateNotPassed, Ticket, UnknownPhase, evolve
from services.phase.workflow import UnknownWorkflow
from shared.contracts.messages import Authority
from shared.contracts.phase import MigrateTicket, SettleGate, TicketMigrated, TicketRef
from shared.contracts.workflow import ExpectedOutput, Gate, Phase, Workflow
from shared.testing.scenario import NOON, Scenario
from tests.phase.given import (
    BUILDING,
    CHECKING,
    PHASE,
    SMALL,
    TICKET,
    changed,
    go,
    known,
    moved,
    opened,
    settled,
    ticket,
)

NEWER = changed(SMALL, description="newer")


def migrated(to: Workflow, *, migration: int = 1, move: int = 0, phase_id: str = "TODO") -> TicketMigrated:
    return TicketMigrated(
        ticket_id=TICKET,
        workflow="small",
        from_version=SMALL.version,
        workflow_version=to.version,
        phase_id=phase_id,
        migration=migration,
        move=move,
        actor="ann",
        at=NOON,
    )


def migrate(to: Workflow) -> MigrateTicket:
    return MigrateTicket(ticket_id=TICKET, workflow_version=to.version)


def without(phase_id: str) -> Workflow:
    phases = tuple(
        phase.model_copy(
            update={"allowed_transitions": tuple(to for to in phase.allowed_transitions if to != phase_id)}
        )
        for phase in SMALL.phases
        if phase.id != phase_id
    )
    return changed(SMALL, phases=phases)


def test_a_ticket_is_pinned_to_the_other_version_and_stays_where_it_is() -> None:
    facts = ticket(*BUILDING, *known(NEWER)).when(migrate(NEWER))
    facts.then(migrated(NEWER, move=1, phase_id="BUILD"), TicketRef(ticket_id=TICKET))
    before = evolve(evolve(Ticket(), opened()), BUILDING[0])
    after = evolve(before, migrated(NEWER, move=1, phase_id="BUILD"))
    assert (after.workflow_version, after.journey) == (NEWER.version, before.journey)


def test_the_moves_after_it_follow_the_other_version_and_say_so() -> None:
    longer = changed(SMALL, "TODO", allowed_transitions=("BUILD", "CHECK", "HOLD"))
    on = ticket(*known(longer), migrated(longer))
    on.when(go("CHECK")).then_events(moved("TODO", "CHECK", migration=1))


def test_the_same_version_again_changes_nothing() -> None:
    ticket().when(migrate(SMALL)).then(TicketRef(ticket_id=TICKET))


def test_only_loaded_versions_of_the_same_workflow_will_do() -> None:
    other = changed(SMALL, name="other")
    for wish in (NEWER, other):
        refused = ticket(*known(other)).when(migrate(wish))
        refused.then_refused(UnknownWorkflow, version=wish.version, versions=[SMALL.version])


@pytest.mark.parametrize("lost", ["SHIP", "HOLD"])
def test_a_version_that_lacks_the_phase_of_the_ticket_is_refused(lost: str) -> None:
    version = without(lost)
    held = ticket(moved("TODO", "SHIP", forced=True), moved("SHIP", "HOLD"), *known(version))
    refused = (
        held.by("gil", Authority.GUARDIAN).when(migrate(version)).then_refused(UnknownPhase, phase_id=lost)
    )
    assert "Move it to a phase of that version first" in refused.message


def test_a_phase_cannot_become_a_hold_under_a_ticket() -> None:
    odd = changed(SMALL, blocked_phase=None)
    ticket(moved("TODO", "HOLD"), *known(odd)).when(migrate(odd)).then_refused(HoldDiffers, phase_id="HOLD")
    other = changed(SMALL, blocked_phase="TODO")
    ticket(*known(other)).when(migrate(other)).then_refused(HoldDiffers, phase_id="TODO")


LAX: list[Workflow] = [
    changed(SMALL, "BUILD", tasks=(), auto_advance=False),
    changed(SMALL, "BUILD", gate=Gate(all_tasks_completed=False)),
    changed(SMALL, "BUILD", sequence_order=9),
    changed(SMALL, "BUILD", expected_outputs=(ExpectedOutput(type="note"),)),
    changed(SMALL, "BUILD", allowed_transitions=("CHECK", "TODO", "HOLD")),
    changed(SMALL, "HOLD", allowed_transitions=("BUILD", "TODO")),
    changed(SMALL, "BUILD", is_terminal=True, allowed_transitions=()),
    changed(SMALL, "CHECK", tasks=(), auto_advance=False),
    changed(SMALL, "TODO", allowed_transitions=("BUILD", "SHIP", "HOLD")),
]


@pytest.mark.parametrize("lax", LAX)
def test_a_migration_is_no_way_round_a_gate(lax: Workflow) -> None:
    building = ticket(*BUILDING, *known(lax)).when(migrate(lax))
    refused = building.then_refused(GateNotPassed, phase_id="BUILD", visit=1)
    assert "let a guardian migrate" in refused.message
    assert building.by("gil", Authority.GUARDIAN).events()
    passed: Scenario = ticket(*BUILDING, settled("BUILD"), *known(lax))
    assert passed.when(migrate(lax)).events()


def test_a_verdict_on_what_another_version_asks_for_is_void() -> None:
    strict = changed(SMALL, "BUILD", expected_outputs=(ExpectedOutput(type="note"),), auto_advance=False)
    stays = changed(SMALL, "BUILD", auto_advance=False)
    passed = [opened(stays), moved("TODO", "BUILD"), settled("BUILD")]
    story = PHASE.given(*known(stays), *passed, *known(strict))
    [event] = story.when(migrate(strict)).events()
    assert isinstance(event, TicketMigrated)
    assert event.void_phase == "BUILD"
    story.given(event).when(go("CHECK")).then_refused(GateNotPassed)


@pytest.mark.parametrize(("version", "counts"), [(SMALL.version, False), (NEWER.version, True), (None, True)])
def test_a_gate_that_judged_by_the_old_version_is_not_heard(version: str | None, counts: bool) -> None:
    on = ticket(*BUILDING, *known(NEWER), migrated(NEWER, phase_id="BUILD"))
    settle = SettleGate(
        ticket_id=TICKET, phase_id="BUILD", visit=1, passed=True, workflow_version=version, at=NOON
    )
    assert bool(on.when(settle).events()) == counts


def test_a_phase_that_asks_for_nothing_is_left_to_any_version() -> None:
    more: Phase = changed(SMALL, "CHECK", gate=Gate()).phases[2]
    stricter = changed(SMALL, "CHECK", gate=more.gate)
    assert ticket(*known(stricter)).when(migrate(stricter)).events()
    held = ticket(*CHECKING, moved("CHECK", "HOLD"), *known(NEWER))
    assert held.when(migrate(NEWER)).events()
