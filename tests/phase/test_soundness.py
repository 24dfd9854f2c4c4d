"""Whether workflow documents that contradict themselves are found out."""

from typing import Any

import pytest

from services.phase.soundness import problems
from shared.contracts.workflow import Column, TaskTemplate, Workflow
from shared.problem import Problem
from tests.phase.given import SHIPPED, SMALL, changed, station, work

BOARD = changed(
    SMALL,
    columns=(
        Column(id="doing", phases=("TODO", "BUILD", "CHECK", "SHIP"), auto_to="over"),
        Column(id="over", phases=("DONE", "HOLD")),
    ),
)


def also(*phases: Any) -> Workflow:
    return changed(SMALL, phases=(*SMALL.phases, *phases))


def tasks(**waits_for: tuple[str, ...]) -> Workflow:
    """BUILD with tasks that wait for others."""
    return changed(
        SMALL, "BUILD", tasks=tuple(TaskTemplate(id=name, depends_on=on) for name, on in waits_for.items())
    )


def column(i: int, **fields: Any) -> Workflow:
    columns = [c.model_copy(update=fields) if n == i else c for n, c in enumerate(BOARD.columns)]
    return changed(BOARD, columns=tuple(columns))


UNSOUND: dict[str, tuple[Workflow, str, str]] = {
    "unknown initial phase": (changed(SMALL, initial_phase="X"), "initial_phase", "There is no phase X."),
    "unknown blocked phase": (changed(SMALL, blocked_phase="X"), "blocked_phase", "There is no phase X."),
    "no terminal phase": (
        changed(SMALL, "DONE", is_terminal=False, allowed_transitions=("TODO",)),
        "phases",
        "No phase is terminal",
    ),
    "phase defined twice": (
        also(station("DONE", 8, is_terminal=True)),
        "phases[6].id",
        "Phase DONE is defined twice.",
    ),
    "two phases in one position": (
        changed(SMALL, "SHIP", sequence_order=1),
        "phases[3].sequence_order",
        "1 is the position of BUILD too.",
    ),
    "terminal phase that leads on": (
        changed(SMALL, "DONE", allowed_transitions=("TODO",)),
        "phases[4].allowed_transitions",
        "DONE is terminal",
    ),
    "way to an unknown phase": (
        changed(SMALL, "TODO", allowed_transitions=("BUILD", "X")),
        "phases[0].allowed_transitions[1]",
        "There is no phase X.",
    ),
    "way to itself": (
        changed(SMALL, "TODO", allowed_transitions=("TODO", "BUILD")),
        "phases[0].allowed_transitions[0]",
        "TODO leads to itself.",
    ),
    "way named twice": (
        changed(SMALL, "TODO", allowed_transitions=("BUILD", "HOLD", "BUILD")),
        "phases[0].allowed_transitions[2]",
        "BUILD is named twice.",
    ),
    "going on by itself to nowhere": (
        changed(SMALL, "BUILD", allowed_transitions=("TODO", "HOLD")),
        "phases[1].auto_advance",
        "BUILD leads to no later phase",
    ),
    "phase that cannot be reached": (
        also(station("LIMBO", 7, "DONE")),
        "phases[6].id",
        "LIMBO cannot be reached from TODO.",
    ),
    "phase that cannot be left": (
        changed(also(station("PIT", 7)), "TODO", allowed_transitions=("BUILD", "PIT")),
        "phases[6].allowed_transitions",
        "From PIT no terminal phase can be reached",
    ),
    "failure to an unknown phase": (
        changed(SMALL, "CHECK", on_failure="X"),
        "phases[2].on_failure",
        "There is no phase X.",
    ),
    "failure to a phase the table forbids": (
        changed(SMALL, "CHECK", on_failure="TODO"),
        "phases[2].on_failure",
        "CHECK may not go to TODO.",
    ),
    "failure that leads on": (
        changed(SMALL, "CHECK", on_failure="SHIP"),
        "phases[2].on_failure",
        "SHIP is later than CHECK",
    ),
    "going back without a way to the blocked phase": (
        changed(SMALL, "CHECK", allowed_transitions=("SHIP", "BUILD")),
        "phases[2].allowed_transitions",
        "CHECK goes to HOLD after max_regressions",
    ),
    "blocked phase as initial phase": (
        changed(SMALL, initial_phase="HOLD", phases=(station("TODO", 0, "BUILD"), *SMALL.phases[1:])),
        "blocked_phase",
        "it cannot be the initial phase",
    ),
    "terminal blocked phase": (
        changed(SMALL, "HOLD", is_terminal=True, allowed_transitions=()),
        "blocked_phase",
        "it cannot be terminal",
    ),
    "gated blocked phase": (
        changed(SMALL, "HOLD", tasks=(TaskTemplate(id="wait"),)),
        "blocked_phase",
        "it cannot be gated",
    ),
    "blocked phase left by itself": (
        changed(SMALL, "HOLD", auto_advance=True, sequence_order=-1),
        "blocked_phase",
        "it cannot be left by itself",
    ),
    "task template defined twice": (
        changed(SMALL, "SHIP", tasks=(TaskTemplate(id="build"),)),
        "phases[3].tasks[0].id",
        "Task template build is defined twice.",
    ),
    "waiting for an unknown task": (
        tasks(a=("b", "x"), b=()),
        "phases[1].tasks[0].depends_on[1]",
        "There is no task template x.",
    ),
    "waiting for a task of another phase": (
        tasks(a=("check",)),
        "phases[1].tasks[0].depends_on[0]",
        "check belongs to CHECK",
    ),
    "tasks that wait for each other": (
        tasks(z=("a",), a=("b",), b=("c",), c=("a",)),
        "phases[1].tasks[1].depends_on",
        "Tasks wait for each other: a -> b -> c -> a.",
    ),
    "a task that waits for itself": (
        tasks(a=("a",)),
        "phases[1].tasks[0].depends_on",
        "Tasks wait for each other: a -> a.",
    ),
    "column defined twice": (column(0, id="over"), "columns[1].id", "Column over is defined twice."),
    "column of an unknown phase": (
        column(1, phases=("DONE", "HOLD", "X")),
        "columns[1].phases[2]",
        "There is no phase X.",
    ),
    "phase in two columns": (
        column(1, phases=("DONE", "HOLD", "TODO")),
        "columns[1].phases[2]",
        "TODO is in column doing already.",
    ),
    "phase twice in a column": (
        column(1, phases=("DONE", "HOLD", "DONE")),
        "columns[1].phases[2]",
        "DONE is in column over already.",
    ),
    "card moved to an unknown column": (
        column(0, auto_to="x"),
        "columns[0].auto_to",
        "There is no other column x.",
    ),
    "card moved to its own column": (
        column(1, auto_to="over"),
        "columns[1].auto_to",
        "There is no other column over.",
    ),
    "phase in no column": (column(1, phases=("DONE",)), "columns", "No column shows HOLD"),
}


