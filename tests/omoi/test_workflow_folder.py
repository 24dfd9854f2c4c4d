"""A watched folder of workflow files, with the real service, the real servers and real files."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from omoi.host import hosting
from omoi.workflow_file import dump
from omoi.workflow_folder import FolderWatch, files_in
from services.phase.effects import shipped_workflows
from shared.contracts.workflow import Workflow
from shared.kernel.settings import Settings
from shared.testing.world import World, until
from tests.phase.given import SMALL, changed

SECONDS = 30.0
NEWER = changed(SMALL, description="newer")
BROKEN = dump(SMALL).replace("initial_phase: TODO", "initial_phase: TOODOO")


@dataclass
class Watched:
    """A folder that the running service watches, and what it has logged."""

    world: World
    folder: Path
    logs: list[Any]

    def write(self, name: str, workflow: Workflow | str) -> Path:
        path = self.folder / name
        path.write_text(workflow if isinstance(workflow, str) else dump(workflow), encoding="utf-8")
        return path

    async def version(self, name: str) -> str | None:
        """The version of that name that is in force."""
        answer = await self.world.query("phase.get_workflow", {"name": name})
        return answer["result"]["version"] if answer["ok"] else None

    async def in_force(self, workflow: Workflow) -> None:
        async def is_so() -> bool:
            return await self.version(workflow.name) == workflow.version

        await until(is_so, SECONDS)

    async def said(self, event: str, **fields: Any) -> Any:
        """Wait for a line of the log."""

        async def found() -> Any:
            lines = [line for line in self.logs if line["event"] == event]
            return next((line for line in lines if fields.items() <= line.items()), None)

        return await until(found, SECONDS)


@asynccontextmanager
async def watched(world: World, folder: Path) -> AsyncIterator[Watched]:
    settings = Settings(database_url=world.database_url, nats_url=world.nats_url, workflows=folder)
    with capture_logs() as logs:
        async with hosting(settings, ["phase"]) as host:
            await host.ready()
            yield Watched(world, folder, logs)


@pytest.fixture
async def running(a_world: World, tmp_path: Path) -> AsyncIterator[Watched]:
    async with watched(a_world, tmp_path) as made:
        yield made


async def test_what_is_in_the_folder_at_the_start_is_loaded_before_the_service_is_ready(
    a_world: World, tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text(dump(SMALL), encoding="utf-8")
    async with watched(a_world, tmp_path) as system:
        assert await system.version("small") == SMALL.version
        assert (await system.said("workflow_loaded"))["version"] == SMALL.version


async def test_a_new_file_is_loaded_and_so_is_each_change_of_it(running: Watched) -> None:
    running.write("small.yaml", SMALL)
    await running.in_force(SMALL)
    running.write("small.yaml", NEWER)
    await running.in_force(NEWER)
    [event] = await running.world.fetch(
        "SELECT meta->>'actor' AS actor FROM phase.events WHERE data->>'version' = $1 LIMIT 1", NEWER.version
    )
    assert event["actor"] == "phase"


async def test_a_broken_file_is_told_by_line_and_key_and_the_version_in_force_stays(running: Watched) -> None:
    path = running.write("small.yaml", SMALL)
    await running.in_force(SMALL)
    running.write("small.yaml", BROKEN)
    line = await running.said("workflow_file_flawed", key="initial_phase")
    assert (line["place"], line["log_level"]) == (f"{path}:2", "error")
    assert "There is no phase TOODOO. Did you mean TODO?" in line["problem"]
    assert await running.version("small") == SMALL.version
    running.write("small.yaml", NEWER)
    await running.in_force(NEWER)


async def test_a_file_that_an_editor_puts_in_the_place_of_another_is_loaded(running: Watched) -> None:
    path = running.write("small.yaml", SMALL)
    await running.in_force(SMALL)
    beside = running.write(".small.yaml.swp", NEWER)
    beside.replace(path)
    await running.in_force(NEWER)


async def test_a_file_that_is_still_being_written_is_left_until_it_is_whole(tmp_path: Path) -> None:
    loaded: list[Workflow] = []

    async def load(workflow: Workflow) -> dict[str, Any]:
        loaded.append(workflow)
        return {"ok": True, "events": []}

    path, text = tmp_path / "small.yaml", dump(NEWER)
    watch = FolderWatch(tmp_path, load)
    with capture_logs() as logs:
        for end in (0, 40, 400):
            path.write_text(text[:end], encoding="utf-8")
            look = asyncio.create_task(watch.look())
            await asyncio.sleep(0)
            path.write_text(text[: end + 10], encoding="utf-8")
            await look
        path.write_text(text, encoding="utf-8")
        assert (loaded, logs) == ([], [])
        await watch.look()
        await watch.look()
    assert loaded == [NEWER]


async def test_a_file_whose_load_fails_for_the_moment_is_loaded_later(tmp_path: Path) -> None:
    answers = [{"ok": False, "code": "unavailable", "message": "Away."}, {"ok": True, "events": []}]
    (tmp_path / "small.yaml").write_text(dump(SMALL), encoding="utf-8")

    async def load(_: Workflow) -> dict[str, Any]:
        return answers.pop(0)

    watch = FolderWatch(tmp_path, load)
    for _ in range(3):
        await watch.look()
    assert not answers


async def test_a_deleted_file_changes_nothing_and_may_come_back(running: Watched) -> None:
    path = running.write("small.yaml", SMALL)
    await running.in_force(SMALL)
    path.unlink()
    other = changed(SMALL, name="other")
    running.write("other.yaml", other)
    await running.in_force(other)
    assert await running.version("small") == SMALL.version
    running.write("small.yaml", NEWER)
    await running.in_force(NEWER)


async def test_many_files_at_once_are_all_loaded(running: Watched) -> None:
    many = [changed(SMALL, name=f"small-{n}") for n in range(40)]
    for workflow in many:
        running.write(f"{workflow.name}.yml", workflow)
    for workflow in many:
        await running.in_force(workflow)


async def test_a_change_behind_a_link_is_seen(
    running: Watched, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As Kubernetes mounts a ConfigMap: the file is a link through a folder that is swapped."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for number, workflow in enumerate((SMALL, NEWER)):
        (elsewhere / str(number)).mkdir()
        (elsewhere / str(number) / "small.yaml").write_text(dump(workflow), encoding="utf-8")
    (elsewhere / "data").symlink_to("0")
    (running.folder / "small.yaml").symlink_to(elsewhere / "data" / "small.yaml")
    await running.in_force(SMALL)
    (elsewhere / "next").symlink_to("1")
    os.replace(elsewhere / "next", elsewhere / "data")
    await running.in_force(NEWER)


async def test_a_name_belongs_to_the_file_that_had_it_first(running: Watched) -> None:
    first = running.write("a.yaml", SMALL)
    await running.in_force(SMALL)
    second = running.write("b.yaml", NEWER)
    line = await running.said("workflow_named_twice", workflow="small")
    assert (line["file"], line["loaded_from"]) == (str(second), str(first))
    assert await running.version("small") == SMALL.version
    first.unlink()
    await running.in_force(NEWER)


async def test_a_touched_file_does_not_undo_what_people_loaded_since(running: Watched) -> None:
    path = running.write("small.yaml", SMALL)
    await running.in_force(SMALL)
    document = NEWER.model_dump(mode="json")
    assert (await running.world.ask("phase.load_workflow", {"document": document}, actor="operator"))["ok"]
    os.utime(path)
    other = changed(SMALL, name="other")
    running.write("other.yaml", other)
    await running.in_force(other)
    assert await running.version("small") == NEWER.version


async def test_at_a_start_the_folder_counts(a_world: World, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(dump(SMALL), encoding="utf-8")
    async with watched(a_world, tmp_path) as system:
        document = NEWER.model_dump(mode="json")
        await system.world.ask("phase.load_workflow", {"document": document}, actor="operator")
        assert await system.version("small") == NEWER.version
    async with watched(a_world, tmp_path) as system:
        assert await system.version("small") == SMALL.version


async def test_a_folder_that_comes_later_is_waited_for(a_world: World, tmp_path: Path) -> None:
    folder = tmp_path / "later"
    async with watched(a_world, folder) as system:
        assert (await system.said("workflow_folder_away"))["folder"] == str(folder)
        folder.mkdir()
        system.write("small.yaml", SMALL)
        await system.in_force(SMALL)


async def test_another_folder_in_its_place_is_watched_from_then_on(a_world: World, tmp_path: Path) -> None:
    folder = tmp_path / "flows"
    folder.mkdir()
    async with watched(a_world, folder) as system:
        system.write("small.yaml", SMALL)
        await system.in_force(SMALL)
        folder.rename(tmp_path / "old")
        folder.mkdir()
        system.write("small.yaml", NEWER)
        await system.in_force(NEWER)
        third = changed(SMALL, description="third")
        system.write("small.yaml", third)
        await system.in_force(third)


def test_only_yaml_files_that_are_no_editors_are_taken(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", ".a.yaml.swp", ".#a.yaml", "a.yaml~", "schema.json"):
        (tmp_path / name).touch()
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    assert [path.name for path in files_in(tmp_path)] == ["a.yaml", "b.yml"]


async def test_without_the_setting_nothing_is_watched(a_world: World) -> None:
    settings = Settings(database_url=a_world.database_url, nats_url=a_world.nats_url)
    assert settings.workflows is None
    async with hosting(settings, ["phase"]) as host:
        await host.ready()
        names = (await a_world.query("phase.list_workflows"))["result"]["workflows"]
    assert len(names) == len(shipped_workflows())
