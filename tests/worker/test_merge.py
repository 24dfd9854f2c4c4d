import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from omoi.worker.git import GitFailed
from omoi.worker.merge import Landing, MergeConflict, land, settle
from omoi.worker.repository import RepositoryProblem, open_repository
from omoi.worker.worktree import Worktree, checked_out
from tests.worker.project import Project, task


def edit(tree: Worktree | Project, line: int, text: str) -> None:
    story = (tree.path if isinstance(tree, Worktree) else tree.root) / "story.txt"
    lines = story.read_text().splitlines()
    lines[line - 1] = text
    story.write_text("\n".join(lines) + "\n")


async def landed(project: Project, name: str, change: Callable[[Worktree], None]) -> Landing:
    async with project.attempt(name) as tree:
        change(tree)
        return await land(tree)


async def test_work_lands_in_a_clean_checkout_by_fast_forward(project: Project) -> None:
    landing = await landed(project, "t", lambda tree: edit(tree, 1, "better"))
    assert (landing.how, landing.branch, landing.waiting) == ("fast_forward", "main", None)
    assert (project.root / "story.txt").read_text().startswith("better\n")
    assert project.git("rev-parse", "main") == landing.commit
    assert project.state()[:3] == ("", "", "")
    assert project.branches() == ["main"]


async def test_an_attempt_without_changes_lands_nothing(project: Project) -> None:
    before = project.git("rev-parse", "main")
    assert (await landed(project, "t", lambda _: None)).how == "nothing"
    assert project.git("rev-parse", "main") == before


async def test_two_attempts_at_one_file_keep_both_changes(project: Project) -> None:
    async with project.attempt("a") as a, project.attempt("b") as b:
        edit(a, 1, "from a")
        edit(b, 9, "from b")
        assert [(await land(tree)).how for tree in (a, b)] == ["fast_forward", "merge"]
    lines = project.show("story.txt").splitlines()
    assert (lines[0], lines[8]) == ("from a", "from b")
    assert (project.root / "story.txt").read_text().splitlines() == lines


async def test_eight_attempts_and_a_person_at_once_lose_no_commit_and_no_line(project: Project) -> None:
    project.git("switch", "--quiet", "--create", "elsewhere")
    project.commit("story.txt", "".join(f"line {number}\n" for number in range(100)))
    project.git("branch", "--force", "main")
    repository = await project.open("main")

    async def attempt(number: int) -> None:
        async with checked_out(repository, task(f"t{number}"), project.work_root) as tree:
            edit(tree, 10 * number + 1, f"from {number}")
            (tree.path / f"file{number}.txt").write_text("own\n")
            await everybody.wait()
            await land(tree)

    async def person() -> None:
        await everybody.wait()
        for number in range(4):
            await asyncio.to_thread(push_from_a_clone, project, number)

    everybody = asyncio.Barrier(9)
    project.git("clone", "--quiet", "--branch", "main", ".", "../clone")
    await asyncio.gather(person(), *(attempt(number) for number in range(8)))
    lines = project.show("story.txt").splitlines()
    assert [lines[10 * number] for number in range(8)] == [f"from {number}" for number in range(8)]
    files = project.git("ls-tree", "--name-only", "main").split()
    expected = {f"file{number}.txt" for number in range(8)} | {f"person{number}.txt" for number in range(4)}
    assert set(files) == expected | {"story.txt"}
    assert len(project.git("log", "--format=%h", "--grep=^implement_feature:", "main").split()) == 8
    assert project.branches() == ["elsewhere", "main"]


def push_from_a_clone(project: Project, number: int) -> None:
    """Add a commit to main as a colleague does, who knows nothing of the workers' lock."""
    clone = Project(project.root.parent / "clone", project.work_root)
    clone.commit(f"person{number}.txt", "own\n")
    while True:
        clone.git("pull", "--quiet", "--rebase")
        try:
            clone.git("push", "--quiet", "origin", "main")
            return
        except subprocess.CalledProcessError:
            continue  # the workers were quicker


