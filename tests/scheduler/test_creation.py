from datetime import timedelta

import pytest

from services.scheduler.creation import NeedsTooMany, TaskAlreadyExists, TicketEnded, UnknownPhase
from services.scheduler.dependency import DependencyCycle
from services.scheduler.service import scheduler
from services.scheduler.task import TaskNotFound
from services.scheduler.ticket import TicketNotFound
from shared.contracts.messages import Priority
from shared.contracts.task import (
    CreateTask,
    GenerateTasks,
    TaskCreated,
    TaskReady,
    TaskRef,
    TaskSpawnRefused,
)
from shared.kernel.decider import NotAuthorised, Refused
from shared.testing.scenario import NOON, Scenario
from tests.scheduler.workshop import WORKFLOW, Workshop

CHAIR = CreateTask(
    task_id="a",
    ticket_id="T-1",
    task_type="saw",
    title="Saw",
    description="four legs",
    priority=Priority.LOW,
    required_capabilities=("Woodwork", " Saws ", "woodwork", " "),
    resources=("workbench",),
    timeout_seconds=9,
    max_retries=0,
    deadline=NOON + timedelta(days=1),
)


def test_a_task_made_by_hand_is_what_was_asked_for_and_ready_when_it_waits_for_nothing() -> None:
    shop = Workshop(repository="/chairs")
    created, ready, _, answer = shop.do(CHAIR)
    assert created == TaskCreated(
        task_id="a",
        ticket_id="T-1",
        phase_id="BACKLOG",
        visit=1,
        task_type="saw",
        title="Saw",
        description="four legs",
        priority=Priority.LOW,
        required_capabilities=("saws", "woodwork"),
        resources=("workbench",),
        timeout_seconds=9,
        max_retries=0,
        deadline=NOON + timedelta(days=1),
        repository="/chairs",
        workflow_version=WORKFLOW.version,
        workflow=WORKFLOW.name,
        created_at=NOON,
    )
    assert isinstance(ready, TaskReady)
    assert answer == TaskRef(task_id="a", status="ready")


def test_what_was_not_said_comes_from_the_workflow_and_the_ticket() -> None:
    shop = Workshop(WORKFLOW.model_copy(update={"timeout_seconds": 77.0}), deadline=NOON)
    task = shop.task(shop.create("a"))
    assert (task.timeout_seconds, task.max_retries, task.deadline) == (77, 3, NOON)


def test_a_task_without_an_id_gets_the_same_one_on_every_retry() -> None:
    shop = Workshop()
    nameless = CreateTask(ticket_id="T-1", task_type="saw", title="Saw")
    assert shop.decide(nameless) == shop.decide(nameless)
    assert isinstance(shop.decide(nameless)[0], TaskCreated)


def test_the_same_task_sent_twice_is_one_task() -> None:
    shop = Workshop()
    shop.do(CHAIR)
    assert shop.do(CHAIR) == [TaskRef(task_id="a", status="ready")]


def test_another_task_under_the_same_id_is_refused() -> None:
    shop = Workshop()
    shop.do(CHAIR)
    with pytest.raises(TaskAlreadyExists):
        shop.do(CHAIR.model_copy(update={"title": "Paint"}))


def test_a_task_of_an_unknown_ticket_is_refused() -> None:
    with pytest.raises(TicketNotFound):
        Workshop().create("a", ticket_id="T-2")


def test_a_task_that_waits_for_or_comes_from_an_unknown_one_is_refused() -> None:
    shop = Workshop()
    with pytest.raises(TaskNotFound):
        shop.create("a", "ghost")
    with pytest.raises(TaskNotFound):
        shop.create("a", parent_task_id="ghost")


def test_a_task_that_waits_for_itself_is_refused() -> None:
    with pytest.raises(DependencyCycle) as refused:
        Workshop().create("a", "a")
    assert refused.value.details["cycle"] == ["a", "a"]


@pytest.mark.parametrize("needs", [0, -1, 3])
def test_a_number_that_cannot_be_met_is_refused(needs: int) -> None:
    shop = Workshop()
    shop.create("a")
    shop.create("b")
    with pytest.raises(NeedsTooMany):
        shop.create("c", "a", "b", "b", needs=needs)


def test_an_unknown_phase_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownPhase) as refused:
        Workshop().create("a", phase_id="SHIP")
    assert refused.value.details["phases"] == ["BACKLOG", "BUILD", "CHECK", "DONE", "BLOCKED"]


def test_a_task_for_another_phase_is_a_branch_of_its_last_visit() -> None:
    shop = Workshop()
    shop.enter("BUILD", visit=4)
    shop.enter("CHECK")
    task = shop.task(shop.create("a", phase_id="BUILD"))
    assert (task.branched, task.visit, task.status) == (True, 4, "ready")
    assert not shop.task(shop.create("b")).branched


def test_nothing_is_branched_off_a_ticket_that_is_over() -> None:
    shop = Workshop()
    shop.enter("DONE")
    with pytest.raises(TicketEnded):
        shop.create("a", phase_id="BUILD")
    with pytest.raises(TicketEnded):
        shop.do(GenerateTasks(ticket_id="T-1", phase_id="BUILD"))


def test_what_is_left_to_do_in_a_terminal_phase_can_be_done() -> None:
    shop = Workshop()
    shop.enter("DONE")
    shop.create("sweep")
    assert shop.reasons("sweep") == []


SPAWNED = CHAIR.model_copy(update={"discovery_id": "d", "parent_task_id": None})


def test_a_task_that_a_discovery_asked_for_says_so_and_is_made_once() -> None:
    shop = Workshop()
    created = next(fact for fact in shop.do(SPAWNED) if isinstance(fact, TaskCreated))
    assert created.discovery_id == "d"
    assert shop.do(SPAWNED) == [TaskRef(task_id="a", status="ready")]


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"phase_id": "NOWHERE"}, "unknown_phase"), ({"parent_task_id": "nobody"}, "task_not_found")],
)
def test_a_discovery_is_told_why_its_task_is_not_made(changes: dict[str, str], code: str) -> None:
    with pytest.raises(Refused) as refused:
        Workshop().do(SPAWNED.model_copy(update=changes))
    (told,) = refused.value.facts
    assert isinstance(told, TaskSpawnRefused)
    assert (told.task_id, told.discovery_id, told.code) == ("a", "d", code)
    assert told.reason == refused.value.message


def test_a_task_that_has_the_id_already_is_not_taken_for_the_one_asked_for() -> None:
    shop = Workshop()
    shop.do(CHAIR)
    with pytest.raises(TaskAlreadyExists) as refused:
        shop.do(SPAWNED)
    assert [type(fact) for fact in refused.value.facts] == [TaskSpawnRefused]


def test_only_services_say_which_discovery_a_task_is_for() -> None:
    scenario = Scenario(scheduler.aggregates, scheduler.obeys).when(SPAWNED)
    assert not scenario.then_refused(NotAuthorised, required="SYSTEM").facts
