"""Sound workflows of every kind, for tests that must hold for all of them."""

from typing import Any

from hypothesis import strategies as st

from shared.contracts.messages import Priority
from shared.contracts.workflow import (
    Column,
    Discovering,
    ExpectedOutput,
    Gate,
    Phase,
    Ranking,
    RetryPolicy,
    TaskTemplate,
    Workflow,
)

KEYS = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.text(
    "a \n\t:#-'\"|>%@\r\x85\u2028\ufeff~01."
)
TEXTS = WORDS.map(lambda text: text.replace("{", "("))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | WORDS,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(WORDS, parts, max_size=3),
    max_leaves=8,
)
FREE = st.dictionaries(WORDS, VALUES, max_size=3)
SECONDS = st.floats(0, 366 * 24 * 3600) | st.integers(0, 10_000).map(float)
GLOBS = st.sampled_from(["docs/**/*.md", "src/*.py", "**/a", "notes[0-9].txt", "[!a]*"])
RULES = {
    "min_length": st.integers(1, 1_000_000),
    "min_percentage": st.integers(0, 100) | st.floats(0, 100),
    "min_passing": st.integers(1, 1_000_000),
    "required_sections": st.lists(WORDS.filter(bool), min_size=1, max_size=3),
    "file_pattern": GLOBS | st.lists(GLOBS, min_size=1, max_size=2),
    "all_passed": st.booleans(),
    "must_exist": st.booleans(),
    "must_have_tests": st.booleans(),
}


def tuples(of: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=most).map(tuple)


@st.composite
def outputs(draw: st.DrawFn) -> tuple[ExpectedOutput, ...]:
    types = draw(st.lists(KEYS, max_size=3, unique=True))
    chosen = [draw(st.lists(st.sampled_from(sorted(RULES)), max_size=3, unique=True)) for _ in types]
    return tuple(
        ExpectedOutput.model_validate(
            {
                "type": kind,
                "pattern": draw(st.none() | GLOBS),
                "required": draw(st.booleans()),
                "measured": draw(st.booleans()),
            }
            | {name: draw(RULES[name]) for name in names}
        )
        for kind, names in zip(types, chosen, strict=True)
    )


@st.composite
def templates(draw: st.DrawFn, place: int) -> tuple[TaskTemplate, ...]:
    made: list[TaskTemplate] = []
    for key in draw(st.lists(KEYS, max_size=3, unique=True)):
        earlier = [task.id for task in made]
        before = draw(st.lists(st.sampled_from(earlier), unique=True)) if earlier else []
        task = TaskTemplate(
            id=f"{place}-{key}",
            title=draw(st.none() | TEXTS),
            description=draw(TEXTS | st.just("For {ticket_title}:\n\n{description}\n")),
            priority=draw(st.sampled_from(Priority)),
            required_capabilities=draw(tuples(WORDS)),
            depends_on=tuple(before),
            timeout_seconds=draw(st.none() | SECONDS),
            max_retries=draw(st.none() | st.integers(0, 100)),
            resources=draw(tuples(WORDS)),
        )
        made.append(task)
    return tuple(made)


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """Phases in a row, each of which may have anything that a phase may have."""
    names = [*draw(st.lists(KEYS, min_size=1, max_size=4, unique=True)), "the-end"]
    phases = [_phase(draw, names, i) for i in range(len(names))]
    return Workflow(
        name=draw(KEYS),
        description=draw(WORDS),
        initial_phase=names[0],
        phases=tuple(phases),
        columns=draw(st.just(()) | _board(names)),
        retry=RetryPolicy(
            max_retries=draw(st.integers(0, 100)),
            initial_seconds=draw(st.floats(0, 10)),
            factor=draw(st.floats(1, 100)),
            cap_seconds=draw(st.floats(10, 1e6)),
        ),
        ranking=Ranking(deadline_seconds=draw(SECONDS), low_seconds=draw(st.floats(0, 900))),
        lease_seconds=draw(st.floats(1, 86400)),
        timeout_seconds=draw(st.none() | SECONDS),
        discovery_types=draw(tuples(KEYS)),
        discovery=Discovering(
            max_open_branches=draw(st.integers(0, 1000)), max_depth=draw(st.integers(0, 100))
        ),
        settings=draw(FREE),
    )


def _phase(draw: st.DrawFn, names: list[str], place: int) -> Phase:
    last = place == len(names) - 1
    back = draw(st.booleans()) and place > 0 and not last
    return Phase(
        id=names[place],
        name=draw(WORDS),
        description=draw(WORDS),
        sequence_order=place,
        allowed_transitions=() if last else (names[place + 1], *(names[place - 1 : place] if back else ())),
        is_terminal=last,
        done_definitions=draw(tuples(WORDS)),
        expected_outputs=draw(outputs()),
        phase_prompt=draw(WORDS),
        next_steps_guide=draw(WORDS),
        gate=draw(st.none() | st.builds(Gate, criteria=outputs(), all_tasks_completed=st.booleans())),
        auto_advance=not last and draw(st.booleans()),
        on_failure=names[place - 1] if back else "stay",
        max_regressions=draw(st.integers(0, 100)),
        tasks=draw(templates(place)),
        configuration=draw(FREE),
    )


def _board(names: list[str]) -> st.SearchStrategy[tuple[Column, ...]]:
    column = st.builds(Column, id=KEYS, name=st.none() | WORDS, phases=st.just(tuple(names)))
    return st.tuples(column)