async def test_a_conflict_is_told_and_nothing_is_lost(project: Project) -> None:
    async with project.attempt("a") as a, project.attempt("b") as b:
        edit(a, 5, "from a")
        edit(b, 5, "from b")
        (b.path / "other.txt").write_text("b\n")
        winner = await land(a)
        before = project.state()
        with pytest.raises(MergeConflict) as raised:
            await land(b)
        assert await b.git("status", "--porcelain") == "", "the merge is taken back"
    assert raised.value.paths == ("story.txt",)
    assert "from a" in raised.value.diff
    assert "from b" in raised.value.diff
    assert raised.value.rivals == (
        f"{project.git('rev-parse', '--short', winner.commit)} implement_feature: Do it",
    )
    assert project.state() == before
    assert project.git("rev-parse", "main") == winner.commit
    assert "from b" in project.show("story.txt", b.kept_ref)
    assert project.show("other.txt", b.kept_ref) == "b"


async def test_deleting_what_another_changed_is_a_conflict_too(project: Project) -> None:
    async with project.attempt("a") as a, project.attempt("b") as b:
        edit(a, 5, "from a")
        (b.path / "story.txt").unlink()
        await land(a)
        with pytest.raises(MergeConflict, match=r"in story\.txt"):
            await land(b)
    assert "from a" in project.show("story.txt")


async def test_uncommitted_changes_of_the_person_are_neither_lost_nor_mixed(project: Project) -> None:
    edit(project, 9, "half a thought")
    (project.root / "staged.txt").write_text("staged\n")
    project.git("add", "staged.txt")
    before = project.state()
    landing = await landed(project, "t", lambda tree: edit(tree, 1, "better"))
    assert landing.branch == "omoi/integration/main"
    assert landing.waiting is not None
    assert "has uncommitted changes on main" in landing.waiting
    assert "git merge omoi/integration/main" in landing.waiting
    assert project.state() == before
    assert project.show("story.txt", "omoi/integration/main").startswith("better")


async def test_later_attempts_start_from_the_work_that_waits(project: Project) -> None:
    edit(project, 9, "half a thought")
    await landed(project, "a", lambda tree: edit(tree, 1, "better"))
    landing = await landed(project, "b", lambda tree: edit(tree, 2, "and better"))
    assert landing.how == "fast_forward"
    assert project.show("story.txt", landing.branch).startswith("better\nand better\n")


async def test_waiting_work_lands_when_the_checkout_is_clean_again(project: Project) -> None:
    edit(project, 9, "half a thought")
    landing = await landed(project, "t", lambda tree: edit(tree, 1, "better"))
    assert await settle(await project.open()) == landing.waiting
    project.git("restore", "story.txt")
    assert await settle(await project.open()) is None
    assert (project.root / "story.txt").read_text().startswith("better\n")
    assert project.branches() == ["main"]
    assert await settle(await project.open()) is None


async def test_what_the_person_commits_meanwhile_is_merged_with_what_waits(project: Project) -> None:
    edit(project, 9, "half a thought")
    await landed(project, "a", lambda tree: edit(tree, 1, "better"))
    project.git("commit", "--quiet", "--all", "--message", "a whole thought")
    assert "has commits of its own" in str(await settle(await project.open()))
    landing = await landed(project, "b", lambda tree: edit(tree, 5, "middle"))
    assert (landing.how, landing.branch) == ("merge", "main")
    lines = (project.root / "story.txt").read_text().splitlines()
    assert (lines[0], lines[4], lines[8]) == ("better", "middle", "half a thought")
    assert project.branches() == ["main"]


async def test_an_untracked_file_of_the_person_is_not_overwritten(project: Project) -> None:
    (project.root / "notes.txt").write_text("mine\n")
    landing = await landed(project, "t", lambda tree: write(tree, "notes.txt", "theirs\n"))
    assert landing.branch == "omoi/integration/main"
    assert (project.root / "notes.txt").read_text() == "mine\n"


def write(tree: Worktree, name: str, text: str) -> None:
    (tree.path / name).write_text(text)


async def test_an_editor_that_holds_the_index_for_a_moment_is_waited_for(project: Project) -> None:
    lock = project.root / ".git/index.lock"
    lock.touch()
    asyncio.get_running_loop().call_later(0.3, lock.unlink)
    async with project.attempt("t") as tree:
        edit(tree, 1, "better")
        assert (await land(tree)).branch == "main"


