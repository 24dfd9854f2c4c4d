"""What a command printed: in a file of bounded size, and as a line for whoever watches."""

import re
from pathlib import Path
from time import monotonic

_LOG_BYTES = 8 * 1024 * 1024
_TAIL_BYTES = 16 * 1024
_LINE_CHARACTERS = 200
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
"""Colours and cursor movements of terminals, and other characters that draw nothing."""


class Output:
    """A file of bounded size and its end in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0
        self._end = bytearray()
        self._heard = monotonic()
        path.write_bytes(b"")

    def write(self, block: bytes) -> None:
        """Keep what was printed: of the newest, 8 to 16 MiB (the older half in `.1`)."""
        if self._size > _LOG_BYTES:
            self._path.replace(self._path.with_suffix(".log.1"))
            self._size = 0
        with self._path.open("ab") as file:
            file.write(block)
        self._size += len(block)
        self._end = (self._end + block)[-_TAIL_BYTES:]
        self._heard = monotonic()

    def tail(self) -> str:
        """The end as text that JSON and Postgres can hold."""
        return self._end.decode(errors="replace").replace("\0", "\ufffd")

    def last_line(self) -> str:
        """The newest line that says anything."""
        lines = (_CONTROL.sub("", line).strip() for line in reversed(self.tail().splitlines()))
        return next((line for line in lines if line), "")[:_LINE_CHARACTERS]

    @property
    def silent_seconds(self) -> float:
        """How long nothing has been printed."""
        return monotonic() - self._heard
