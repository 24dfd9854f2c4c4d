"""What a visit comes to, and when it is announced."""

from typing import Any

import pytest

from services.context.aggregation import GRACE
from services.context.ticket import TicketNotFound, UnknownPhase, VisitNotFound
from services.context.visit import MAX_TASKS
from shared.contracts.context import CloseVisit, ContextState, FollowMigration, NoteSummary, UpdateContext
from shared.kernel.decider import CancelTimer, Timer, Unavailable
from shared.testing.scenario import NOON
from shared.tokens import count
from tests.context.story import (
    WORKFLOW,
    artifact,
    found,
    last_update,
    move,
    task,
    ticket,
    told,
    updates,
    verdict,
    visit_in,
)

TO_DESIGN = move("BACKLOG", "DESIGN", 1)
TO_BUILD = move("DESIGN", "BUILD", 9)


def test_leaving_a_visit_without_tasks_closes_it_at_once() -> None:
    moved = ticket().when(TO_DESIGN).events()
    assert updates(moved) == [("BACKLOG", 1, True)]
    assert last_update(ticket(TO_DESIGN)).summary == ""


def test_a_completed_task_is_announced_with_what_it_found() -> None:
    made = ticket(TO_DESIGN, task("a", "open"))
    assert updates(made.past) == [("BACKLOG", 1, True)]
    done = told(task("a", "completed", at=2, summary="Drawn.", decisions=["Use SQLite"]), story=made)
    assert updates(done.past)[1:] == [("DESIGN", 1, False)]
    update = last_update(done)
    assert update.summary == "## PHASE_DESIGN\n- Done: Draw a: Drawn.\n- Decision: Use SQLite"
    assert update.tokens == count(update.summary)


def test_what_was_recorded_as_found_is_told_once() -> None:
    story = ticket(TO_DESIGN, found("d1", "It creaks.", at=2), found("d2", "It smells.", at=3))
    assert told(found("d1", "It creaks.", at=2), story=story).past == story.past
    update = last_update(told(move("DESIGN", "BUILD", 9), story=story))
    assert update.summary == (
        "## PHASE_DESIGN\n- Discovered: It smells. (bug)\n- Discovered: It creaks. (bug)"
    )


def test_only_the_newest_discoveries_of_a_visit_are_kept() -> None:
    many = [found(f"d{number:02}", f"It creaks {number}.", at=number) for number in range(60)]
    kept = visit_in(ticket(TO_DESIGN, *reversed(many)), "DESIGN").discoveries
    assert [one.discovery_id for one in kept] == [f"d{number}" for number in range(10, 60)]


def test_going_on_hold_and_coming_back_leaves_nothing() -> None:
    story = ticket(TO_DESIGN, task("a", "open"))
    held = told(move("DESIGN", "BLOCKED", 3), story=story)
    assert held.past == story.past
    back = told(move("BLOCKED", "DESIGN", 4), story=held)
    assert back.past == story.past


def test_leaving_the_blocked_phase_for_another_closes_what_was_interrupted() -> None:
    story = ticket(TO_DESIGN, move("DESIGN", "BLOCKED", 3), move("BLOCKED", "TESTING", 4))
    assert updates(story.past) == [("BACKLOG", 1, True), ("DESIGN", 1, True)]


def test_a_move_that_comes_late_closes_the_visit_it_began() -> None:
    story = ticket(TO_BUILD, TO_DESIGN)
    assert updates(story.past) == [("BACKLOG", 1, True), ("DESIGN", 1, True)]


def test_moves_are_ordered_by_their_number_even_where_clocks_differ() -> None:
    early = TO_BUILD.model_copy(update={"at": NOON, "move": 2})
    story = ticket(TO_DESIGN, early)
    assert updates(story.past) == [("BACKLOG", 1, True), ("DESIGN", 1, True)]


