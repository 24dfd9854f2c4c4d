"""The example's tickets go through their phases with the worker's own modules."""

import asyncio
import json
import os
import shlex
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from omoi.worker.brief import write_brief
from omoi.worker.environment import environment
from omoi.worker.evidence import Artifact, measure
from omoi.worker.merge import land
from omoi.worker.process import Command, Finished, Run, run
from omoi.worker.worktree import checked_out
from tests.worker.project import Project, task

EXAMPLES = Path(__file__).parents[2] / "examples"
AGENT = shlex.join([sys.executable, str(EXAMPLES / "agents/agent.py")])
EXPECTED = (
    {"type": "requirements_document", "pattern": "docs/requirements.md"},
    {"type": "test_evidence", "pattern": "docs/test-report.md"},
)


BUG = "parse_duration reads as a quantity what is none: '1h,', '1h 30m,'"
LESSON = "A reader that takes a comma between two parts must refuse one after the last part."


@dataclass(frozen=True)
class Done:
    """How the agent's command ended, and what was measured."""

    run: Run
    artifacts: list[Artifact]

    def content(self, artifact_type: str) -> Any:
        """The content of the one artifact of a type."""
        (found,) = [each["content"] for each in self.artifacts if each["artifact_type"] == artifact_type]
        return found


@pytest.fixture
def textkit(tmp_path: Path) -> Project:
    """The example project in a repository of its own."""
    root = tmp_path / "textkit"
    shutil.copytree(EXAMPLES / "textkit", root, ignore=shutil.ignore_patterns("__pycache__"))
    project = Project(root, tmp_path / "work")
    project.git("init", "--quiet")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "The project as it was found")
    return project


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with what is said to `omoi` by agents, while no stack runs: a line of JSON each."""
    said, command = tmp_path / "said", tmp_path / "bin" / "omoi"
    command.parent.mkdir()
    noting = f"import json, sys; print(json.dumps(sys.argv[1:]), file=open({str(said)!r}, 'a'))"
    command.write_text(f"#!{sys.executable}\n{noting}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    return said


def ticket(name: str) -> dict[str, Any]:
    _, front, description = (EXAMPLES / name).read_text().split("---\n", 2)
    return {"ticket_id": "ticket-0123abcd", "description": description, **YAML(typ="safe").load(front)}


async def work(
    project: Project, task_type: str, attempt: int = 1, file: str = "ticket.md", **other: Any
) -> Done:
    """One task from worktree to merge, as a worker does it."""
    assignment = replace(task(task_type, attempt, task_type=task_type), title=f"{task_type} for the ticket")
    async with checked_out(await project.open(), assignment, project.work_root) as tree:
        brief = {
            "task": {"task_id": task_type, "task_type": task_type, "title": assignment.title},
            "ticket": ticket(file),
            **other,
        }
        env = environment(tree, write_brief(brief, tree.home))
        done = await run(Command(AGENT, tree.path, env, tree.log), cancel=asyncio.Event(), timeout_seconds=60)
        artifacts = await measure(tree, EXPECTED)
        if done.outcome == Finished(0):
            await land(tree)
        return Done(done, artifacts)


async def succeed(project: Project, *task_types: str, **options: Any) -> Done:
    """Tasks one after the other; answers the last."""
    done = [await work(project, task_type, **options) for task_type in task_types]
    assert [each.run.tail for each in done if each.run.outcome != Finished(0)] == []
    return done[-1]


async def test_the_ticket_regresses_once_and_is_delivered(
    textkit: Project, monkeypatch: pytest.MonkeyPatch, said: Path
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--an-option-of-the-developer")
    monkeypatch.setenv("COVERAGE_RCFILE", "/nowhere")

    required = await succeed(textkit, "analyze_requirements", "create_requirements_doc")
    document = required.content("requirements_document")
    assert len(document) >= 500
    assert {"## Scope", "## Acceptance Criteria"} <= set(document.splitlines())

    built = await succeed(textkit, "design_architecture", "implement_feature")
    assert built.content("code_changes")["tests"] == ["tests/test_formatting.py"]
    assert built.content("test_results")["all_passed"] is True
    assert built.content("test_coverage")["percentage"] >= 80

    first = await succeed(textkit, "write_tests", "run_tests")
    results = first.content("test_results")
    assert results["all_passed"] is False
    assert any("59m 60s" in failed["message"] for failed in results["failed"]), "the defect is a real one"

    [found] = map(json.loads, said.read_text().splitlines())
    assert found == ["discover", "bug", BUG, "--branch", "PHASE_IMPLEMENTATION"]

    reasons = [f"test_results: {results['failures']} tests failed", results["failed"][0]["name"]]
    repaired = await succeed(textkit, "implement_feature", attempt=2, blocking_reasons=reasons)
    changed = repaired.content("code_changes")
    assert [file["path"] for file in changed["files"]] == ["src/textkit/formatting.py", *changed["tests"]]
    assert changed["tests"] == ["tests/test_formatting.py"], "the gate asks for tests at every visit"
    assert repaired.content("test_coverage")["percentage"] >= 80

    second = await succeed(textkit, "write_tests", "run_tests", attempt=2)
    assert second.content("test_results")["all_passed"] is True
    assert second.content("test_results")["tests"] > results["tests"]
    assert second.content("test_coverage")["percentage"] >= 80
    assert "0 of them failed" in second.content("test_evidence")

    await then_it_is_released_once(textkit)
    assert textkit.git("status", "--porcelain", "--ignored") == ""
    assert textkit.branches() == ["main"]


async def then_it_is_released_once(textkit: Project) -> None:
    await succeed(textkit, "deploy_feature")
    tag, released = "v1.1.0-0123abcd", textkit.git("rev-parse", "main")
    assert textkit.git("cat-file", "-t", tag) == "tag"
    assert textkit.git("rev-parse", f"{tag}^{{commit}}") == released
    assert 'version = "1.1.0"' in textkit.show("pyproject.toml")
    assert "## 1.1.0 (0123abcd)" in textkit.show("CHANGELOG.md")
    await succeed(textkit, "deploy_feature", attempt=2)
    assert (textkit.git("tag"), textkit.git("rev-parse", "main")) == (tag, released)


async def test_an_agent_that_cannot_do_its_task_says_so_and_fails(textkit: Project) -> None:
    vague = {"ticket_id": "t", "title": "Nicer", "description": "Make it nice."}
    done = await work(textkit, "analyze_requirements", ticket=vague)
    assert done.run.outcome == Finished(1)
    assert "lists no acceptance criteria" in done.run.tail


async def fix(project: Project, bug: str = BUG) -> Done:
    """The task that branches off because of a bug."""
    described = {"task_id": "fix", "task_type": "discovery_bug", "title": "Fix", "description": bug}
    return await work(project, "discovery_bug", task=described)


async def test_the_bug_found_beyond_the_ticket_is_fixed_with_a_test_and_a_lesson(textkit: Project) -> None:
    fixed = await fix(textkit)
    assert fixed.run.outcome == Finished(0), fixed.run.tail
    changed = fixed.content("code_changes")
    assert [file["path"] for file in changed["files"]] == ["src/textkit/durations.py", *changed["tests"]]
    assert changed["tests"] == ["tests/test_durations.py"]
    assert LESSON in fixed.run.tail
    again = await fix(textkit)
    assert "was fixed before" in again.run.tail


async def test_the_bug_is_fixed_while_tests_of_the_ticket_fail(textkit: Project, said: Path) -> None:
    await succeed(textkit, "analyze_requirements", "create_requirements_doc", "design_architecture")
    await succeed(textkit, "implement_feature", "write_tests", "run_tests")
    assert (await fix(textkit)).run.outcome == Finished(0)


async def test_a_bug_that_the_agent_knows_nothing_of_is_given_up(textkit: Project) -> None:
    done = await fix(textkit, "format_size is slow")
    assert done.run.outcome == Finished(1)
    assert "this is about something else" in done.run.tail


async def test_a_discovery_that_is_not_taken_fails_the_task(textkit: Project, said: Path) -> None:
    (said.parent / "bin" / "omoi").write_text("#!/bin/sh\necho branch_budget_exhausted >&2\nexit 1\n")
    done = await work(textkit, "run_tests")
    assert done.run.outcome == Finished(1)
    assert "omoi discover: branch_budget_exhausted" in done.run.tail


@pytest.mark.parametrize(
    ("memories", "passed"),
    [([], False), ([{"memory_id": "m", "summary": "Measure it."}], False),
     ([{"memory_id": "m-1", "summary": f"Fixed. Lesson: {LESSON}"}], True)],
)  # fmt: skip
async def test_who_remembers_the_fix_does_not_make_the_mistake_again(
    textkit: Project, said: Path, memories: list[dict[str, Any]], passed: bool
) -> None:
    options: dict[str, Any] = {"file": "second-ticket.md"}
    await succeed(
        textkit, "analyze_requirements", "create_requirements_doc", "design_architecture", **options
    )
    built = await succeed(textkit, "implement_feature", **options, memory={"memories": memories})
    assert ("decided: Refuse a comma after the last part, as memory m-1 says" in built.run.tail) is passed
    tested = await succeed(textkit, "write_tests", "run_tests", **options)
    assert tested.content("test_results")["all_passed"] is passed
    if not passed:
        reasons = [tested.content("test_results")["failed"][0]["name"]]
        await succeed(textkit, "implement_feature", attempt=2, blocking_reasons=reasons, **options)
        again = await succeed(textkit, "run_tests", attempt=2, **options)
        assert again.content("test_results")["all_passed"] is True
