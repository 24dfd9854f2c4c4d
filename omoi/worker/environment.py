"""What an agent's command finds in its environment."""

import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from omoi.worker.brief import BriefFiles
from omoi.worker.git import identity
from omoi.worker.process import MARK
from omoi.worker.worktree import Worktree

ALLOWED = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TZ", "LANG", "LANGUAGE", "LC_*"),
    *("XDG_*", "VIRTUAL_ENV", "COLORTERM", "NO_COLOR", "CI"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""What a program needs to run at all. Keys and tokens are given only by name."""


def environment(
    tree: Worktree,
    brief: BriefFiles,
    *,
    passed: Sequence[str] = (),
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """What the worker's environment has of `ALLOWED` and `passed`, the OMOI_* names, then `extra`.

    Git in the command commits under the agent's name, and never climbs out of the worktree to find a
    repository.
    """
    of = tree.assignment
    return {
        **inherited(passed),
        **identity(of.agent_id),
        "GIT_CEILING_DIRECTORIES": str(tree.home),
        MARK: str(tree.path),
        "OMOI_BRIEF": str(brief.markdown),
        "OMOI_BRIEF_JSON": str(brief.json),
        "OMOI_REPORTS": str(tree.reports),
        "OMOI_TASK_ID": of.task_id,
        "OMOI_TICKET_ID": of.ticket_id,
        "OMOI_PHASE_ID": of.phase_id,
        "OMOI_TASK_TYPE": of.task_type,
        "OMOI_AGENT_ID": of.agent_id,
        "OMOI_ATTEMPT": str(of.attempt),
        "OMOI_CLAIM_EPOCH": str(of.claim_epoch),
        **(extra or {}),
    }


def inherited(passed: Sequence[str]) -> dict[str, str]:
    """The part of the worker's own environment that a command is given.

    Nothing that begins with GIT_: a worker started from a git hook must not hand on its GIT_DIR.
    """
    patterns = (*ALLOWED, *passed)
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") and any(fnmatchcase(name, pattern) for pattern in patterns)
    }
