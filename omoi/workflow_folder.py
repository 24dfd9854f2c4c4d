"""A watched folder of workflow files: each new or changed one is loaded as soon as it is whole."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from watchfiles import awatch

from omoi.workflow_file import WorkflowFileFlawed, understood
from shared.contracts.workflow import Workflow
from shared.kernel.ending import end_all

Load = Callable[[Workflow], Awaitable[Mapping[str, Any]]]
"""Has a workflow loaded; returns the answer of the command."""
Mark = tuple[int, int, int, int]

ENDINGS = (".yaml", ".yml")
SETTLED_SECONDS = 0.25
"""A file that has not changed for so long is taken for whole."""
LOOK_SECONDS = 2.0
"""How often the folder is looked through unasked: nobody is told when the target of a link changes."""
STEP_MS, DEBOUNCE_MS = 50, 400

log = structlog.get_logger()


def files_in(folder: Path) -> list[Path]:
    """The workflow files of a folder by name; hidden ones are an editor's, folders inside are not entered."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix in ENDINGS and not path.name.startswith(".") and path.is_file()
    )


@asynccontextmanager
async def watching(folder: Path, load: Load) -> AsyncIterator[None]:
    """Load what is in a folder, then whatever comes or changes there, until the block ends."""
    folder_watch = FolderWatch(folder, load)
    await folder_watch.begin()
    task = asyncio.create_task(folder_watch.run(), name="workflows")
    try:
        yield
    finally:
        await end_all([task])


class FolderWatch:
    """What has been seen of a folder. A file that is removed changes nothing: its workflow stays loaded."""

    def __init__(self, folder: Path, load: Load) -> None:
        self._folder = folder
        self._load = load
        self._seen: dict[Path, Mark] = {}
        self._contents: dict[Path, str] = {}
        self._names: dict[Path, str] = {}
        self._aside: set[Path] = set()
        self._away = ""

    async def begin(self) -> None:
        """The first look; a folder that is not there yet is waited for."""
        try:
            await self.look()
        except OSError as error:
            self._tell_away(error)

    async def run(self) -> None:
        """Look whenever something happens in the folder, and every so often besides."""
        while True:
            try:
                await self._watch()
            except OSError as error:
                self._tell_away(error)
                await asyncio.sleep(LOOK_SECONDS)
            except Exception:
                log.exception("loop_died", loop="workflows")
                await asyncio.sleep(LOOK_SECONDS)

    async def _watch(self) -> None:
        """Until the folder is another one than the one that is watched."""
        watched = _mark(self._folder)[2:]
        async for _ in awatch(
            self._folder,
            watch_filter=None,
            step=STEP_MS,
            debounce=DEBOUNCE_MS,
            rust_timeout=int(LOOK_SECONDS * 1000),
            yield_on_timeout=True,
            recursive=False,
        ):
            await self.look()
            if _mark(self._folder)[2:] != watched:
                return

    async def look(self) -> None:
        """Load every file that is new or changed, and whole."""
        marks = self._marks()
        self._forget(set(self._seen) - set(marks))
        if fresh := [path for path in marks if self._seen.get(path) != marks[path]]:
            await asyncio.sleep(SETTLED_SECONDS)
            later = self._marks()
            for path in fresh:
                if later.get(path) == marks[path]:
                    await self._take(path, marks[path])
        self._away = ""

    def _marks(self) -> dict[Path, Mark]:
        return dict(_marked(files_in(self._folder)))

    def _forget(self, gone: set[Path]) -> None:
        """A name is free again when its file is gone, and whoever waited for it is looked at anew."""
        for path in gone | self._aside if gone else ():
            for memory in (self._seen, self._contents, self._names):
                memory.pop(path, None)
        if gone:
            self._aside.clear()

    async def _take(self, path: Path, mark: Mark) -> None:
        try:
            content = path.read_bytes()
        except OSError as error:
            log.error("workflow_file_unreadable", file=str(path), error=str(error))
            self._seen[path] = mark
            return
        digest = hashlib.sha256(content).hexdigest()
        if self._contents.get(path) == digest or await self._loaded(path, content):
            self._seen[path], self._contents[path] = mark, digest

    async def _loaded(self, path: Path, content: bytes) -> bool:
        """Whether the file is dealt with; False where it is to be tried again."""
        self._aside.discard(path)
        try:
            workflow = understood(path, content)
        except WorkflowFileFlawed as flawed:
            for flaw in flawed.flaws:
                place = f"{flaw.file}:{flaw.line}"
                log.error("workflow_file_flawed", place=place, key=flaw.key, problem=flaw.message)
            return True
        if first := next((p for p, name in self._names.items() if name == workflow.name and p != path), None):
            self._aside.add(path)
            log.error("workflow_named_twice", workflow=workflow.name, file=str(path), loaded_from=str(first))
            return True
        answer = await self._load(workflow)
        if not answer["ok"]:
            log.error("workflow_not_loaded", file=str(path), code=answer["code"], problem=answer["message"])
            return answer["code"] not in ("unavailable", "internal_error")
        self._names[path] = workflow.name
        told = "workflow_loaded" if answer["events"] else "workflow_loaded_already"
        log.info(told, file=str(path), workflow=workflow.name, version=workflow.version)
        return True

    def _tell_away(self, error: Exception) -> None:
        """Say once why the folder cannot be watched."""
        if self._away != str(error):
            self._away = str(error)
            log.error("workflow_folder_away", folder=str(self._folder), error=str(error))


def _marked(paths: list[Path]) -> Iterator[tuple[Path, Mark]]:
    for path in paths:
        try:
            yield path, _mark(path)
        except FileNotFoundError:
            log.debug("workflow_file_gone", file=str(path))


def _mark(path: Path) -> Mark:
    """What is different once a file, or what a link leads to, is written or replaced."""
    state = path.stat()
    return (state.st_mtime_ns, state.st_size, state.st_ino, state.st_dev)
