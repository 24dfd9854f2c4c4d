"""What can go wrong with the embedded servers, in words for people."""

from pathlib import Path


class StackError(Exception):
    """The embedded servers cannot do what was asked."""


class StackInUse(StackError):
    """Another process runs the stack of this home."""

    def __init__(self, home: Path, pid: int | None) -> None:
        self.home = home
        self.pid = pid
        super().__init__(
            f"The stack of {home} is already running, pid {pid or 'unknown'}. Use it, or stop it first."
        )


class ServerFailed(StackError):
    """A server ended before it was ready, or did not get ready in time."""

    def __init__(self, server: str, what: str, log: Path) -> None:
        self.server = server
        super().__init__(f"{server} {what}. The end of {log}:\n{_tail(log)}")


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
