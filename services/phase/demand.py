"""What a workflow demands of artifacts and writes into texts: criteria, patterns, placeholders, policies."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from shared.contracts.document import MOST, expression_fault
from shared.contracts.gate import CRITERIA, parameter_fault
from shared.contracts.workflow import PLACEHOLDERS, ExpectedOutput, Workflow
from shared.contracts.wrong import Place, near
from shared.problem import Problem

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_RANGE = re.compile(r"\[[!^]?\]?[^]]*\]")


def problems(workflow: Workflow) -> list[Problem]:
    """Everything that is wrong with them; each place is judged by itself."""
    return list(islice(_all(workflow), MOST))


def _all(workflow: Workflow) -> Iterator[Problem]:
    yield from _policies(workflow)
    for i, phase in enumerate(workflow.phases):
        yield from _outputs(("phases", i, "expected_outputs"), phase.expected_outputs)
        if phase.gate:
            yield from _outputs(("phases", i, "gate", "criteria"), phase.gate.criteria)
        for j, task in enumerate(phase.tasks):
            path: Place = ("phases", i, "tasks", j)
            yield from _placeholders((*path, "title"), task.title or "")
            yield from _placeholders((*path, "description"), task.description)


def _outputs(path: Place, outputs: Sequence[ExpectedOutput]) -> Iterator[Problem]:
    known = set[tuple[str, str | None]]()
    for i, output in enumerate(outputs):
        if (output.type, output.pattern) in known:
            yield Problem((*path, i, "type"), f"{output.type} is expected twice. Put its rules together.")
        known.add((output.type, output.pattern))
        if output.pattern is not None and (fault := glob_fault(output.pattern)):
            yield Problem((*path, i, "pattern"), fault)
        for name, parameter in output.rules.items():
            yield from _rule((*path, i, name), name, parameter)


def _rule(path: Place, name: str, parameter: Any) -> Iterator[Problem]:
    if name not in CRITERIA:
        hint = near(name, (*CRITERIA, *ExpectedOutput.model_fields))
        yield Problem(path, f"There is no criterion {name}.{hint} There are: {', '.join(sorted(CRITERIA))}.")
    elif fault := parameter_fault(name, parameter):
        yield Problem(path, fault)
    elif name == "file_pattern" and parameter is not False:
        for glob in [parameter] if isinstance(parameter, str) else parameter:
            if fault := glob_fault(glob):
                yield Problem(path, fault)
    elif name == "json_schema" and parameter is not False:
        for place, expression in _expressions(parameter):
            if fault := expression_fault(expression):
                yield Problem((*path, *place), fault)


def _expressions(schema: Any) -> Iterator[tuple[Place, str]]:
    """The regular expressions of a JSON schema, and where they stand."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name == "pattern" and isinstance(value, str):
                yield (name,), value
            elif name == "patternProperties" and isinstance(value, dict):
                yield from (((name, expression), expression) for expression in value)
            yield from (((name, *place), found) for place, found in _expressions(value))
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from (((index, *place), found) for place, found in _expressions(value))


def glob_fault(glob: str) -> str | None:
    """Why a git glob can match no file of a repository, in words; None when it can."""
    folders = glob.split("/")
    unclosed = "[" in _RANGE.sub("", glob)
    faults = {
        "it is empty": not glob.strip(),
        "it begins with /; paths are told from the root of the repository": glob.startswith("/"),
        "it goes out of the repository": ".." in folders,
        "it has an empty part or a `.`": "" in folders[1:] or "." in folders,
        "parts of a path are joined by /, not by a backslash": "\\" in glob,
        "a [ is not closed": unclosed,
        "** stands for whole folders: write it between slashes": any(
            "**" in folder and folder != "**" for folder in folders
        ),
    }
    fault = next((words for words, is_so in faults.items() if is_so), None)
    return f"The pattern {glob!r} matches no file: {fault}." if fault else None


def _placeholders(path: Place, text: str) -> Iterator[Problem]:
    for name in dict.fromkeys(_PLACEHOLDER.findall(text)):
        if name not in PLACEHOLDERS:
            way_out = near(name, PLACEHOLDERS) or f" There are: {', '.join(PLACEHOLDERS)}."
            yield Problem(
                path, f"There is no placeholder {{{name}}}.{way_out} Write {{ {name} }} to mean the braces."
            )


def _policies(workflow: Workflow) -> Iterator[Problem]:
    retry, ranking = workflow.retry, workflow.ranking
    if retry.cap_seconds < retry.initial_seconds:
        yield Problem(
            ("retry", "cap_seconds"),
            f"{retry.cap_seconds:g} is less than the first wait of {retry.initial_seconds:g} seconds.",
        )
    if ranking.dependent_cap_seconds < ranking.dependent_seconds:
        yield Problem(
            ("ranking", "dependent_cap_seconds"),
            f"{ranking.dependent_cap_seconds:g} is less than dependent_seconds, which counts for each task.",
        )
    boosts = (
        ranking.low_seconds,
        ranking.medium_seconds,
        ranking.high_seconds,
        ranking.critical_seconds,
    )
    if tuple(sorted(boosts)) != boosts:
        yield Problem(("ranking",), "A higher priority must not be dispatched later than a lower one.")
