from pathlib import Path

import pytest

from omoi.worker.repository import RepositoryProblem, open_repository
from omoi.worker.worktree import checked_out
from tests.worker.project import Project, task


async def test_work_lands_on_the_branch_that_is_checked_out(project: Project) -> None:
    project.git("switch", "--quiet", "--create", "feature/x")
    assert (await project.open()).target == "feature/x"
    assert (await project.open("main")).target == "main"


@pytest.mark.parametrize(
    ("commands", "way_out"),
    [
        ([], "git init"),
        (["init"], "no commit yet. Run `git add --all"),
        (["init", "commit --allow-empty -m start", "checkout --detach"], "Check one out, or name the target"),
        (["init", "commit --allow-empty -m start", "branch omoi"], "Rename it"),
    ],
)
async def test_a_repository_that_cannot_be_used_says_the_way_out(
    tmp_path: Path, commands: list[str], way_out: str
) -> None:
    for command in commands:
        Project(tmp_path, tmp_path).git(*command.split())
    with pytest.raises(RepositoryProblem, match=way_out):
        await open_repository(tmp_path)


async def test_a_missing_target_branch_or_folder_is_said(project: Project) -> None:
    with pytest.raises(RepositoryProblem, match="has no branch release"):
        await project.open("release")
    with pytest.raises(RepositoryProblem, match="is not a directory"):
        await open_repository(project.root / "nowhere")


async def test_a_folder_inside_another_repository_is_not_taken_for_a_repository(project: Project) -> None:
    inner = project.root / "example"
    inner.mkdir()
    with pytest.raises(RepositoryProblem, match="lies inside the repository"):
        await open_repository(inner)


async def test_worktrees_are_never_placed_inside_the_checkout(project: Project) -> None:
    with pytest.raises(RepositoryProblem, match="Choose one outside"):
        async with checked_out(await project.open(), task("t"), project.root / "work"):
            pytest.fail("a worktree inside the checkout")


async def test_a_worker_started_from_a_git_hook_does_not_use_the_hooks_repository(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert (await project.open()).common_dir == project.root / ".git"
