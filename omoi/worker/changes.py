"""Which files an attempt changed."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from omoi.worker.worktree import Worktree, stage

_STATUS = {"A": "added", "M": "modified", "D": "deleted", "T": "type_changed"}

_CODE = re.compile(r"\.(c|cc|cpp|cs|exs?|go|java|[jt]sx?|kt|mjs|php|py|rb|rs|scala|sh|swift)")
_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "spec", "specs"})
_TEST_NAME = re.compile(r"test_.*|.*[_.-](test|tests|spec)|.*(Test|Tests|Spec)")
_NO_TEST = frozenset({"__init__.py", "conftest.py"})


@dataclass(frozen=True)
class Change:
    """A changed path against the commit the attempt started from; a binary file has no lines."""

    path: str
    status: str
    added: int
    removed: int

    @property
    def is_test(self) -> bool:
        """Whether the change leaves a file that test runners of the common languages would pick up."""
        file = PurePosixPath(self.path)
        if self.status == "deleted" or not _CODE.fullmatch(file.suffix) or file.name in _NO_TEST:
            return False
        return _TEST_NAME.fullmatch(file.stem) is not None or not _TEST_FOLDERS.isdisjoint(file.parts[:-1])


async def changes_of(tree: Worktree) -> list[Change]:
    """What the agent changed, committed or not, new files included and ignored ones left out, by path."""
    await stage(tree)
    against = ("--cached", "--no-renames", "--no-ext-diff", "--no-textconv", "-z", tree.base)
    named = (await tree.git("diff", "--name-status", *against)).split("\0")
    status = dict(zip(named[1::2], named[::2], strict=False))
    counted = [
        line.split("\t", 2) for line in (await tree.git("diff", "--numstat", *against)).split("\0") if line
    ]
    changes = [
        Change(path, _STATUS.get(status[path], status[path]), _lines(added), _lines(removed))
        for added, removed, path in counted
    ]
    return sorted(changes, key=lambda change: change.path)


async def shown(tree: Worktree, characters: int) -> str:
    """What the agent changed, as a diff for people, its beginning at most; empty when it changed nothing."""
    await stage(tree)
    against = ("diff", "--cached", "--no-color", "--no-ext-diff", "--no-textconv", "--stat", "--patch")
    diff = await tree.git(*against, tree.base)
    cut = "" if len(diff) <= characters else f"\n... {len(diff) - characters} more characters"
    return os.fsencode(diff[:characters]).decode(errors="replace") + cut


def sha256_of(path: Path) -> str | None:
    """The hash of a file's bytes, of a link's target, None of what is gone or a folder (a submodule)."""
    if path.is_symlink():
        return hashlib.sha256(bytes(path.readlink())).hexdigest()
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lines(count: str) -> int:
    return 0 if count == "-" else int(count)
