from datetime import timedelta

import pytest

from services.discovery.branching import BranchFailed, SpawnedTaskExists
from services.discovery.budget import BranchBudgetExhausted
from services.discovery.discovery import DiscoveryIsInvalid, DiscoveryNotFound
from services.discovery.recording import DiscoveryAlreadyExists
from services.discovery.task import STEPS, boosted
from services.discovery.workflow import UnknownPhase
from shared.contracts.discovery import (
    Branch,
    Branched,
    DiscoveryBranchChanged,
    DiscoveryBranchCounted,
    DiscoveryBranchRequested,
    DiscoveryDismissed,
    DiscoveryPriorityFollowed,
    DiscoveryRecordedAgain,
)
from shared.contracts.messages import Priority
from shared.kernel.decider import Unavailable, Waiting
from shared.testing.scenario import NOON, Scenario
from tests.discovery.given import (
    BRANCHED,
    COUNTED,
    FAILED,
    FINGERPRINTED,
    KNOWN,
    ON_RECORD,
    TEXT,
    UNDER_WAY,
    created,
    requested,
    task,
)

BRANCH = Branch(
    discovery_id="d",
    source_task_id="chair",
    discovery_type="bug",
    description=TEXT,
    spawned_task_id="glue",
    spawn_phase_id="TEST",
)
OF_THE_SAME = Branch(discovery_id="d", spawned_task_id="glue", spawn_phase_id="TEST")
OTHER = BRANCH.model_copy(
    update={"discovery_id": None, "spawned_task_id": "screw", "source_task_id": "table"}
)
THERE = Branched(discovery_id="d", spawned_task_id="glue", workflow_branched=True)
LINKED = DiscoveryRecordedAgain(
    discovery_id="d", ticket_id="T-1", source_task_id="table", actor="ann", at=NOON
)


def asked(scenario: Scenario) -> list[object]:
    """What a branch leaves behind while it waits."""
    with pytest.raises(Waiting) as waiting:
        scenario.decide()
    assert waiting.value.until == NOON + timedelta(seconds=10)
    return list(waiting.value.facts)


def spec(scenario: Scenario) -> DiscoveryBranchRequested:
    """The request among what it leaves behind."""
    (found,) = (fact for fact in asked(scenario) if isinstance(fact, DiscoveryBranchRequested))
    return found


def test_a_branch_asks_the_scheduler_and_waits() -> None:
    assert asked(KNOWN.when(BRANCH)) == [FINGERPRINTED, COUNTED, requested()]
    assert asked(UNDER_WAY.when(BRANCH)) == []


def test_a_branch_that_is_there_is_answered() -> None:
    BRANCHED.when(BRANCH).then(THERE)
    BRANCHED.when(OF_THE_SAME).then(THERE)


def test_who_has_waited_long_enough_is_told_to_ask_again() -> None:
    with pytest.raises(Unavailable):
        UNDER_WAY.waiting(10).when(BRANCH).decide()


def test_a_refusal_of_the_scheduler_is_told_in_its_words() -> None:
    failed = UNDER_WAY.given(FAILED).when(BRANCH)
    refusal = failed.then_refused(BranchFailed, code="ticket_ended", spawned_task_id="glue")
    assert "Ticket T-1 is over." in refusal.message


def test_a_discovery_on_record_branches_by_its_id_alone() -> None:
    assert asked(ON_RECORD.when(OF_THE_SAME)) == [COUNTED, requested()]
    KNOWN.when(OF_THE_SAME).then_refused(DiscoveryNotFound)
    other = BRANCH.model_copy(update={"description": "Another leg."})
    ON_RECORD.when(other).then_refused(DiscoveryAlreadyExists)


def test_who_branches_what_is_on_record_is_answered_as_the_first_to_do_so() -> None:
    unnamed = BRANCH.model_copy(update={"discovery_id": None})
    assert asked(ON_RECORD.when(unnamed)) == [COUNTED, requested()]
    BRANCHED.when(unnamed).then(THERE)
    failed = ON_RECORD.given(COUNTED, requested(), FAILED)
    failed.when(unnamed).then_refused(BranchFailed, code="ticket_ended")


def test_the_same_into_the_same_phase_is_spawned_once_while_it_is_open() -> None:
    BRANCHED.when(OTHER).then(LINKED, THERE.model_copy(update={"known": True}))
    assert asked(UNDER_WAY.when(OTHER)) == []
    ended = DiscoveryBranchChanged(
        discovery_id="d", ticket_id="T-1", spawned_task_id="glue", status="completed", at=NOON
    )
    assert spec(BRANCHED.given(ended).when(OTHER)).branch.spawned_task_id == "screw"
    elsewhere = OTHER.model_copy(update={"spawn_phase_id": "BUILD"})
    assert spec(BRANCHED.when(elsewhere)).discovery_id == "d"


