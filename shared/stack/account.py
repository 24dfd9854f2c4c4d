"""The unprivileged system account that runs the servers when their owner is root."""

import logging
import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from shared.stack.errors import StackError

NAME = "omoi"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Account:
    """A system account by its numbers."""

    uid: int
    gid: int


def account_for(data: Path) -> Account | None:
    """Account of the servers: None is the owner's own; root lends them that of the data, else `omoi`."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid)
    return _system_account()


def open_path(path: Path, account: Account) -> None:
    """Let the account pass through the folders above `path`; only the search bit is added."""
    for folder in path.parents:
        found = folder.stat()
        search = _search_bit(found, account)
        if not found.st_mode & search:
            log.warning(
                "The servers cannot run as root: letting the account %s pass through %s", NAME, folder
            )
            folder.chmod(stat.S_IMODE(found.st_mode) | search)


def open_programs(top: Path) -> None:
    """Let everyone read and run what the owner can; umask 077 leaves an installation closed."""
    for path in (top, *top.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        shared = mode | (mode & 0o500) >> 6
        if shared != mode and not path.is_symlink():
            path.chmod(shared)


def _search_bit(found: os.stat_result, account: Account) -> int:
    if found.st_uid == account.uid:
        return stat.S_IXUSR
    return stat.S_IXGRP if found.st_gid == account.gid else stat.S_IXOTH


def _system_account() -> Account:
    refusal = "" if _lookup() else _create()
    found = _lookup()
    if found is None:
        raise StackError(
            f"Postgres refuses to run as root, and the system account {NAME} could not be made: {refusal} "
            f"Make it with `useradd --system {NAME}`, or run as another user."
        )
    return found


def _lookup() -> Account | None:
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid)


def _create() -> str:
    """Make the account; the answer is why it failed, which a second starter winning the race also causes."""
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME]
    search = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    try:
        done = subprocess.run(command, env=search, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "useradd is not installed."
    return done.stderr.strip()
