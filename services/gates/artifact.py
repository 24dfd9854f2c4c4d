"""Artifacts: how what was handed in is read, whatever its shape, and which submissions of a visit count."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.contracts.gate import Finding, GateArtifactSubmitted
from shared.contracts.messages import KEY_PATTERN

MAX_TEXT = 256 * 1024
"""Characters of a document."""

MAX_BYTES = 512 * 1024
"""Of any content, so that its event can be announced; a manifest of a thousand files fits."""

MAX_DEPTH = 32
MAX_PATH = 4096
MAX_ARTIFACTS = 100
"""Of one task; a list is longer by mistake only."""

UNREADABLE = "unreadable"
"""Type of what names no type that could be read."""

REPORTS = ("test_results", "test_coverage", "code_changes")
"""Types that speak of the work as a whole. Their expected output's pattern tells the worker where to look."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Submission:
    """An artifact as it was handed in; `unreadable` says why nothing but type and path could be read."""

    artifact_type: str
    artifact_path: str | None = None
    content: Any = None
    sha256: str | None = None
    measured: bool = False
    unreadable: str | None = None

    @property
    def name(self) -> str:
        """`test_results`, or `design_document (docs/design.md)`."""
        path = f" ({shown(self.artifact_path)})" if self.artifact_path else ""
        return f"{self.artifact_type}{path}"


@dataclass(frozen=True)
class Evidence:
    """What a verdict needs of an artifact; its content stays in the event."""

    artifact_id: str
    artifact_type: str
    artifact_path: str | None
    measured: bool
    at: datetime
    task_id: str | None
    summary: str
    findings: tuple[Finding, ...]
    unreadable: str | None
    sha256: str | None = None
    collected_by: str = ""

    @property
    def place(self) -> tuple[str, str | None]:
        """What a later submission must have in common with it to supersede it."""
        return self.artifact_type, self.artifact_path


def evidence_of(event: GateArtifactSubmitted) -> Evidence:
    """What is kept of a submission."""
    return Evidence(
        event.artifact_id,
        event.artifact_type,
        event.artifact_path,
        event.measured,
        event.submitted_at,
        event.task_id,
        event.summary,
        event.findings,
        event.unreadable,
        event.sha256,
        event.collected_by,
    )


def with_evidence(counting: Sequence[Evidence], new: Evidence) -> tuple[Evidence, ...]:
    """The evidence that counts once `new` is in, oldest first.

    A later submission of the same type and path supersedes an earlier one, except that a claim never takes
    the place of a measurement: beside it, it counts as a claim. What came first is decided by time, not by
    arrival.
    """
    ordered = sorted([*counting, new], key=lambda evidence: (evidence.at, evidence.task_id or ""))
    rivals = [evidence for evidence in ordered if evidence.place == new.place]
    superseded = {
        evidence.artifact_id
        for number, evidence in enumerate(rivals)
        if any(later.measured or not evidence.measured for later in rivals[number + 1 :])
    }
    return tuple(evidence for evidence in ordered if evidence.artifact_id not in superseded)


def read_artifacts(handed_in: object, task_id: str) -> list[Submission]:
    """What a task handed in, one submission for each entry; what cannot be read says so and is kept.

    What names no hash of a file was not measured, whatever it says.
    """
    if handed_in is None:
        return []
    if not isinstance(handed_in, list):
        reason = f"The artifacts of task {task_id} are {shown(handed_in)}, not a list."
        return [_unreadable(reason, task_id, 0)]
    read = [_read(entry, task_id, place) for place, entry in enumerate(handed_in[:MAX_ARTIFACTS], 1)]
    if len(handed_in) > MAX_ARTIFACTS:
        reason = (
            f"Task {task_id} handed in {len(handed_in)} artifacts; only the first {MAX_ARTIFACTS} are read."
        )
        read.append(_unreadable(reason, task_id, MAX_ARTIFACTS + 1))
    return read


def _read(entry: object, task_id: str, place: int) -> Submission:
    named = f"Artifact {place} of task {task_id} cannot be read"
    if not isinstance(entry, dict):
        return _unreadable(f"{named}: it is {shown(entry)}, not an object.", task_id, place)
    kind, path = entry.get("artifact_type"), entry.get("artifact_path")
    if not isinstance(kind, str) or not re.fullmatch(KEY_PATTERN, kind):
        return _unreadable(f"{named}: its artifact_type is {shown(kind)}, not a name.", task_id, place)
    if fault := _fault_of_path(path):
        return _unreadable(f"{named}: {fault}.", task_id, place)
    if fault := _fault_of_fields(entry):
        where = shown(path, 200) if path else "without a path"
        return Submission(kind, path or None, unreadable=f"{named}: {fault}. Hand in {kind} {where} again.")
    content, sha256 = entry.get("content"), entry.get("sha256")
    measured = entry.get("measured") is True and sha256 is not None
    return Submission(kind, path or None, content, sha256 or sha256_of(content), measured)


def _unreadable(reason: str, task_id: str, place: int) -> Submission:
    path = f"{task_id}/{place}"
    way_out = f" An artifact of type {UNREADABLE} and path {path} takes its place."
    return Submission(UNREADABLE, path, unreadable=reason + way_out)


def _fault_of_path(path: object) -> str | None:
    if path is None or (isinstance(path, str) and len(path) <= MAX_PATH and is_unicode(path)):
        return None
    return f"its artifact_path is {shown(path)}, no text of up to {MAX_PATH} characters"


def _fault_of_fields(entry: Mapping[str, Any]) -> str | None:
    sha256, measured = entry.get("sha256"), entry.get("measured", False)
    if sha256 is not None and not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        return f"its sha256 is {shown(sha256)}, not 64 hexadecimal digits"
    if not isinstance(measured, bool):
        return f"measured is {shown(measured)}, neither true nor false"
    return fault_of_content(entry.get("content"))


def fault_of_content(content: object) -> str | None:
    """Why content cannot be kept: it is too deep, too long, or text that is no text."""
    if _deeper_than(MAX_DEPTH, content):
        return f"its content is nested deeper than {MAX_DEPTH} levels"
    encoded = _encoded(content)
    if not is_unicode(encoded):
        return "its content holds half a character"
    if isinstance(content, str) and len(content) > MAX_TEXT:
        return f"its content has {len(content)} characters; at most {MAX_TEXT} are kept"
    size = len(encoded.encode())
    return f"its content has {size} bytes; at most {MAX_BYTES} are kept" if size > MAX_BYTES else None


def sha256_of(content: object) -> str | None:
    """Of text as UTF-8, of anything else as JSON with sorted keys and no spaces; None of nothing."""
    return None if content is None else hashlib.sha256(_encoded(content).encode()).hexdigest()


def shown(value: object, limit: int = 60) -> str:
    """A foreign value inside a sentence: on one line, and not longer than the sentence bears."""
    text = " ".join((value if isinstance(value, str) else _shown_json(value)).split()) or "empty"
    text = text.encode(errors="replace").decode()
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def is_unicode(text: str) -> bool:
    """Whether it can be written as UTF-8; half a surrogate pair from an escape cannot."""
    return not re.search("[\ud800-\udfff]", text)


def _shown_json(value: object) -> str:
    if value is None:
        return "missing"
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return json.dumps(value)


def _encoded(content: object) -> str:
    if isinstance(content, str):
        return content
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _deeper_than(levels: int, value: object) -> bool:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if children is None:
        return False
    return not levels or any(_deeper_than(levels - 1, child) for child in children)