def test_who_branches_what_another_is_about_to_record_waits_and_is_linked_to_it() -> None:
    elsewhere = OTHER.model_copy(update={"spawn_phase_id": "BUILD"})
    for again in (OTHER, elsewhere):
        assert asked(UNDER_WAY.when(again)) == []
        with pytest.raises(Unavailable):
            UNDER_WAY.waiting(10).when(again).decide()
        assert LINKED in asked(ON_RECORD.given(COUNTED, requested()).when(again))


def test_the_spawned_task_has_the_priority_that_its_source_has_now() -> None:
    raised = DiscoveryPriorityFollowed(task_id="chair", ticket_id="T-1", priority=Priority.HIGH, at=NOON)
    boost = BRANCH.model_copy(update={"priority_boost": True})
    assert spec(KNOWN.given(raised).when(BRANCH)).branch.priority == "HIGH"
    assert spec(KNOWN.given(raised).when(boost)).branch.priority == "CRITICAL"
    assert spec(KNOWN.when(boost)).branch.priority == "HIGH"
    assert [boosted(priority) for priority in STEPS] == ["MEDIUM", "HIGH", "CRITICAL", "CRITICAL"]


def test_the_spawned_task_says_what_is_to_be_done_and_why() -> None:
    told = BRANCH.model_copy(
        update={"spawn_description": "Glue it.\nThen wait.", "spawn_capabilities": ("glue",)}
    )
    branch = spec(KNOWN.when(told)).branch
    assert branch.title == "Glue it."
    assert branch.description == f"Glue it.\nThen wait.\n\nFound at task chair (Saw), as bug: {TEXT}"
    assert branch.required_capabilities == ("glue",)
    long = BRANCH.model_copy(update={"spawn_description": "x" * 300})
    assert len(spec(KNOWN.when(long)).branch.title) == 200


def test_the_task_type_names_the_type_of_the_discovery() -> None:
    worm = BRANCH.model_copy(update={"discovery_type": "woodworm"})
    assert spec(KNOWN.when(worm)).branch.task_type == "discovery_woodworm"


def test_an_unknown_phase_is_refused_with_those_there_are() -> None:
    nowhere = BRANCH.model_copy(update={"spawn_phase_id": "PAINT"})
    KNOWN.when(nowhere).then_refused(UnknownPhase, phases=["BUILD", "TEST"])


def test_a_ticket_has_at_most_so_many_open_branches() -> None:
    full = KNOWN.given(*(COUNTED.model_copy(update={"spawned_task_id": name}) for name in "ab"))
    full.when(BRANCH).then_refused(
        BranchBudgetExhausted, limit="max_open_branches", open_branches=2, max_open_branches=2
    )
    one = KNOWN.given(COUNTED.model_copy(update={"spawned_task_id": "a"}))
    assert spec(one.when(BRANCH))
    elsewhere = KNOWN.given(*(DiscoveryBranchCounted(ticket_id="T-2", spawned_task_id=name) for name in "ab"))
    assert spec(elsewhere.when(BRANCH))


def test_branches_are_at_most_so_deep() -> None:
    at = KNOWN.given(task("one", depth=1), task("two", depth=2))
    assert spec(at.when(BRANCH.model_copy(update={"source_task_id": "one"}))).branch.depth == 2
    at.when(BRANCH.model_copy(update={"source_task_id": "two"})).then_refused(
        BranchBudgetExhausted, limit="max_depth", depth=3, max_depth=2
    )


def test_nothing_branches_off_what_was_dismissed() -> None:
    gone = DiscoveryDismissed(discovery_id="d", ticket_id="T-1", reason="paint", actor="eve", at=NOON)
    refusal = ON_RECORD.given(gone).when(OTHER).then_refused(DiscoveryIsInvalid, discovery_id="d")
    assert "paint" in refusal.message


def test_the_id_of_a_task_that_is_there_cannot_be_asked_for() -> None:
    taken = BRANCH.model_copy(update={"spawned_task_id": "table"})
    KNOWN.when(taken).then_refused(SpawnedTaskExists, task_id="table")
    spawning = OTHER.model_copy(update={"spawned_task_id": "glue", "description": "x"})
    UNDER_WAY.when(spawning).then_refused(SpawnedTaskExists)


@pytest.mark.parametrize("missing", ["source_task_id", "discovery_type", "description"])
def test_a_new_discovery_is_told_in_full(missing: str) -> None:
    told = BRANCH.model_dump(exclude={missing, "discovery_id"})
    with pytest.raises(ValueError, match="discovery_id of a recorded one"):
        Branch(**told)


def test_later_branches_of_one_discovery_do_not_make_it_another() -> None:
    two = BRANCHED.given(requested("screw", "BUILD"), created("screw", "BUILD"))
    two.when(BRANCH.model_copy(update={"spawned_task_id": "screw", "spawn_phase_id": "BUILD"})).then(
        THERE.model_copy(update={"spawned_task_id": "screw"})
    )
