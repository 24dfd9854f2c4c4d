"""The folder of one stack: what lies in it, who may read it, which process holds it."""

import asyncio
import fcntl
import hashlib
import os
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shared.stack.account import Account
from shared.stack.errors import StackError, StackInUse

# The shortest limit of the systems we run on (macOS: 104 bytes with the closing zero; Linux has 108).
SOCKET_PATH_BYTES = 103
LOCK = "lock"


@dataclass(frozen=True)
class Home:
    """The folder of one stack (`.omoi`); `account` owns the folders that the servers work in."""

    root: Path
    account: Account | None

    @property
    def mark(self) -> str:
        """A short name of this home, the same in every process."""
        return f"omoi-{hashlib.sha256(os.fsencode(self.root)).hexdigest()[:10]}"

    def folder(self, name: str) -> Path:
        """A folder that only the servers enter, made where missing."""
        return self._make(self.root / name)

    def socket_folder(self) -> Path:
        """Folder of Postgres' socket: in the home, or a temporary one when that path is too long or odd."""
        shelters = (self.root / "run", Path(tempfile.gettempdir()) / self.mark, Path("/tmp") / self.mark)  # noqa: S108
        folder = self._make(next(path for path in shelters if _fits_a_socket(path)))
        found = folder.lstat()
        # Anyone may have made a folder of this name in a shared temporary folder before us.
        if found.st_uid != (self.account.uid if self.account else os.geteuid()) or found.st_mode & 0o077:
            raise StackError(f"{folder} belongs to somebody else or is open to others; delete it.")
        return folder

    def _make(self, path: Path) -> Path:
        if not path.is_dir():
            path.mkdir(mode=0o700, parents=True)
            if self.account:
                os.chown(path, self.account.uid, self.account.gid)
        return path


class Hold:
    """This process's claim on a home; the kernel ends it with the process, however that ends."""

    def __init__(self, root: Path) -> None:
        """Raises StackInUse while another process holds the home."""
        self._descriptor = os.open(root / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        if not _locked(self._descriptor, fcntl.LOCK_EX):
            holder = os.read(self._descriptor, 20).decode()
            self.release()
            raise StackInUse(root, int(holder) if holder else None)
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, str(os.getpid()).encode())

    @property
    def is_lost(self) -> bool:
        """Whether the home was deleted, so that another process may hold a new one of the same name."""
        return os.fstat(self._descriptor).st_nlink == 0

    def release(self) -> None:
        """Give the home back."""
        os.close(self._descriptor)


async def hold(root: Path) -> Hold:
    """Claim the home; raise StackInUse while another process holds it.

    Patient for a moment: a process that was just killed, or that only asks `is_held`, has the lock as well.
    """
    for _ in range(20):
        with suppress(StackInUse):
            return Hold(root)
        await asyncio.sleep(0.01)
    return Hold(root)


def is_held(root: Path) -> bool:
    """Whether a living process holds the home."""
    try:
        descriptor = os.open(root / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_private(path: Path, text: str) -> None:
    """Write a whole file that only the owner of its folder reads."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(fresh, folder.st_uid, folder.st_gid)
    fresh.rename(path)


def _fits_a_socket(folder: Path) -> bool:
    plain = re.fullmatch(r"[A-Za-z0-9_./-]+", str(folder))
    return bool(plain) and len(str(folder / ".s.PGSQL.5432")) <= SOCKET_PATH_BYTES
