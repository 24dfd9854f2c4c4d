"""Run git with argument lists, an environment of its own and a time limit."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from omoi.worker.uninterrupted import begun, to_the_end

_STOP_GRACE_SECONDS = 5

# The person's own settings stay in force except those that would run a program, ask a question, sign with a
# key, rewrite the person's stash, or tidy the object store while several workers use it.
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.filesRefLockTimeout=10000",
    "core.packedRefsTimeout=10000",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "rerere.enabled=false",
    "worktree.useRelativePaths=false",
)


class GitFailed(Exception):
    """A git command ended with another code than 0, or took too long (`code` is None)."""

    def __init__(self, arguments: tuple[str, ...], code: int | None, complaint: str) -> None:
        ending = "took too long" if code is None else f"ended with code {code}"
        super().__init__(f"git {' '.join(arguments[:3])} {ending}: {complaint.strip()[-2000:]}")
        self.code = code
        self.complaint = complaint.strip()


def identity(name: str) -> dict[str, str]:
    """Make `name` author and committer of what git writes, whatever the person's configuration says."""
    email = f"{name}@agents.omoi.invalid"
    return {
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
    }


def scrubbed() -> dict[str, str]:
    """The environment without GIT_*: a worker started from a git hook must not inherit its GIT_DIR."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


async def git(
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout_seconds: float = 120,
) -> str:
    """Answer what git printed (paths that are no UTF-8 as surrogates). Raises GitFailed."""
    starting = asyncio.create_subprocess_exec(
        "git",
        *(part for setting in _SETTINGS for part in ("-c", setting)),
        *arguments,
        cwd=cwd,
        env=scrubbed()
        | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
        | dict(env or {}),
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C at the worker's terminal must not hit git in the middle of a merge
    )
    process = await begun(starting, _stop)
    try:
        async with asyncio.timeout(timeout_seconds):
            out, err = await process.communicate(None if stdin is None else os.fsencode(stdin))
    except TimeoutError:
        await to_the_end(_stop(process))
        raise GitFailed(arguments, None, f"no answer after {timeout_seconds} s") from None
    except asyncio.CancelledError:
        await to_the_end(_stop(process))
        raise
    if process.returncode:
        raise GitFailed(arguments, process.returncode, err.decode(errors="replace"))
    return os.fsdecode(out)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End git gently first: on SIGTERM it removes its lock files, on SIGKILL they would stay."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_GRACE_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
