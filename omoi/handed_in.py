"""What a function returns, as the outcome of its attempt."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import orjson

from omoi.worker.evidence import Artifact
from omoi.worker.outcome import Done

RETURNED = "A function of an agent returns None, a sentence, a dict, or a list of artifacts"


class NotAnArtifact(Exception):
    """What was returned or submitted cannot be handed in; the sentence says why."""


def outcome_of(returned: Any, submitted: Sequence[Any]) -> Done:
    """Raises NotAnArtifact."""
    summary, result, artifacts = "", dict[str, Any](), list[Any]()
    match returned:
        case None:
            pass
        case str():
            summary = returned
        case Mapping():
            result = {str(name): value for name, value in returned.items()}
            summary, artifacts = str(result.pop("summary", "")), list(result.pop("artifacts", ()))
        case list() | tuple():
            artifacts = list(returned)
        case _:
            raise NotAnArtifact(f"{RETURNED}; this one returned {type(returned).__name__}.")
    try:
        orjson.dumps(result)
    except TypeError as error:
        raise NotAnArtifact(f"The result is not JSON: {error}.") from error
    return Done(summary, result, [_artifact(each) for each in (*submitted, *artifacts)])


def _artifact(claimed: Any) -> Artifact:
    """An agent's own word, whatever it says of itself: only the worker measures."""
    if not isinstance(claimed, Mapping) or not isinstance(claimed.get("artifact_type"), str):
        raise NotAnArtifact(f"An artifact is a dict with artifact_type and content, not {claimed!r:.200}.")
    content = claimed.get("content")
    if not isinstance(content, (str, dict)):
        raise NotAnArtifact(f"The content of {claimed['artifact_type']} is neither text nor a dict.")
    try:
        body = content.encode() if isinstance(content, str) else orjson.dumps(content)
    except TypeError as error:
        raise NotAnArtifact(f"The artifact {claimed['artifact_type']} is not JSON: {error}.") from error
    return Artifact(
        artifact_type=claimed["artifact_type"],
        artifact_path=claimed.get("artifact_path"),
        sha256=sha256(body).hexdigest(),
        content=content,
        measured=False,
    )
