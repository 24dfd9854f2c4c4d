"""What a command wrote down for whoever works on the ticket next."""

import json
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger()

FILE = "findings.json"
KINDS = ("decisions", "risks", "clarifications", "discoveries")
MAX_BYTES = 64 * 1024


def read_findings(reports: Path) -> dict[str, Any]:
    """The lists in `findings.json` of the reports folder; nothing when it is not there or cannot be read."""
    file = reports / FILE
    if not file.is_file() or file.is_symlink():
        return {}
    try:
        with file.open("rb") as opened:
            found = json.loads(opened.read(MAX_BYTES + 1))
    except (OSError, ValueError, RecursionError) as error:
        log.warning("findings_unreadable", file=str(file), error=str(error))
        return {}
    if not isinstance(found, dict):
        log.warning("findings_unreadable", file=str(file), error="it holds no object")
        return {}
    return {kind: found[kind] for kind in KINDS if kind in found}
