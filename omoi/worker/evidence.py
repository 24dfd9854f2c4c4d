"""Measure what an attempt really produced, from files and never from an agent's word."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict
from xml.etree.ElementTree import Element

import orjson
import structlog

from omoi.worker.changes import Change, changes_of, sha256_of
from omoi.worker.cobertura import coverage_in
from omoi.worker.git import GitFailed
from omoi.worker.junit import tests_in
from omoi.worker.report import Unreadable, regular_bytes, xml_root
from omoi.worker.worktree import Worktree

_log = structlog.get_logger()

_TEXT_BYTES = 256 * 1024
_FILES_LISTED = 1000
_FILES_PER_OUTPUT = 20


class Artifact(TypedDict):
    """A piece of evidence as the gate takes it.

    `artifact_path` is relative to the worktree (`reports/...` for the attempt's reports folder) and None
    where the evidence is no file; `sha256` is of the file, or of the content where there is no one file.
    """

    artifact_type: str
    artifact_path: str | None
    sha256: str
    content: dict[str, Any] | str
    measured: bool


@dataclass(frozen=True)
class _Report:
    """A kind of XML report: its usual name, how it is read, and the verdict of one that cannot be read."""

    artifact_type: str
    name: str
    reading: Callable[[Iterable[Element]], dict[str, Any]]
    void: Mapping[str, Any]


_REPORTS = (
    _Report("test_results", "junit*.xml", tests_in, {"all_passed": False}),
    _Report("test_coverage", "coverage*.xml", coverage_in, {"percentage": 0.0}),
)
_MEASURED_OTHERWISE = ("code_changes", *(report.artifact_type for report in _REPORTS))


async def measure(tree: Worktree, expected_outputs: Sequence[Mapping[str, Any]]) -> list[Artifact]:
    """The attempt's evidence, to be taken when the command has ended and before the work lands.

    `code_changes`, `test_results`, `test_coverage`, and an artifact for each file that matches the `pattern`
    of another expected output (a git glob such as `docs/**/*.md`), if work on this ticket changed it last;
    those changed in this attempt first, at most 20.

    Reports are `junit*.xml` and `coverage*.xml` in the attempt's reports folder and what in the worktree
    matches the expected output's pattern, provided that this attempt wrote them. A report that cannot be read
    has a `problem` in its content and passes nothing.
    """
    changes = await changes_of(tree)
    changed = {change.path for change in changes}
    artifacts = await asyncio.to_thread(_code_changes, tree.path, changes)
    for report in _REPORTS:
        patterns = [output["pattern"] for output in _with_pattern(expected_outputs, report.artifact_type)]
        fresh = await _fresh(tree, report, patterns, changed)
        artifacts += await asyncio.to_thread(_read_reports, tree, report, fresh)
    for kind in dict.fromkeys(
        output["type"] for output in expected_outputs if output["type"] not in _MEASURED_OTHERWISE
    ):
        for output in _with_pattern(expected_outputs, kind):
            matching = await _matches(tree, output["pattern"])
            found = [path for path in matching if path in changed]
            found += [path for path in matching if path not in changed and await _of_ticket(tree, path)]
            artifacts += await asyncio.to_thread(_files, tree, kind, found[:_FILES_PER_OUTPUT])
    return artifacts


async def _of_ticket(tree: Worktree, path: str) -> bool:
    """Whether work on this ticket was the last to change the file; another ticket's is no evidence."""
    log = ("log", "-1", "--format=%(trailers:key=Omoi-Ticket,valueonly)", "--", path)
    return (await tree.git("--literal-pathspecs", *log)).strip() == tree.assignment.ticket_id


def _with_pattern(outputs: Sequence[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [output for output in outputs if output["type"] == kind and output.get("pattern")]


def _code_changes(root: Path, changes: Sequence[Change]) -> list[Artifact]:
    if not changes:
        return []
    listed = changes[:_FILES_LISTED]
    content: dict[str, Any] = {
        "files": [
            {
                "path": _shown(change.path),
                "status": change.status,
                "sha256": sha256_of(root / change.path),
                "added": change.added,
                "removed": change.removed,
            }
            for change in listed
        ],
        "tests": [_shown(change.path) for change in changes if change.is_test][:_FILES_LISTED],
        "added": sum(change.added for change in changes),
        "removed": sum(change.removed for change in changes),
        "files_not_listed": len(changes) - len(listed),
    }
    return [_artifact("code_changes", None, _hash(orjson.dumps(content)), content)]


async def _fresh(tree: Worktree, report: _Report, patterns: Sequence[str], changed: set[str]) -> list[Path]:
    """The reports that this attempt wrote.

    Time alone would not do inside the worktree, where the checkout has just given old files new times.
    """
    inside = [path for pattern in patterns for path in await _matches(tree, pattern)]
    committed_before = {
        path for pattern in patterns for path in await _matches(tree, pattern, "--cached")
    } - changed
    own = [] if tree.reports.is_symlink() else sorted(tree.reports.glob(report.name))
    candidates = [*own]
    candidates += [tree.path / path for path in inside if path not in committed_before]
    return [path for path in dict.fromkeys(candidates) if path.lstat().st_mtime_ns >= tree.started_ns]


def _read_reports(tree: Worktree, report: _Report, paths: Sequence[Path]) -> list[Artifact]:
    if not paths:
        return []
    roots, problems, read = list[Element](), list[str](), hashlib.sha256()
    for path in paths:
        try:
            root, content = xml_root(path)
        except Unreadable as problem:
            problems.append(str(problem))
        else:
            roots.append(root)
            read.update(content)
    found = report.reading(roots) | {"reports": [_shown(path.name) for path in paths]}
    if problems:
        found |= {**report.void, "problem": "; ".join(problems)}
    return [_artifact(report.artifact_type, _place(tree, paths[0]), read.hexdigest(), found)]


def _files(tree: Worktree, kind: str, paths: Sequence[str]) -> list[Artifact]:
    artifacts = []
    for path in paths:
        try:
            start = regular_bytes(tree.path / path, _TEXT_BYTES)
        except Unreadable as problem:  # no artifact, so that the gate sees it missing
            _log.warning("evidence.unreadable", attempt=tree.assignment.name, problem=str(problem))
        else:
            sha256 = sha256_of(tree.path / path) or _hash(start)
            artifacts.append(_artifact(kind, _shown(path), sha256, _content(path, start)))
    return artifacts


def _content(path: str, start: bytes) -> dict[str, Any] | str:
    """A JSON object as such, other text as text (its first 256 KiB), of anything else that it is binary."""
    if b"\0" in start:  # Postgres holds no NUL in text
        return {"binary": True}
    text = start[:_TEXT_BYTES].decode(errors="replace")
    if path.endswith(".json") and len(start) <= _TEXT_BYTES and r"\u0000" not in text:
        try:
            parsed = orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
        return parsed if isinstance(parsed, dict) else text
    return text


async def _matches(tree: Worktree, pattern: str, *which: str) -> list[str]:
    """Existing paths that match a git glob, ignored files too; never outside, never through links."""
    try:
        found = await tree.git(
            "ls-files", "-z", *(which or ("--cached", "--others")), "--", f":(glob){pattern}"
        )
    except GitFailed as failure:
        _log.warning("evidence.pattern_refused", pattern=pattern, complaint=failure.complaint)
        return []
    return sorted({path for path in found.split("\0") if path and os.path.lexists(tree.path / path)})


def _place(tree: Worktree, path: Path) -> str:
    start = tree.path if path.is_relative_to(tree.path) else tree.home
    return _shown(str(path.relative_to(start)))


def _artifact(kind: str, path: str | None, sha256: str, content: dict[str, Any] | str) -> Artifact:
    return Artifact(artifact_type=kind, artifact_path=path, sha256=sha256, content=content, measured=True)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _shown(path: str) -> str:
    """A path as text that JSON can hold, even where the file system's bytes are no UTF-8."""
    return os.fsencode(path).decode(errors="replace")
