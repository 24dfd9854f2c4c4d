"""The example's ticket goes through every phase with the worker's own modules."""

import asyncio
import shlex
import shutil
import sys
from collections.abc import Sequence
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


def ticket() -> dict[str, Any]:
    _, front, description = (EXAMPLES / "ticket.md").read_text().split("---\n", 2)
    return {"ticket_id": "ticket-0123abcd", "description": description, **YAML(typ="safe").load(front)}


async def work(
    project: Project, task_type: str, attempt: int = 1, blocking_reasons: Sequence[str] = (), **other: Any
) -> Done:
    """One task from worktree to merge, as a worker does it."""
    assignment = replace(task(task_type, attempt, task_type=task_type), title=f"{task_type} for the ticket")
    async with checked_out(await project.open(), assignment, project.work_root) as tree:
        brief = {
            "task": {"task_id": task_type, "task_type": task_type, "title": assignment.title},
            "ticket": ticket() | other,
            "blocking_reasons": list(blocking_reasons),
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
    textkit: Project, monkeypatch: pytest.MonkeyPatch
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
    done = await work(textkit, "analyze_requirements", description="Make it nice.")
    assert done.run.outcome == Finished(1)
    assert "lists no acceptance criteria" in done.run.tail
