"""Whether a document is a workflow, or everything that is wrong with it at once."""

from typing import Any

from services.phase import demand, soundness
from shared.contracts.document import STAND_IN, parsed, shaped
from shared.contracts.workflow import Workflow
from shared.contracts.wrong import Place
from shared.problem import Problem, in_order

NO_SUCH = ("There is no phase", "There is no task template")
"""How the problems begin that may be about a name which could not be read."""


def examined(document: Workflow | dict[str, Any] | str) -> tuple[Workflow | None, list[Problem]]:
    """The workflow where nothing is wrong, else what is; of text in the order of its lines."""
    if isinstance(document, Workflow):
        found = _judged(document)
        return (None, found) if found else (document, [])
    if isinstance(document, dict):
        return _described(document)
    fields, line_of, wrong = parsed(document)
    found = [Problem(path, message) for path, message in wrong]
    workflow: Workflow | None = None
    if fields is not None or not wrong:
        workflow, more = _described(fields)
        found += more
    return (None, in_order(found, line_of)) if found else (workflow, [])


def _described(fields: Any) -> tuple[Workflow | None, list[Problem]]:
    workflow, wrong = shaped(fields)
    if not wrong and workflow is not None:
        found = _judged(workflow)
        return (None, found) if found else (workflow, [])
    misshapen = [Problem(path, message) for path, message in wrong]
    if workflow is None:
        return None, misshapen
    mended = {path for path, _ in wrong}
    places = [*soundness.local_problems(workflow), *demand.problems(workflow)]
    return None, [*misshapen, *(problem for problem in places if _is_beside(problem, mended))]


def _is_beside(problem: Problem, mended: set[Place]) -> bool:
    """Whether a problem has nothing to do with the places that could not be read."""
    names_lost = any(path[-1:] == ("id",) for path in mended)
    inside = any(problem.path[:depth] in mended for depth in range(len(problem.path) + 1))
    guessed = STAND_IN in problem.message or (names_lost and problem.message.startswith(NO_SUCH))
    return not inside and not guessed


def _judged(workflow: Workflow) -> list[Problem]:
    return [*soundness.problems(workflow), *demand.problems(workflow)]
