from datetime import timedelta

import pytest

from services.discovery.fingerprint import fingerprint, normalised
from services.discovery.recording import DiscoveryAlreadyExists, TaskNotFound
from services.discovery.workflow import UnknownDiscoveryType
from shared.contracts.discovery import (
    TYPES,
    DiscoveryDismissed,
    DiscoveryFingerprinted,
    DiscoveryRecorded,
    DiscoveryRecordedAgain,
    DiscoveryRef,
    DiscoveryReopened,
    DiscoveryResolved,
    Record,
)
from shared.kernel.decider import Unavailable, Waiting
from shared.testing.scenario import NOON
from tests.discovery.given import (
    FINGERPRINTED,
    FOUND,
    KNOWN,
    ON_RECORD,
    RECORDED,
    TEXT,
    TICKET,
    UNDER_WAY,
    WORKFLOW,
    task,
)

BUG = Record(discovery_id="d", source_task_id="chair", discovery_type="bug", description=TEXT)
AGAIN = BUG.model_copy(update={"discovery_id": "d-2", "source_task_id": "table"})
LINKED = DiscoveryRecordedAgain(
    discovery_id="d", ticket_id="T-1", source_task_id="table", actor="ann", at=NOON
)
RESOLVED = DiscoveryResolved(discovery_id="d", ticket_id="T-1", automatic=False, actor="eve", at=NOON)
DISMISSED = DiscoveryDismissed(discovery_id="d", ticket_id="T-1", actor="eve", at=NOON)


def test_what_was_found_at_a_task_is_recorded_under_its_ticket_and_visit() -> None:
    KNOWN.when(BUG).then(FINGERPRINTED, RECORDED, DiscoveryRef(discovery_id="d", status="open"))


def test_the_same_sent_twice_changes_nothing() -> None:
    ON_RECORD.when(BUG).then(DiscoveryRef(discovery_id="d", status="open"))


def test_the_same_found_at_another_task_is_linked_to_the_first() -> None:
    ON_RECORD.when(AGAIN).then(LINKED, DiscoveryRef(discovery_id="d", status="open", known=True))
    ON_RECORD.given(LINKED).when(AGAIN).then_events()


@pytest.mark.parametrize(
    "told", ["a LEG is loose", "A  leg\nis loose!!", "\uff21 leg is loose", " a leg is loose "]
)
def test_case_spaces_punctuation_and_unicode_forms_make_no_difference(told: str) -> None:
    words = AGAIN.model_copy(update={"description": told})
    ON_RECORD.when(words).then_events(LINKED.model_copy(update={"description": told}))


@pytest.mark.parametrize(
    "changes",
    [{"description": "Two legs are loose."}, {"discovery_type": "woodworm"}, {"source_task_id": "sofa"}],
)
def test_other_words_another_type_or_another_ticket_make_another_discovery(changes: dict[str, str]) -> None:
    elsewhere = ON_RECORD.given(TICKET.model_copy(update={"ticket_id": "T-2"}), task("sofa", ticket_id="T-2"))
    kinds = [type(event) for event in elsewhere.when(AGAIN.model_copy(update=changes)).events()]
    assert kinds == [DiscoveryFingerprinted, type(RECORDED)]


def test_numbers_and_signs_tell_discoveries_apart() -> None:
    signs = ("v 1.5", "v 15", "v1.5", "v1 5", "a < b", "a > b", "c", "c++", "!!", "??", "-1", "1")
    paths = ("/api/users is slow", "api users is slow", "don't", "dont", ".env", "env", "f()", "f")
    assert len({normalised(text) for text in (*signs, *paths)}) == len((*signs, *paths))
    assert fingerprint("T-1", "bug", "x") != fingerprint("T-1", "bugx", "")


