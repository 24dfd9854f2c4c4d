"""Messages overtake each other and agents hand in anything: the verdict stands."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.gates.collection import ArtifactUnreadable
from services.gates.gate import Gate
from services.gates.service import gates
from shared.contracts.gate import GateArtifactSubmitted, TaskStatus
from shared.contracts.messages import Authority, Command, Event
from shared.kernel.decider import Context, Unavailable
from shared.testing.scenario import NOON, History, Scenario
from tests.gates.story import (
    GOOD_DOCUMENT,
    artifact,
    expects,
    gate,
    results,
    submit,
    task,
    ticket_in,
    verdict,
)

ENDED: tuple[TaskStatus, ...] = ("failed", "cancelled")
PHASES = ("DESIGN", "BUILD", "REQUIREMENTS", "POLISH", "REVIEW")
ARTIFACTS = (
    artifact("requirements_document", GOOD_DOCUMENT, "docs/a.md"),
    artifact("requirements_document", "short", "docs/a.md", measured=True),
    artifact("requirements_document", "short", "docs/b.md"),
    artifact("test_results", results(3), "one.xml", measured=True),
    artifact("test_results", results(3), "one.xml"),
    artifact("test_results", results(2, "test_a"), "one.xml", measured=True),
    artifact("test_results", results(2, "test_a"), "two.xml"),
    artifact("test_coverage", {"percentage": 90}, measured=True),
    artifact("test_coverage", {"percentage": 10}),
    artifact("note", "done", "n.md"),
    artifact("note", "", "n.md"),
    "nonsense",
)


@st.composite
def lives(draw: st.DrawFn, task_id: str, phase_id: str, templated: bool) -> list[Command]:
    """How one task comes to its end, or nearly."""
    clock = draw(st.integers(0, 3))
    life: list[Command] = [task(task_id, "open", phase_id, at=clock, template="t" if templated else None)]
    for _ in range(draw(st.integers(0, 2))):
        clock += draw(st.integers(0, 3))
        ended: TaskStatus = draw(st.sampled_from(ENDED))
        life.append(task(task_id, ended, phase_id, at=clock))
        clock += draw(st.integers(1, 3))
        life.append(task(task_id, "open", phase_id, at=clock, task_type=None))
    if ending := draw(st.sampled_from(("completed", *ENDED, None))):
        handed_in = draw(st.lists(st.sampled_from(ARTIFACTS), max_size=3)) if ending == "completed" else ()
        clock += draw(st.integers(1, 3))
        life.append(task(task_id, ending, phase_id, *handed_in, at=clock))
    return life


@st.composite
def visits(draw: st.DrawFn) -> tuple[str, list[Command], list[Command]]:
    """A phase, what happened there, and the same in another order, some of it twice."""
    phase_id = draw(st.sampled_from(PHASES))
    templated = draw(st.lists(st.booleans(), max_size=4))
    happened: list[Command] = [expects(phase_id, sum(templated))]
    for number, by_template in enumerate(templated):
        happened += draw(lives(f"t{number}", phase_id, by_template))
    again = draw(st.lists(st.sampled_from(happened), max_size=3))
    return phase_id, happened, draw(st.permutations([*happened, *again]))


@cache
def ticket(phase_id: str) -> Scenario:
    """A ticket that has just entered a phase."""
    return ticket_in(phase_id)


def delivered(story: Scenario, commands: Sequence[Command]) -> Scenario:
    """Obey all, trying again later what came too early."""
    past, happened, waiting = History(gates.aggregates, story.past, {}), list[Event](), list(commands)
    for turn in range(len(commands) ** 2):
        if not waiting:
            break
        command = waiting.pop(0)
        try:
            facts = gates.obeys[type(command)](command, past, at_noon(f"command-{turn}"))
        except Unavailable:
            waiting.append(command)
            continue
        events = [fact for fact in facts if isinstance(fact, Event)]
        for event in events:
            past.add(event)
        happened += events
    assert not waiting
    return story.given(*happened)


def at_noon(command_id: str) -> Context:
    """The reactions of gates send what it hears."""
    return Context(command_id, "gates", Authority.SYSTEM, NOON, NOON)


def known(state: Gate) -> Any:
    """All that a gate knows, but for ids and order of what it was told."""
    counting = [(one.artifact_type, one.artifact_path, one.measured, one.at) for one in state.counting]
    return dict(state.tasks), state.generated, state.verdict, state.blocking_reasons, counting


@given(visits())
@settings(max_examples=70, deadline=None)
def test_the_order_of_arrival_changes_no_verdict(visit: tuple[str, list[Command], list[Command]]) -> None:
    phase_id, happened, arrived = visit
    in_order = delivered(ticket(phase_id), happened)
    mixed = delivered(ticket(phase_id), arrived)
    assert known(gate(mixed, phase_id)) == known(gate(in_order, phase_id))


@given(visits())
@settings(max_examples=40, deadline=None)
def test_what_the_gate_has_told_is_what_it_answers(visit: tuple[str, list[Command], list[Command]]) -> None:
    phase_id, _, arrived = visit
    story = delivered(ticket(phase_id), arrived)
    told_so_far = gate(story, phase_id).verdict
    if phase_id == "POLISH" and told_so_far is None:
        return
    assert verdict(story).status == (told_so_far or "pending")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
COUNT = st.integers(-1, 5) | JSON
CONTENT = JSON | st.fixed_dictionaries(
    {},
    optional={
        "tests": COUNT | st.lists(JSON, max_size=2),
        "passed": COUNT,
        "failures": COUNT,
        "errors": COUNT,
        "skipped": COUNT,
        "failed": JSON | st.lists(st.fixed_dictionaries({"name": JSON}), max_size=2),
        "percentage": JSON | st.floats(-1, 101),
        "files": JSON | st.lists(st.fixed_dictionaries({"path": JSON, "status": JSON}), max_size=2),
        "problem": JSON,
    },
)
TYPES = ("requirements_document", "test_results", "test_coverage", "note", "code_changes")
ENTRY = JSON | st.fixed_dictionaries(
    {},
    optional={
        "artifact_type": st.sampled_from(TYPES) | JSON,
        "artifact_path": st.sampled_from(["docs/a.md", "b.xml"]) | JSON,
        "content": CONTENT,
        "sha256": st.just("0" * 64) | JSON,
        "measured": st.booleans() | JSON,
    },
)


@given(st.sampled_from(PHASES), JSON | st.lists(ENTRY, max_size=4))
@settings(max_examples=120, deadline=None)
def test_whatever_an_agent_hands_in_is_recorded_and_judged(phase_id: str, artifacts: Any) -> None:
    ended = task("a", "completed", phase_id, at=1).model_copy(update={"artifacts": artifacts})
    story = delivered(ticket(phase_id), [expects(phase_id, 0), ended])
    submitted = [event for event in story.past if isinstance(event, GateArtifactSubmitted)]
    entries = artifacts if isinstance(artifacts, list) else [artifacts] * (artifacts is not None)
    assert len(submitted) == len(entries)
    judged = gate(story, phase_id)
    assert judged.verdict in ("passed", "failed")
    counting = [event for event in submitted if event.artifact_id not in judged.superseded]
    assert {event.unreadable for event in counting} <= {None, *judged.blocking_reasons}


@given(st.sampled_from(PHASES), st.sampled_from(TYPES), CONTENT)
@settings(max_examples=70, deadline=None)
def test_whatever_is_handed_in_by_hand_is_taken_or_refused(phase_id: str, kind: str, content: Any) -> None:
    try:
        story = delivered(ticket(phase_id), [expects(phase_id, 0), submit(kind, content)])
    except ArtifactUnreadable:
        return
    assert verdict(story).status in ("passed", "failed")
