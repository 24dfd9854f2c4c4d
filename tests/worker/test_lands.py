"""Landing from several processes, and evidence of what was merged."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from omoi.worker.evidence import Artifact, measure
from omoi.worker.merge import How, land
from omoi.worker.merged import CheckFailed, Merged
from omoi.worker.process import Ending
from omoi.worker.worktree import Worktree
from tests.worker.project import Project

ROOT = Path(__file__).parents[2]

MERGING = """
import asyncio, json, random, sys
from pathlib import Path
from omoi.worker.merge import MergeConflict, land
from omoi.worker.repository import open_repository
from omoi.worker.worktree import checked_out
from tests.worker.project import task

async def one(repository, work_root, name, chance):
    async with checked_out(repository, task(name), work_root) as tree:
        story = tree.path / "story.txt"
        lines = story.read_text().splitlines()
        await asyncio.sleep(chance.random() / 5)
        first = chance.choice([n for n, line in enumerate(lines) if line.startswith("line")])
        lines[first:first] = [f"{name} {n}" for n in range(3)]
        story.write_text("\\n".join(lines) + "\\n")
        try:
            await land(tree)
        except MergeConflict as conflict:
            return {"name": name, "diff": conflict.diff, "kept": tree.kept_ref}
        return {"name": name}

async def main(root, work_root, seed):
    repository, chance = await open_repository(Path(root)), random.Random(seed)
    for batch in range(2):
        names = [f"t{seed}-{batch}-{n}" for n in range(5)]
        for done in await asyncio.gather(*(one(repository, Path(work_root), n, chance) for n in names)):
            print(json.dumps(done), flush=True)

asyncio.run(main(*sys.argv[1:3], int(sys.argv[3])))
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_twenty_branches_of_two_processes_lose_no_hunk(project: Project, seed: int) -> None:
    """Each adds three lines near the others': in main and in order, or a conflict with its diff."""
    project.commit("story.txt", "".join(f"line {number}\n" for number in range(1, 41)))
    workers = [await merging(project, 10 * seed + number) for number in range(2)]
    async with asyncio.timeout(90):
        printed = [(await worker.communicate())[0].decode() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    ended: list[dict[str, Any]] = [json.loads(line) for text in printed for line in text.splitlines()]
    assert len(ended) == 20
    story = project.show("story.txt").splitlines()
    for done in ended:
        name = done["name"]
        hunk = [f"{name} {number}" for number in range(3)]
        if "diff" in done:
            assert not set(hunk) & set(story)
            assert all(line in done["diff"] for line in hunk), "the diff shows what did not land"
            assert set(hunk) <= set(project.show("story.txt", done["kept"]).splitlines())
        else:
            place = story.index(hunk[0])
            assert story[place : place + 3] == hunk
    assert sum("diff" not in done for done in ended) >= 2
    assert [line for line in story if line.startswith("line")] == [f"line {n}" for n in range(1, 41)]
    assert (project.root / "story.txt").read_text().splitlines() == story
    assert project.branches() == ["main"]


async def merging(project: Project, seed: int) -> asyncio.subprocess.Process:
    """A worker process that lands ten attempts, five at a time."""
    places = (str(project.root), str(project.work_root))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MERGING, *places, str(seed)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )


OUTPUTS = ({"type": "notes", "pattern": "notes.md"},)


async def landed_after_another(project: Project, check: str | None) -> tuple[dict[str, Artifact], str]:
    """The evidence of work that was merged with what landed meanwhile, and the commit it was at before."""
    found: list[Artifact] = []
    before: list[str] = []

    async with project.attempt("a") as a, project.attempt("b") as b:
        (a.path / "other.txt").write_text("from a\n")
        (b.path / "own.txt").write_text("from b\n")
        (b.path / "notes.md").write_text("text")
        (b.reports / "junit.xml").write_text('<testsuite><testcase name="x" classname="y"/></testsuite>')
        measured = await measure(b, OUTPUTS)
        await land(a)

        async def again(merged: Worktree, how: How, work: str) -> None:
            assert how == "merge"
            before.append(work)
            found.extend(
                await Merged(merged, work, OUTPUTS, tuple(measured)).evidence(
                    check, asyncio.Event(), Ending()
                )
            )

        await land(b, again)
    return {artifact["artifact_type"]: artifact for artifact in found}, before[0]


def content(artifact: Artifact) -> dict[str, Any]:
    assert isinstance(artifact["content"], dict)
    return artifact["content"]


async def test_reports_of_work_that_was_merged_say_of_which_commit_they_are(project: Project) -> None:
    found, work = await landed_after_another(project, None)
    landed = project.git("rev-parse", "main")
    assert content(found["code_changes"])["commit"] == landed
    assert [file["path"] for file in content(found["code_changes"])["files"]] == ["notes.md", "own.txt"]
    assert content(found["test_results"])["commit"] == work != landed
    assert found["notes"]["content"] == "text"


async def test_a_check_measures_the_merged_commit(project: Project) -> None:
    report = '<testsuite><testcase name="merged" classname="y"/></testsuite>'
    check = f"cat other.txt own.txt && touch litter.txt && echo '{report}' > $OMOI_REPORTS/junit.xml"
    found, _ = await landed_after_another(project, check)
    assert content(found["test_results"])["commit"] == project.git("rev-parse", "main")
    assert found["test_results"]["measured"] is True
    assert "litter.txt" not in project.git("ls-tree", "--name-only", "main").split()
    assert project.kept() == []


async def test_a_check_that_writes_no_report_leaves_none(project: Project) -> None:
    found, _ = await landed_after_another(project, "true")
    assert "test_results" not in found, "an old report is not taken for a new one"


async def test_work_that_does_not_pass_together_with_others_does_not_land(project: Project) -> None:
    with pytest.raises(CheckFailed, match=r"(?s)no longer passes.*other\.txt is new") as raised:
        await landed_after_another(project, "[ ! -e other.txt ] || { echo other.txt is new; exit 1; }")
    assert "refs/omoi/kept/b-1" in str(raised.value)
    assert "own.txt" not in project.git("ls-tree", "--name-only", "main").split()
    assert project.show("own.txt", "refs/omoi/kept/b-1") == "from b"