def test_a_move_under_a_migrated_workflow_waits_for_the_migration() -> None:
    story = ticket(TO_DESIGN)
    under = move("DESIGN", "HOLD", 3).model_copy(update={"migration": 1})
    with pytest.raises(Unavailable):
        story.when(under).decide()
    migrated = FollowMigration(ticket_id="T", workflow_version="v2", migration=1)
    other = WORKFLOW.model_copy(update={"version": "v2", "blocked_phase": "PHASE_HOLD"})
    assert updates(told(other, migrated, migrated, under, story=story).past) == [("BACKLOG", 1, True)]


def test_a_phase_that_begins_again_closes_its_earlier_visit() -> None:
    story = ticket(TO_DESIGN, move("DESIGN", "DESIGN", 5, visit=2))
    assert updates(story.past)[-1] == ("DESIGN", 1, True)


def test_a_visit_with_an_open_task_waits_a_little_before_it_closes() -> None:
    story = ticket(TO_DESIGN, task("a", "open"))
    closing = CloseVisit(ticket_id="T", phase_id="PHASE_DESIGN", visit=1)
    facts = story.when(TO_BUILD).decide()
    assert updates(story.when(TO_BUILD).events()) == []
    assert Timer("close-T.PHASE_DESIGN.1", NOON + GRACE, closing) in facts
    left = told(TO_BUILD, story=story)
    end = left.when(task("a", "completed", at=3))
    assert updates(end.events()) == [("DESIGN", 1, True)]
    assert CancelTimer("close-T.PHASE_DESIGN.1") in end.decide()
    assert updates(left.when(closing).events()) == [("DESIGN", 1, True)]
    assert told(closing, closing, story=left).past == told(closing, story=left).past


def test_a_visit_that_was_judged_waits_for_the_verdict_and_for_whoever_handed_in() -> None:
    left = ticket(TO_DESIGN, TO_BUILD.model_copy(update={"judged": True}))
    assert updates(left.past)[1:] == []
    handed_in = told(artifact("d1", task_id="a"), verdict(True, at=3), story=left)
    assert updates(handed_in.past)[1:] == []
    assert updates(told(task("a", "completed", at=2), story=handed_in).past)[1:] == [("DESIGN", 1, True)]


def test_what_comes_after_the_close_is_announced_again() -> None:
    story = ticket(TO_DESIGN, TO_BUILD, task("a", "completed", at=4, decisions=["Late but true"]))
    assert updates(story.past)[1:] == [("DESIGN", 1, True)] * 2
    assert "Late but true" in last_update(story).summary


def test_the_next_phase_is_told_of_all_earlier_ones_the_newest_first() -> None:
    story = ticket(
        TO_DESIGN,
        task("a", "completed", at=2, decisions=["Use SQLite"]),
        artifact("d1", summary="90 %", measured=True, sha256="ab" * 32),
        verdict(True, at=3),
        TO_BUILD,
        task("b", "completed", "BUILD", at=10, risks=["Slow on Windows"]),
        verdict(False, "BUILD", 11, 1, "2 tests failed."),
        move("BUILD", "DESIGN", 12, visit=2),
    )
    assert last_update(story).summary == (
        "## PHASE_BUILD: gate failed\n"
        "- Done: draw.\n"
        "- The gate failed: 2 tests failed.\n"
        "- Open risk: Slow on Windows\n\n"
        "## PHASE_DESIGN: gate passed\n"
        "- Done: draw.\n"
        "- Decision: Use SQLite\n"
        "- design_document docs/d1.md: 90 %, measured, sha256 abababababab"
    )


def test_a_task_of_a_phase_that_was_never_entered_is_known() -> None:
    story = ticket(task("a", "completed", "TESTING", at=2, clarifications=["UTC only"]))
    assert updates(story.past) == [("TESTING", 1, False)]
    assert "UTC only" in last_update(story).summary


def test_a_later_artifact_of_the_same_path_counts_but_no_claim_replaces_a_measurement() -> None:
    same: dict[str, Any] = {"artifact_path": "docs/d.md"}
    story = ticket(artifact("new", at=5, **same), artifact("old", at=1, **same))
    assert [one.artifact_id for one in visit_in(story, "DESIGN").artifacts] == ["new"]
    measured = told(artifact("m", at=2, measured=True, **same), story=story)
    assert [one.artifact_id for one in visit_in(measured, "DESIGN").artifacts] == ["m"]


