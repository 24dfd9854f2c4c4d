from services.scheduler.template import filled
from shared.contracts.messages import Priority
from shared.contracts.task import EnterPhase, GenerateTasks, PhaseEntered, TaskCreated, TaskReady, TaskRefs
from shared.contracts.workflow import Phase, TaskTemplate
from shared.testing.scenario import NOON
from tests.scheduler.workshop import WORKFLOW, Workshop


def test_names_are_replaced_and_everything_else_in_braces_stays() -> None:
    text = "{title} {unknown} {title.__class__} {title[0]} {0} {} {{title}} {title!r} {TITLE}"
    filled_in = "x {unknown} {title.__class__} {title[0]} {0} {} {x} {title!r} {TITLE}"
    assert filled(text, {"title": "x"}) == filled_in


def test_what_a_ticket_says_is_not_filled_again() -> None:
    assert filled("{ticket_title}", {"ticket_title": "{secret}", "secret": "x"}) == "{secret}"


def test_a_text_may_name_any_field_of_the_ticket() -> None:
    text = "{ticket_id} {priority} {ticket_tags} {repository} {ticket_deadline} {workflow} {phase_id} {visit}"
    phase = Phase(id="CHECK", name="", sequence_order=2, tasks=(TaskTemplate(id="look", description=text),))
    workflow = WORKFLOW.model_copy(update={"phases": (*WORKFLOW.phases[:2], phase, *WORKFLOW.phases[3:])})
    fields = {"tags": ("oak", "old"), "repository": "/chairs", "deadline": NOON, "workflow": "arts"}
    shop = Workshop(workflow, priority=Priority.LOW, **fields)
    shop.enter("CHECK", visit=3)
    description = shop.of_type(TaskCreated)[0].description
    assert description == "T-1 LOW oak, old /chairs 2026-01-01T12:00:00+00:00 arts CHECK 3"


def test_entering_a_phase_makes_its_tasks_in_the_order_of_their_dependencies() -> None:
    shop = Workshop()
    shop.enter("BUILD")
    saw, paint = shop.of_type(TaskCreated)
    assert (saw.task_type, paint.task_type) == ("saw", "paint")
    assert paint.depends_on == (saw.task_id,)
    assert [event.task_id for event in shop.of_type(TaskReady)] == [saw.task_id]


def test_a_generated_task_is_what_its_template_says() -> None:
    shop = Workshop(repository="/chairs", deadline=NOON)
    shop.enter("BUILD", visit=2, blocking_reasons=("A leg is short.",))
    saw, paint = shop.of_type(TaskCreated)
    assert saw == TaskCreated(
        task_id=saw.task_id,
        ticket_id="T-1",
        phase_id="BUILD",
        visit=2,
        task_type="saw",
        title="saw",
        description="Saw a chair: with four legs",
        priority=Priority.HIGH,
        required_capabilities=("woodwork",),
        timeout_seconds=600,
        max_retries=1,
        deadline=NOON,
        template="saw",
        repository="/chairs",
        workflow_version=WORKFLOW.version,
        workflow=WORKFLOW.name,
        created_at=NOON,
        blocking_reasons=("A leg is short.",),
    )
    assert (paint.title, paint.max_retries, paint.timeout_seconds) == ("Paint a chair", 3, None)


def test_a_long_ticket_makes_no_longer_task_than_one_made_by_hand() -> None:
    shop = Workshop(title="t" * 200, description="d" * 100_000)
    shop.enter("BUILD")
    saw, paint = shop.of_type(TaskCreated)
    assert (len(saw.description), len(paint.title)) == (100_000, 200)


def test_tasks_are_generated_once_for_each_visit() -> None:
    shop = Workshop()
    shop.enter("BUILD")
    assert shop.do(GenerateTasks(ticket_id="T-1")) == [TaskRefs(task_ids=())]
    assert len(shop.of_type(TaskCreated)) == 2
    shop.enter("CHECK")
    shop.enter("BUILD", visit=2)
    assert [event.visit for event in shop.of_type(TaskCreated) if event.phase_id == "BUILD"] == [1, 1, 2, 2]


def test_tasks_generated_ahead_of_a_phase_are_those_of_its_first_visit() -> None:
    shop = Workshop()
    facts = shop.do(GenerateTasks(ticket_id="T-1", phase_id="CHECK"))
    [created] = shop.of_type(TaskCreated)
    assert (created.visit, created.branched, facts[-1]) == (1, True, TaskRefs(task_ids=(created.task_id,)))
    shop.enter("CHECK")
    assert len(shop.of_type(TaskCreated)) == 1
    assert shop.of_type(PhaseEntered)[-1].generated == 1


def test_the_phase_is_announced_with_the_number_of_its_tasks_before_they_come() -> None:
    shop = Workshop()
    facts = shop.decide(EnterPhase(ticket_id="T-1", from_phase="BACKLOG", phase_id="BUILD", visit=1))
    assert facts[0] == PhaseEntered(ticket_id="T-1", phase_id="BUILD", visit=1, generated=2, move=1)