@pytest.mark.parametrize("what", UNSOUND)
def test_a_contradiction_is_found_where_it_is(what: str) -> None:
    workflow, key, message = UNSOUND[what]
    found = problems(workflow)
    assert [message in problem.message for problem in found if problem.key == key].count(True) == 1
    assert len(found) <= 2, "one mistake is told in one sentence, two at most"


@pytest.mark.parametrize("workflow", [SMALL, BOARD, SHIPPED], ids=["small", "board", "shipped"])
def test_a_sound_workflow_has_no_problem(workflow: Workflow) -> None:
    assert problems(workflow) == []


def test_a_failed_gate_may_lead_to_the_blocked_phase_wherever_that_stands() -> None:
    assert problems(changed(SMALL, "CHECK", on_failure="HOLD")) == []


def test_a_workflow_without_a_blocked_phase_may_send_tickets_back() -> None:
    phases = (
        station("BUILD", 1, "CHECK", **work("build")),
        station("CHECK", 2, "BUILD", "DONE", on_failure="BUILD", **work("check")),
        station("DONE", 3, is_terminal=True),
    )
    assert problems(Workflow(name="bare", initial_phase="BUILD", phases=phases)) == []


def test_tasks_may_share_what_they_wait_for() -> None:
    assert problems(tasks(a=(), b=("a",), c=("a",), d=("b", "c"))) == []


def test_every_problem_is_told_at_once() -> None:
    broken = changed(changed(SMALL, initial_phase="X"), "CHECK", on_failure="X", allowed_transitions=("X",))
    assert len({problem.key for problem in problems(broken)}) >= 3


def test_a_place_is_written_as_people_write_it() -> None:
    assert Problem(("phases", 3, "tasks", 0, "depends_on", 1), "").key == "phases[3].tasks[0].depends_on[1]"


def test_a_long_chain_of_tasks_is_sound_and_a_long_circle_is_told_short() -> None:
    chain = {f"t{n}": (f"t{n + 1}",) for n in range(2000)} | {"t2000": ()}
    assert problems(tasks(**chain)) == []
    [problem] = problems(tasks(**chain | {"t2000": ("t0",)}))
    assert problem.key == "phases[1].tasks[0].depends_on"
    assert problem.message.endswith("t19 -> ... -> t0.")


def test_of_very_many_problems_the_first_are_told() -> None:
    wrong = changed(SMALL, "TODO", allowed_transitions=tuple(f"X{n}" for n in range(3000)))
    assert 200 <= len(problems(wrong)) <= 400