def test_a_visit_of_very_many_tasks_stays_small_and_says_how_many_are_left_out() -> None:
    decisive = task("first", "completed", at=1, decisions=["Never forget this"])
    opened = [task(f"t{n}", "open", at=n) for n in range(2, 200)]
    story = ticket(task("first", "open"), decisive, *opened)
    visit = visit_in(story, "DESIGN")
    assert (len(visit.tasks), visit.made, visit.tasks_left_out) == (MAX_TASKS, 199, 199 - MAX_TASKS)
    assert "first" in visit.tasks
    summary = last_update(told(task("t199", "completed", at=300), story=story)).summary
    assert "more tasks are not listed" in summary
    assert "Never forget this" in summary


def test_whoever_asks_for_an_update_gets_one() -> None:
    story = ticket(TO_DESIGN, task("a", "completed", at=2, decisions=["Use SQLite"]))
    asked = story.when(UpdateContext(ticket_id="T", phase_id="PHASE_DESIGN"))
    assert updates(asked.events()) == [("DESIGN", 1, False)]
    (state,) = [fact for fact in asked.decide() if isinstance(fact, ContextState)]
    assert (state.visit, state.closed, "Use SQLite" in state.summary) == (1, False, True)


def test_an_update_of_what_is_not_there_is_refused() -> None:
    story = ticket(TO_DESIGN)
    story.when(UpdateContext(ticket_id="X", phase_id="PHASE_DESIGN")).then_refused(
        TicketNotFound, ticket_id="X"
    )
    story.when(UpdateContext(ticket_id="T", phase_id="NOWHERE")).then_refused(
        UnknownPhase, phase_id="NOWHERE"
    )
    story.when(UpdateContext(ticket_id="T", phase_id="PHASE_TESTING")).then_refused(
        VisitNotFound, phase_id="PHASE_TESTING"
    )


def summary(prose: str | None, revision: int = 2, **fields: str) -> NoteSummary:
    return NoteSummary(
        ticket_id="T", phase_id="PHASE_DESIGN", visit=1, revision=revision, prose=prose, model="m", **fields
    )


CLOSED = (
    TO_DESIGN,
    task("a", "completed", at=2, summary="Log line", decisions=["Use SQLite"]),
    artifact("d1", at=2),
    TO_BUILD,
)


def test_a_models_prose_takes_the_place_of_task_notes_but_not_of_decisions_and_references() -> None:
    story = ticket(*CLOSED)
    assert visit_in(story, "DESIGN").waits_for_model
    written = told(summary("SQLite it is, for its simplicity."), story=story)
    update = last_update(written)
    assert update.summary == (
        "## PHASE_DESIGN\nSQLite it is, for its simplicity.\n- Decision: Use SQLite\n"
        "- design_document docs/d1.md: claimed"
    )
    assert (update.source, update.closed) == ("model", True)
    assert not visit_in(written, "DESIGN").waits_for_model


def test_a_model_that_says_nothing_usable_changes_nothing() -> None:
    story = ticket(*CLOSED)
    for useless in (summary(None, reason="refused"), summary(""), summary("word " * 700)):
        declined = told(useless, story=story)
        assert updates(declined.past) == updates(story.past)
        assert not visit_in(declined, "DESIGN").waits_for_model


def test_prose_on_a_state_that_has_passed_is_dropped() -> None:
    story = ticket(*CLOSED, artifact("d2", at=3))
    assert told(summary("Old news."), story=story).past == story.past
    assert visit_in(story, "DESIGN").waits_for_model


def test_asking_for_an_update_asks_the_model_again() -> None:
    declined = told(summary(None, reason="refused"), story=ticket(*CLOSED))
    again = told(UpdateContext(ticket_id="T", phase_id="PHASE_DESIGN"), story=declined)
    assert visit_in(again, "DESIGN").waits_for_model
    assert last_update(again).closed
