"""One running server process."""

import asyncio
import logging
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from shared.stack.account import Account
from shared.stack.errors import ServerFailed

# Recovery after a crash reads the whole write-ahead log before the server is ready.
READY_SECONDS = 120
LOG_BYTES = 16 * 1024 * 1024

log = logging.getLogger(__name__)


class Child:
    """A server process in a session of its own: Ctrl-C at the owner's terminal does not reach it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log_file: Path,
        account: Account | None,
        stop_signal: signal.Signals,
    ) -> None:
        self.name = name
        self.exited = asyncio.Event()
        self._log_file = log_file
        self._stop_signal = stop_signal
        self._process = _spawn([*_dying_with_owner(stop_signal), *command], log_file, account)
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._await_exit, args=(loop,), name=f"{name} exit", daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id; it may have ended."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Exit code; None while it runs."""
        return self._process.returncode

    async def until_ready(self, is_ready: Callable[[], Awaitable[bool]]) -> None:
        """Return when the server answers; raise ServerFailed when it ends first or stays silent."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not await is_ready():
                    if self.exited.is_set():
                        raise ServerFailed(self.name, f"ended with code {self.code}", self._log_file)
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise ServerFailed(self.name, f"was not ready after {READY_SECONDS} s", self._log_file) from None

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    async def stop(self, grace_seconds: float = 10) -> None:
        """Ask the server to end, insist after the grace time, return when it has ended."""
        self.send(self._stop_signal)
        try:
            async with asyncio.timeout(grace_seconds):
                await self.exited.wait()
        except TimeoutError:
            log.warning("%s did not stop within %s s: killing it", self.name, grace_seconds)
            await self.kill()

    async def kill(self) -> None:
        """End the server at once."""
        self._process.kill()
        await self.exited.wait()

    def _await_exit(self, loop: asyncio.AbstractEventLoop) -> None:
        self._process.wait()
        with suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(self.exited.set)


def _spawn(command: Sequence[str], log_file: Path, account: Account | None) -> subprocess.Popen[bytes]:
    if log_file.exists() and log_file.stat().st_size > LOG_BYTES:
        log_file.rename(f"{log_file}.1")
    log_file.touch(mode=0o600)
    with log_file.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            # Bare: PGPORT and the like would change the server, and the keys of its owner do not concern it.
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,
            umask=0o077,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )


def _dying_with_owner(stop_signal: signal.Signals) -> list[str]:
    """Prefix by which the kernel stops the server when its owner is killed; empty where the system has none.

    To the kernel the owner is the thread that started the server. Without the prefix the server outlives the
    owner until the next start of the same home stops it.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None or not _knows_pdeathsig(setpriv):
        return []
    return [setpriv, f"--pdeathsig={stop_signal.name.removeprefix('SIG')}", "--"]


@cache
def _knows_pdeathsig(setpriv: str) -> bool:
    # util-linux before 2.33 and BusyBox have a setpriv without the option.
    probe = [setpriv, "--pdeathsig=INT", "--", "true"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0