def test_quotes_around_words_and_marks_at_their_ends_make_no_difference() -> None:
    told = ('"Foo bar" fails, again.', "\u201cfoo bar\u201d fails again\u2026", "`Foo bar`: fails; again?!")
    assert {normalised(text) for text in told} == {"foo bar fails again"}
    assert normalised("don\u2019t") == normalised("Don't!")


def test_what_is_told_differently_is_kept_once_also_at_the_same_task() -> None:
    louder = BUG.model_copy(update={"description": "A LEG is loose!", "metadata": {"leg": 3}})
    kept = LINKED.model_copy(
        update={"source_task_id": "chair", "description": "A LEG is loose!", "metadata": {"leg": 3}}
    )
    ON_RECORD.when(louder).then_events(kept)
    ON_RECORD.given(kept).when(louder).then_events()
    ON_RECORD.given(RESOLVED).when(louder).then_events(kept)
    other = louder.model_copy(update={"metadata": {"leg": 4}})
    assert len(ON_RECORD.given(kept).when(other).events()) == 1
    elsewhere = AGAIN.model_copy(update={"metadata": {"leg": 3}})
    ON_RECORD.when(elsewhere).then_events(LINKED.model_copy(update={"metadata": {"leg": 3}}))


@pytest.mark.parametrize(("written", "meant"), [("BUG", "bug"), ("Woodworm", "woodworm")])
def test_a_type_is_taken_in_any_case(written: str, meant: str) -> None:
    [_, recorded] = KNOWN.when(BUG.model_copy(update={"discovery_type": written})).events()
    assert isinstance(recorded, DiscoveryRecorded)
    assert recorded.discovery_type == meant


def test_what_was_resolved_is_opened_again_when_it_is_found_at_another_task() -> None:
    opened = DiscoveryReopened(
        discovery_id="d", ticket_id="T-1", reason="It was found again at task table.", at=NOON
    )
    ON_RECORD.given(RESOLVED).when(AGAIN).then(
        LINKED, opened, DiscoveryRef(discovery_id="d", status="open", known=True)
    )
    ON_RECORD.given(RESOLVED).when(BUG).then(DiscoveryRef(discovery_id="d", status="resolved"))


def test_what_was_dismissed_stays_so_and_who_finds_it_again_is_told() -> None:
    ON_RECORD.given(DISMISSED).when(AGAIN).then(
        LINKED, DiscoveryRef(discovery_id="d", status="invalid", known=True)
    )


def test_an_id_belongs_to_one_discovery() -> None:
    other = BUG.model_copy(update={"description": "Something else."})
    refusal = ON_RECORD.when(other).then_refused(DiscoveryAlreadyExists, discovery_id="d")
    assert TEXT in refusal.message


def test_an_unknown_type_is_refused_with_those_there_are() -> None:
    unknown = BUG.model_copy(update={"discovery_type": "feature"})
    KNOWN.when(unknown).then_refused(UnknownDiscoveryType, types=[*TYPES, "woodworm"])


def test_news_of_the_task_is_waited_for_and_then_it_is_unknown() -> None:
    early = FOUND.given(WORKFLOW, TICKET).when(BUG)
    with pytest.raises(Waiting) as waiting:
        early.decide()
    assert waiting.value.until == NOON + timedelta(seconds=5)
    with pytest.raises(Waiting):
        FOUND.given(WORKFLOW, task()).when(BUG).decide()


def test_a_durable_record_of_an_unknown_task_is_refused() -> None:
    FOUND.given(WORKFLOW, TICKET).waiting(3600).when(BUG).then_refused(TaskNotFound, task_id="chair")
    with pytest.raises(Unavailable):
        FOUND.given(WORKFLOW, task()).waiting(3600).when(BUG).decide()


def test_the_same_that_is_being_recorded_with_a_task_is_waited_for() -> None:
    with pytest.raises(Waiting):
        UNDER_WAY.when(AGAIN).decide()
    with pytest.raises(Unavailable):
        UNDER_WAY.waiting(3600).when(AGAIN).decide()
