"""End what a worker that was killed leaves running: a process of its own that outlives the worker.

The worker tells it through a pipe which worktrees commands run in. The pipe ends with the worker, however
the worker ends; then whatever still runs for one of them gets SIGTERM, and SIGKILL a little later.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator

from omoi.worker.process import end_members

GRACE_SECONDS = 3.0


class Lifeline:
    """The worker's end of it; starts the process when first needed, and again when it is gone."""

    def __init__(self) -> None:
        self._held: dict[str, int | None] = {}
        self._guard: subprocess.Popen[bytes] | None = None

    def hold(self, mark: str, session: int | None = None) -> None:
        """From now on, end what carries `mark`, or is of the session, if this worker dies."""
        self._held[mark] = session
        self._tell({"mark": mark, "session": session, "held": True})

    def release(self, mark: str) -> None:
        """Nothing runs there any more."""
        self._held.pop(mark, None)
        self._tell({"mark": mark, "session": None, "held": False})

    def close(self) -> None:
        """Let the process go."""
        if self._guard is not None and self._guard.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._guard.stdin.close()
            self._guard.wait()
        self._guard = None

    def _tell(self, note: dict[str, object]) -> None:
        if self._guard is None or self._guard.poll() is not None:
            self._guard = _started()
            for mark, session in self._held.items():
                _write(self._guard, {"mark": mark, "session": session, "held": True})
        _write(self._guard, note)


def _started() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "omoi.worker.lifeline"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # what ends the worker's group must not end this
    )


def _write(guard: "subprocess.Popen[bytes]", note: dict[str, object]) -> None:
    assert guard.stdin is not None, "it was started with a pipe"
    with contextlib.suppress(BrokenPipeError):  # the next note starts another one and tells it everything
        guard.stdin.write(json.dumps(note).encode() + b"\n")
        guard.stdin.flush()


def held_at_the_end(notes: Iterable[bytes]) -> Iterator[tuple[str, int | None]]:
    """What was held when the notes end; half a note is none."""
    held: dict[str, int | None] = {}
    for line in notes:
        if line.endswith(b"\n"):
            note = json.loads(line)
            if note["held"]:
                held[note["mark"]] = note["session"]
            else:
                held.pop(note["mark"], None)
    return iter(held.items())


async def _end_all(held: Iterable[tuple[str, int | None]]) -> None:
    await asyncio.gather(*(end_members(session, mark, GRACE_SECONDS) for mark, session in held))


if __name__ == "__main__":
    asyncio.run(_end_all(held_at_the_end(sys.stdin.buffer)))