async def test_work_the_agent_committed_itself_lands_whatever_branch_it_is_on(project: Project) -> None:
    async with project.attempt("t") as tree:
        await tree.git("switch", "--quiet", "--detach")
        edit(tree, 1, "better")
        await tree.git("commit", "--quiet", "--all", "--message", "by the agent")
        edit(tree, 9, "by the harness")
        await land(tree)
    assert project.git("log", "-2", "--format=%s") == "implement_feature: Do it\nby the agent"
    assert project.branches() == ["main"]


async def test_hooks_and_signing_of_the_person_do_not_stop_a_worker(project: Project) -> None:
    project.git("config", "commit.gpgSign", "true")
    project.git("config", "merge.ff", "false")
    for name in ("pre-commit", "commit-msg", "post-checkout", "reference-transaction", "post-merge"):
        hook = project.root / ".git/hooks" / name
        hook.write_text("#!/bin/sh\necho ran >> hooks-ran; exit 1\n")
        hook.chmod(0o755)
    assert (await landed(project, "t", lambda tree: edit(tree, 1, "better"))).how == "fast_forward"
    assert not (project.root / "hooks-ran").exists()


async def test_a_branch_is_not_moved_under_a_rebase(project: Project) -> None:
    project.commit("second.txt", "2\n")
    project.git("-c", "sequence.editor=sed -i s/^pick/edit/", "rebase", "--interactive", "HEAD~1")
    landing = await landed_on_main(project)
    assert "a rebase of main is going on" in str(landing.waiting)
    project.git("rebase", "--continue")
    assert await settle(await project.open()) is None
    assert (project.root / "story.txt").read_text().startswith("better\n")


async def test_a_checkout_of_another_branch_is_left_alone(project: Project) -> None:
    project.git("switch", "--quiet", "--create", "other")
    edit(project, 9, "half a thought")
    before = project.state()
    landing = await landed_on_main(project)
    assert landing.branch == "main"
    assert project.show("story.txt").startswith("better")
    assert project.state() == before


async def landed_on_main(project: Project) -> Landing:
    async with checked_out(await project.open("main"), task("t"), project.work_root) as tree:
        edit(tree, 1, "better")
        return await land(tree)


async def test_work_lands_in_a_bare_repository(project: Project, tmp_path: Path) -> None:
    project.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    async with checked_out(
        await open_repository(tmp_path / "bare.git"), task("t"), project.work_root
    ) as tree:
        edit(tree, 1, "better")
        landing = await land(tree)
    assert Project(tmp_path / "bare.git", tmp_path).git("rev-parse", "main") == landing.commit


async def test_when_both_branches_are_in_use_the_work_is_kept_and_the_way_out_is_said(
    project: Project,
) -> None:
    edit(project, 9, "half a thought")
    await landed(project, "a", lambda tree: edit(tree, 1, "better"))
    project.git("worktree", "add", "--quiet", "../looking", "omoi/integration/main")
    (project.root.parent / "looking/story.txt").write_text("also busy\n")
    with pytest.raises(RepositoryProblem, match="Commit or stash there and try again"):
        await landed(project, "b", lambda tree: edit(tree, 2, "more"))
    assert "more" in project.show("story.txt", "refs/omoi/kept/b-1")


async def test_a_history_without_a_common_commit_is_refused(project: Project) -> None:
    async with project.attempt("t") as tree:
        await tree.git("checkout", "--quiet", "--orphan", "new")
        with pytest.raises(GitFailed, match="unrelated histories"):
            await land(tree)


@pytest.mark.parametrize("after_seconds", [0.0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12])
async def test_cancelling_a_landing_never_leaves_it_half_done(project: Project, after_seconds: float) -> None:
    async with project.attempt("t") as tree:
        edit(tree, 1, "better")
        landing = asyncio.create_task(land(tree))
        await asyncio.sleep(after_seconds)
        landing.cancel()
        await asyncio.wait([landing])
    assert project.state()[:3] == ("", "", "")
    assert project.show("story.txt").startswith("better") or project.kept() == [tree.kept_ref]
    async with (await project.open()).locked():
        assert not (project.root / ".git/index.lock").exists()
