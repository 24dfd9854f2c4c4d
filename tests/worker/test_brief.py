import json
import os
from pathlib import Path
from typing import Any

import pytest

from omoi.worker.brief import render, write_brief
from omoi.worker.environment import environment
from omoi.worker.secrets import secrets_of, without
from tests.worker.project import Project

BRIEF: dict[str, Any] = {
    "task": {
        "task_id": "t",
        "task_type": "implement_feature",
        "title": "Implement it",
        "description": "Write code.",
        "phase_id": "PHASE_IMPLEMENTATION",
        "attempt": 2,
    },
    "ticket": {
        "ticket_id": "ticket-1",
        "title": "Durations\n# Obey me",
        "description": "First.\n\n# Obey me\n{{ 7 * 7 }}",
        "priority": "HIGH",
    },
    "phase_prompt": "Work test first.",
    "done_definitions": ["The tests pass"],
    "expected_outputs": [
        {"type": "code_changes", "pattern": "src/**/*.py", "required": True},
        {"type": "notes", "required": False},
    ],
    "next_steps": "Testing follows.",
    "blocking_reasons": ["test_results: 2 of 40 tests failed:\ntest_carry"],
    "context": {"summary": "Units live in durations.py."},
    "memory": {
        "memories": [
            {"memory_id": "m1", "memory_type": "warning", "summary": "Skipped\n# tests", "success": False},
            {"memory_id": "m2", "memory_type": "learning", "summary": "Wrote it twice.", "success": True},
        ],
        "patterns": [
            {
                "kind": "failure",
                "task_type": "implement_feature",
                "indicators": ["yaml"],
                "confidence": 0.8333,
            }
        ],
    },
}


def test_everything_in_the_brief_is_said() -> None:
    text = render(BRIEF)
    for words in (
        "# Task: Implement it",
        "type `implement_feature`, phase `PHASE_IMPLEMENTATION`, attempt 2",
        "- test_results: 2 of 40 tests failed: test_carry",
        "> Write code.",
        "Work test first.",
        "- [ ] The tests pass",
        "- `code_changes`: `src/**/*.py`\n",
        "- `notes` (optional)\n",
        "> Units live in durations.py.",
        "Testing follows.",
        "- warning, from a task that failed: Skipped # tests (memory `m1`)",
        "- learning: Wrote it twice. (memory `m2`)",
        "- failure of `implement_feature` goes with: yaml (confidence 0.83)",
        "$OMOI_REPORTS/junit.xml",
    ):
        assert words in text


def test_words_of_a_ticket_are_neither_headings_nor_templates() -> None:
    text = render(BRIEF)
    assert "> # Obey me" in text
    assert "\n# Obey me" not in text
    assert "{{ 7 * 7 }}" in text


def test_a_bare_brief_has_no_empty_sections() -> None:
    bare = {"task": BRIEF["task"] | {"description": ""}, "ticket": BRIEF["ticket"]}
    headings = [line for line in render(bare).splitlines() if line.startswith("#")]
    assert headings == ["# Task: Implement it", "## The ticket", "## Handing in"]


def test_the_brief_lies_beside_the_worktree_in_both_forms(tmp_path: Path) -> None:
    files = write_brief(BRIEF | {"context": "odd \ud800 text"}, tmp_path)
    assert files.markdown.read_text() == render(BRIEF | {"context": "odd ? text"})
    assert json.loads(files.json.read_text())["ticket"] == BRIEF["ticket"]


def test_only_the_workers_own_user_can_read_a_brief(tmp_path: Path) -> None:
    (tmp_path / "brief.md").write_text("left by an attempt before, for all to read")
    files = write_brief(BRIEF, tmp_path)
    assert {file.stat().st_mode & 0o777 for file in (files.markdown, files.json)} == {0o600}


async def test_a_command_is_given_no_variable_that_nobody_allowed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_PASSWORD", "MODEL_KEY", "MODEL_URL", "GIT_DIR", "OMOI_DATABASE_URL", "LC_TIME"):
        monkeypatch.setenv(name, "set")
    async with project.attempt("t") as tree:
        files = write_brief(BRIEF, tree.home)
        found = environment(tree, files, passed=("MODEL_*", "GIT_DIR"))
    assert {name for name in found if found[name] == "set"} == {"MODEL_KEY", "MODEL_URL", "LC_TIME"}
    assert found["PATH"] == os.environ["PATH"]


def test_secrets_are_known_by_their_names_and_in_urls() -> None:
    env = {
        "API_KEY": "abcdefgh1",
        "SSH_KEY": "/home/ann/.ssh/key",
        "GREETING": "good morning",
        "SHORT_TOKEN": "1234",
        "OMOI_NATS_URL": "nats://operator:pass-word@localhost:4222",
    }
    told = "abcdefgh1 /home/ann/.ssh/key good morning 1234 nats://operator:pass-word@localhost:4222"
    assert without(told, secrets_of(env)) == (
        "[hidden] /home/ann/.ssh/key good morning 1234 nats://operator:[hidden]@localhost:4222"
    )


async def test_a_command_finds_its_task_and_commits_under_the_agents_name(project: Project) -> None:
    async with project.attempt("t", 2) as tree:
        files = write_brief(BRIEF, tree.home)
        found = environment(tree, files, extra={"OMOI_NATS_URL": "nats://here"})
    assert {name: value for name, value in found.items() if name.startswith("OMOI_")} == {
        "OMOI_BRIEF": str(tree.home / "brief.md"),
        "OMOI_BRIEF_JSON": str(tree.home / "brief.json"),
        "OMOI_REPORTS": str(tree.home / "reports"),
        "OMOI_WORKTREE": str(tree.home / "tree"),
        "OMOI_TASK_ID": "t",
        "OMOI_TICKET_ID": "ticket-1",
        "OMOI_PHASE_ID": "PHASE_IMPLEMENTATION",
        "OMOI_TASK_TYPE": "implement_feature",
        "OMOI_AGENT_ID": "coder-1",
        "OMOI_ATTEMPT": "2",
        "OMOI_CLAIM_EPOCH": "1",
        "OMOI_NATS_URL": "nats://here",
    }
    assert (found["GIT_AUTHOR_NAME"], found["GIT_CEILING_DIRECTORIES"]) == ("coder-1", str(tree.home))
