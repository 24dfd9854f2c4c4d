"""Whether a workflow document agrees with itself."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from services.phase.journey import next_phase
from shared.contracts.document import MOST, closest
from shared.contracts.workflow import Column, Phase, Workflow
from shared.contracts.wrong import Place, near
from shared.problem import Problem

FEW = 20
"""So many names may be slips; more of them are another workflow."""

Check = Callable[[Workflow], Iterator[Problem]]


def problems(workflow: Workflow) -> list[Problem]:
    """Everything that is wrong with a document whose shape is right."""
    spelt = _spelt(workflow)
    as_a_whole: Sequence[Check] = (_ends, _advance, _reach, _failures, _hold, _cycles, _board)
    return [*local_problems(workflow), *_first(spelt, as_a_whole)]


def local_problems(workflow: Workflow) -> list[Problem]:
    """What can be told of each place by itself, where other places cannot be read."""
    return _first(workflow, _LOCAL)


def _first(workflow: Workflow, checks: Sequence[Check]) -> list[Problem]:
    return list(islice((problem for check in checks for problem in check(workflow)), MOST))


def _spelt(workflow: Workflow) -> Workflow:
    """The workflow with misspelt phases put right, so that one slip is not told as many."""
    known = [phase.id for phase in workflow.phases]
    named = {name for phase in workflow.phases for name in phase.allowed_transitions}
    named |= {name for column in workflow.columns for name in column.phases}
    if len(named - set(known)) > FEW:
        return workflow
    spelt = [
        phase.model_copy(
            update={"allowed_transitions": tuple(closest(to, known) for to in phase.allowed_transitions)}
        )
        for phase in workflow.phases
    ]
    columns = [
        column.model_copy(update={"phases": tuple(closest(name, known) for name in column.phases)})
        for column in workflow.columns
    ]
    return workflow.model_copy(update={"phases": tuple(spelt), "columns": tuple(columns)})


def _names(workflow: Workflow) -> Iterator[Problem]:
    if workflow.phase(workflow.initial_phase) is None:
        yield _no_phase(("initial_phase",), workflow.initial_phase, workflow)
    if workflow.blocked_phase is not None and workflow.phase(workflow.blocked_phase) is None:
        yield _no_phase(("blocked_phase",), workflow.blocked_phase, workflow)


def _ends(workflow: Workflow) -> Iterator[Problem]:
    if not any(phase.is_terminal for phase in workflow.phases):
        yield Problem(("phases",), "No phase is terminal, so no ticket is ever done. Make one is_terminal.")


def _phases(workflow: Workflow) -> Iterator[Problem]:
    for i in _repeated(phase.id for phase in workflow.phases):
        yield Problem(("phases", i, "id"), f"Phase {workflow.phases[i].id} is defined twice.")
    for i in _repeated(phase.sequence_order for phase in workflow.phases):
        order = workflow.phases[i].sequence_order
        first = next(phase.id for phase in workflow.phases if phase.sequence_order == order)
        yield Problem(
            ("phases", i, "sequence_order"),
            f"{order} is the position of {first} too. Gates need to know which of two phases is later.",
        )


def _ways(workflow: Workflow) -> Iterator[Problem]:
    for i, phase in enumerate(workflow.phases):
        path: Place = ("phases", i, "allowed_transitions")
        if phase.is_terminal and phase.allowed_transitions:
            yield Problem(path, f"{phase.id} is terminal: it must lead nowhere.")
        for j, target in enumerate(phase.allowed_transitions):
            if workflow.phase(target) is None:
                yield _no_phase((*path, j), target, workflow)
            elif target == phase.id:
                yield Problem((*path, j), f"{phase.id} leads to itself.")
        for j in _repeated(phase.allowed_transitions):
            yield Problem((*path, j), f"{phase.allowed_transitions[j]} is named twice.")
        if phase.on_failure != "stay" and workflow.phase(phase.on_failure) is None:
            yield _no_phase(("phases", i, "on_failure"), phase.on_failure, workflow)


def _advance(workflow: Workflow) -> Iterator[Problem]:
    for i, phase in enumerate(workflow.phases):
        if phase.auto_advance and next_phase(workflow, phase) is None:
            where = "leads to no later phase but the blocked one"
            yield Problem(("phases", i, "auto_advance"), f"{phase.id} {where}, so it cannot go on by itself.")


def _reach(workflow: Workflow) -> Iterator[Problem]:
    if workflow.phase(workflow.initial_phase) is None:
        return
    ways = {phase.id: phase.allowed_transitions for phase in workflow.phases}
    ends = {phase.id for phase in workflow.phases if phase.is_terminal}
    reached = _reachable(ways, workflow.initial_phase)
    for i, phase in enumerate(workflow.phases):
        if phase.id not in reached:
            start = workflow.initial_phase
            yield Problem(("phases", i, "id"), f"{phase.id} cannot be reached from {start}.")
        if ends and not ends & _reachable(ways, phase.id):
            yield Problem(
                ("phases", i, "allowed_transitions"),
                f"From {phase.id} no terminal phase can be reached, so its tickets are never done.",
            )


def _failures(workflow: Workflow) -> Iterator[Problem]:
    blocked = _blocked(workflow)
    for i, phase in enumerate(workflow.phases):
        if phase.on_failure == "stay":
            continue
        path: Place = ("phases", i, "on_failure")
        target = workflow.phase(phase.on_failure)
        if target is None:
            continue
        if target.id not in phase.allowed_transitions:
            yield Problem(path, f"{phase.id} may not go to {target.id}. Add it to its allowed_transitions.")
        if target.sequence_order > phase.sequence_order and target.id != workflow.blocked_phase:
            yield Problem(path, f"{target.id} is later than {phase.id}: a failed gate must not lead on.")
        if blocked and blocked.id not in phase.allowed_transitions:
            yield Problem(
                ("phases", i, "allowed_transitions"),
                f"{phase.id} goes to {blocked.id} after max_regressions: it must be allowed to.",
            )


def _hold(workflow: Workflow) -> Iterator[Problem]:
    blocked = _blocked(workflow)
    if blocked is None:
        return
    wrong = {
        "the initial phase": blocked.id == workflow.initial_phase,
        "terminal": blocked.is_terminal,
        "gated: it has tasks, a gate or required outputs": blocked.gated,
        "left by itself (auto_advance)": blocked.auto_advance,
    }
    for what, is_so in wrong.items():
        if is_so:
            yield Problem(("blocked_phase",), f"{blocked.id} holds tickets that wait: it cannot be {what}.")


def _templates(workflow: Workflow) -> Iterator[Problem]:
    homes = {task.id: phase.id for phase in reversed(workflow.phases) for task in phase.tasks}
    places = [(i, j) for i, phase in enumerate(workflow.phases) for j, _ in enumerate(phase.tasks)]
    ids = [workflow.phases[i].tasks[j].id for i, j in places]
    for n in _repeated(ids):
        i, j = places[n]
        yield Problem(("phases", i, "tasks", j, "id"), f"Task template {ids[n]} is defined twice.")
    for i, phase in enumerate(workflow.phases):
        own = {task.id for task in phase.tasks}
        for j, task in enumerate(phase.tasks):
            for k, other in enumerate(task.depends_on):
                path: Place = ("phases", i, "tasks", j, "depends_on", k)
                if other not in homes:
                    yield Problem(path, f"There is no task template {other}.{near(other, own)}")
                elif other not in own:
                    yield Problem(path, f"{other} belongs to {homes[other]}; a task waits within its phase.")


def _cycles(workflow: Workflow) -> Iterator[Problem]:
    for i, phase in enumerate(workflow.phases):
        yield from _cycle(i, phase)


def _cycle(i: int, phase: Phase) -> Iterator[Problem]:
    tasks = {task.id: task for task in phase.tasks}
    order = {task_id: j for j, task_id in reversed(list(enumerate(task.id for task in phase.tasks)))}
    waits = {name: [on for on in task.depends_on if on in tasks] for name, task in tasks.items()}
    if way := _circle(waits):
        path: Place = ("phases", i, "tasks", order[way[0]], "depends_on")
        shown = way if len(way) <= FEW else [*way[:FEW], "...", way[-1]]
        yield Problem(path, f"Tasks wait for each other: {' -> '.join(shown)}.")


def _columns(workflow: Workflow) -> Iterator[Problem]:
    ids = [column.id for column in workflow.columns]
    for i in _repeated(ids):
        yield Problem(("columns", i, "id"), f"Column {ids[i]} is defined twice.")
    covered: dict[str, str] = {}
    for i, column in enumerate(workflow.columns):
        for j, phase_id in enumerate(column.phases):
            path: Place = ("columns", i, "phases", j)
            if workflow.phase(phase_id) is None:
                yield _no_phase(path, phase_id, workflow)
            elif phase_id in covered:
                yield Problem(path, f"{phase_id} is in column {covered[phase_id]} already.")
            covered.setdefault(phase_id, column.id)
        if column.auto_to is not None and (column.auto_to not in ids or column.auto_to == column.id):
            hint = near(column.auto_to, [name for name in ids if name != column.id])
            yield Problem(("columns", i, "auto_to"), f"There is no other column {column.auto_to}.{hint}")


def _board(workflow: Workflow) -> Iterator[Problem]:
    shown = {phase_id for column in workflow.columns for phase_id in column.phases}
    if workflow.columns:
        for phase in workflow.phases:
            if phase.id not in shown:
                yield Problem(("columns",), f"No column shows {phase.id}: its tickets would be invisible.")
    for i, column in enumerate(workflow.columns):
        target = next((other for other in workflow.columns if other.id == column.auto_to), None)
        if target and target is not column and not _leads(workflow, column, target):
            yield Problem(
                ("columns", i, "auto_to"),
                f"No phase of {column.id} may go to one of {target.id}: see their allowed_transitions.",
            )


def _leads(workflow: Workflow, column: Column, target: Column) -> bool:
    sources = [workflow.phase(phase_id) for phase_id in column.phases]
    return any(set(phase.allowed_transitions) & set(target.phases) for phase in sources if phase)


def _blocked(workflow: Workflow) -> Phase | None:
    return workflow.phase(workflow.blocked_phase) if workflow.blocked_phase else None


def _no_phase(path: Place, phase_id: str, workflow: Workflow) -> Problem:
    known = [phase.id for phase in workflow.phases]
    return Problem(
        path, f"There is no phase {phase_id}.{near(phase_id, known)} There are: {', '.join(known)}."
    )


def _reachable(ways: Mapping[str, Sequence[str]], start: str) -> set[str]:
    reached, open_ = {start}, [start]
    while open_:
        fresh = set(ways.get(open_.pop(), ())) - reached
        reached |= fresh
        open_ += fresh
    return reached


def _circle(waits: Mapping[str, Sequence[str]]) -> list[str]:
    """A way that ends where it begins; empty when there is none."""
    awaited = {name: len(on) for name, on in waits.items()}
    behind: dict[str, list[str]] = {name: [] for name in waits}
    for name, on in waits.items():
        for other in on:
            behind[other].append(name)
    free = [name for name, count in awaited.items() if not count]
    while free:
        for name in behind[free.pop()]:
            awaited[name] -= 1
            if not awaited[name]:
                free.append(name)
    held = [name for name, count in awaited.items() if count]
    way = dict.fromkeys(held[:1])
    last = next(iter(way), None)
    while last is not None:
        last = next(on for on in waits[last] if awaited[on])
        if last in way:
            steps = list(way)
            return [*steps[steps.index(last) :], last]
        way[last] = None
    return []


def _repeated(values: Iterable[Hashable]) -> Iterator[int]:
    """Indices of the values that came before."""
    seen = set[Hashable]()
    for i, value in enumerate(values):
        if value in seen:
            yield i
        seen.add(value)


_LOCAL: Sequence[Check] = (_names, _phases, _ways, _templates, _columns)
