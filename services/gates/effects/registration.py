"""Criteria that are more than pure functions of ours: of a library, and of installed packages."""

from functools import wraps
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import structlog

from services.gates.artifact import Submission, shown
from services.gates.criteria import REGISTERED, Criterion, criterion
from services.gates.effects.schema import json_schema
from shared.contracts.gate import CRITERIA_GROUP

log = structlog.get_logger()

ANY_FAULT = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What foreign code is known to raise; anything else ends up among the dead letters."""


def register_criteria() -> None:
    """Let workflows name `json_schema` and what installed packages offer as entry points.

    An entry point of the group `omoios.criteria` is a function `(artifact, parameter) -> reason | None`;
    workflows call it by the entry point's name. A name that is taken is not given away.
    """
    criterion(json_schema)
    for entry in entry_points(group=CRITERIA_GROUP):
        if entry.name in REGISTERED:
            log.warning("criterion_not_registered", name=entry.name, package=entry.value)
        else:
            REGISTERED[entry.name] = _guarded(entry)


def _guarded(entry: EntryPoint) -> Criterion:
    """A foreign criterion that breaks is not met, and says so."""
    try:
        judge: Any = entry.load()
    except ANY_FAULT as error:
        fault = f"The criterion {entry.name} cannot be loaded from {entry.value}: {shown(repr(error), 200)}."
        return lambda *_: fault

    @wraps(judge)
    def guarded(artifact: Submission, parameter: Any) -> str | None:
        try:
            reason = judge(artifact, parameter)
        except ANY_FAULT as error:
            return f"{artifact.name} could not be judged by {entry.name}: {shown(repr(error), 200)}."
        return None if reason is None else shown(str(reason), 1000)

    return guarded
