import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from omoi.worker.evidence import Artifact, measure
from omoi.worker.merge import land
from omoi.worker.worktree import Worktree, commit
from tests.worker.project import Project

PASSED = "<testsuite><testcase name='one'/></testsuite>"
COVERED = "<coverage><class filename='a.py'><lines><line number='1' hits='1'/></lines></class></coverage>"
BOMB = """<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;">]>
<testsuite><testcase name="&c;"/></testsuite>"""
FILE_ENTITY = (
    """<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&a;"/></testsuite>"""
)


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


async def measured(tree: Worktree, *expected: Mapping[str, Any]) -> dict[str, Artifact]:
    """The last artifact of each type; all of them can be sent as JSON."""
    artifacts = await measure(tree, expected)
    assert orjson.loads(orjson.dumps(artifacts)) == artifacts
    return {artifact["artifact_type"]: artifact for artifact in artifacts}


def content(artifact: Artifact) -> dict[str, Any]:
    assert isinstance(artifact["content"], dict)
    return artifact["content"]


async def test_changed_files_are_listed_with_hashes_whether_committed_or_not(project: Project) -> None:
    project.commit("old.py", "x = 1\n")
    async with project.attempt("t") as tree:
        write(tree.path / "src/new.py", "a = 1\nb = 2\n")
        await commit(tree)
        write(tree.path / "tests/test_new.py", "def test(): ...\n")
        (tree.path / "old.py").unlink()
        write(tree.path / "image.bin", b"\0\1")
        (tree.path / "link").symlink_to("/etc/passwd")
        artifact = (await measured(tree))["code_changes"]
    files = {file["path"]: file for file in content(artifact)["files"]}
    assert {path: (file["status"], file["added"], file["removed"]) for path, file in files.items()} == {
        "image.bin": ("added", 0, 0),
        "link": ("added", 1, 0),
        "old.py": ("deleted", 0, 1),
        "src/new.py": ("added", 2, 0),
        "tests/test_new.py": ("added", 1, 0),
    }
    assert files["src/new.py"]["sha256"] == hashlib.sha256(b"a = 1\nb = 2\n").hexdigest()
    assert files["link"]["sha256"] == hashlib.sha256(b"/etc/passwd").hexdigest()
    assert files["old.py"]["sha256"] is None
    assert content(artifact)["tests"] == ["tests/test_new.py"]
    assert (content(artifact)["added"], content(artifact)["removed"]) == (4, 1)
    assert artifact["measured"] is True


async def test_an_attempt_that_changed_nothing_has_no_evidence(project: Project) -> None:
    async with project.attempt("t") as tree:
        assert await measured(tree, {"type": "test_results"}, {"type": "notes", "pattern": "*.md"}) == {}


@pytest.mark.parametrize(
    ("path", "is_test"),
    [
        ("test_a.py", True),
        ("pkg/a_test.go", True),
        ("src/button.spec.tsx", True),
        ("src/AppTests.java", True),
        ("tests/inner/cases.rb", True),
        ("tests/__init__.py", False),
        ("tests/conftest.py", False),
        ("tests/data.json", False),
        ("docs/test-report.md", False),
        ("src/contest.py", False),
        ("src/latest.py", False),
    ],
)
async def test_test_files_are_recognised(project: Project, path: str, is_test: bool) -> None:
    async with project.attempt("t") as tree:
        write(tree.path / path, "x\n")
        artifact = (await measured(tree))["code_changes"]
    assert content(artifact)["tests"] == ([path] if is_test else [])


async def test_reports_of_this_attempt_are_read(project: Project) -> None:
    async with project.attempt("t") as tree:
        junit = write(tree.reports / "junit-unit.xml", PASSED)
        write(tree.reports / "junit-more.xml", PASSED)
        write(tree.reports / "coverage.xml", COVERED)
        found = await measured(tree)
        assert junit.is_file()
    assert content(found["test_results"])["tests"] == 2
    assert content(found["test_results"])["reports"] == ["junit-more.xml", "junit-unit.xml"]
    assert content(found["test_coverage"])["percentage"] == 100.0
    assert found["test_coverage"]["artifact_path"] == "reports/coverage.xml"
    assert found["test_coverage"]["sha256"] == hashlib.sha256(COVERED.encode()).hexdigest()


async def test_reports_in_the_worktree_are_found_by_pattern_even_when_ignored(project: Project) -> None:
    project.commit(".gitignore", "build/\n")
    async with project.attempt("t") as tree:
        write(tree.path / "build/reports/results.xml", PASSED)
        found = await measured(tree, {"type": "test_results", "pattern": "build/**/*.xml"})
    assert found["test_results"]["artifact_path"] == "build/reports/results.xml"
    assert content(found["test_results"])["all_passed"] is True


async def test_a_stale_report_does_not_count(project: Project) -> None:
    project.commit("junit.xml", PASSED)
    expected = {"type": "test_results", "pattern": "*.xml"}
    async with project.attempt("t") as tree:
        copied = write(tree.reports / "junit.xml", PASSED)
        os.utime(copied, (1_000_000_000, 1_000_000_000))
        unfresh = write(tree.path / "other.xml", PASSED)
        os.utime(unfresh, (1_000_000_000, 1_000_000_000))
        os.utime(tree.path / "junit.xml")
        assert "test_results" not in await measured(tree, expected)
        write(tree.path / "junit.xml", PASSED.replace("one", "two"))
        assert content((await measured(tree, expected))["test_results"])["tests"] == 1


@pytest.mark.parametrize(
    "text", ["", "<testsuite>", "no xml", BOMB, FILE_ENTITY, "<?xml version='1.0' encoding='what'?><a/>"]
)
async def test_a_report_that_cannot_be_read_is_a_problem_and_passes_nothing(
    project: Project, text: str
) -> None:
    async with project.attempt("t") as tree:
        write(tree.reports / "junit-a.xml", PASSED)
        write(tree.reports / "junit-b.xml", text)
        write(tree.reports / "coverage.xml", text)
        found = await measured(tree)
    assert content(found["test_results"])["all_passed"] is False
    assert "junit-b.xml is not XML that can be read" in content(found["test_results"])["problem"]
    assert content(found["test_coverage"])["percentage"] == 0.0


async def test_a_huge_or_very_deep_report_does_no_harm(project: Project) -> None:
    async with project.attempt("t") as tree:
        write(tree.reports / "junit.xml", b" " * (17 * 2**20))
        write(tree.reports / "coverage.xml", b"<a>" * 500_000 + b"</a>" * 500_000)
        found = await measured(tree)
    assert "larger than 16 MiB" in content(found["test_results"])["problem"]
    assert content(found["test_coverage"])["percentage"] == 0.0


async def test_a_cobertura_report_may_name_its_dtd(project: Project) -> None:
    dtd = '<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">'
    async with project.attempt("t") as tree:
        write(tree.reports / "coverage.xml", dtd + COVERED)
        assert content((await measured(tree))["test_coverage"])["percentage"] == 100.0


async def test_a_reports_folder_that_leads_elsewhere_is_not_followed(
    project: Project, tmp_path: Path
) -> None:
    async with project.attempt("t") as tree:
        tree.reports.rmdir()
        tree.reports.symlink_to(tmp_path / "elsewhere")
        write(tmp_path / "elsewhere/junit.xml", PASSED)
        assert await measured(tree) == {}


async def test_a_report_that_is_a_pipe_or_a_link_is_not_opened(project: Project, tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.xml", PASSED)
    async with project.attempt("t") as tree:
        os.mkfifo(tree.reports / "junit.xml")
        (tree.reports / "coverage.xml").symlink_to(secret)
        (tree.path / "notes.md").symlink_to(secret)
        found = await measured(tree, {"type": "notes", "pattern": "*.md"})
    assert content(found["test_results"])["problem"] == "junit.xml is no regular file"
    assert "coverage.xml cannot be opened" in content(found["test_coverage"])["problem"]
    assert "notes" not in found


async def test_other_outputs_are_the_ticket_s_files_that_match_changed_ones_first(project: Project) -> None:
    project.commit("b.md", "of another ticket\n")
    async with project.attempt("earlier") as tree:
        write(tree.path / "a.md", "old\n")
        await land(tree)
    async with project.attempt("t") as tree:
        write(tree.path / "z.md", "new\n")
        write(tree.path / "docs/inner.md", "not matched\n")
        artifacts = await measure(tree, [{"type": "notes", "pattern": "*.md"}])
    notes = [artifact for artifact in artifacts if artifact["artifact_type"] == "notes"]
    assert [(note["artifact_path"], note["content"]) for note in notes] == [
        ("z.md", "new\n"),
        ("a.md", "old\n"),
    ]


@pytest.mark.parametrize("pattern", ["../*", "/etc/passwd", "**/../../*", ":(top)x"])
async def test_a_pattern_never_leaves_the_worktree(project: Project, pattern: str) -> None:
    async with project.attempt("t") as tree:
        write(tree.home / "passwd", "secret\n")
        assert await measured(tree, {"type": "notes", "pattern": pattern}) == {}


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.json", b'{"a": 1}', {"a": 1}),
        ("a.json", b"[1]", "[1]"),
        ("a.json", b'{"a": ', '{"a": '),
        ("a.json", b'{"a": "\\u0000"}', '{"a": "\\u0000"}'),
        ("a.json", b'{"a": NaN}', '{"a": NaN}'),
        ("a.json", b"[" * 100_000, "[" * 100_000),
        ("a.txt", b"caf\xe9", "caf\ufffd"),
        ("a.txt", b"\0\1", {"binary": True}),
        ("a.txt", b"x" * 300_000, "x" * 256 * 1024),
    ],
)
async def test_content_is_bounded_text_or_a_json_object(
    project: Project, name: str, data: bytes, expected: object
) -> None:
    async with project.attempt("t") as tree:
        write(tree.path / name, data)
        found = await measured(tree, {"type": "notes", "pattern": "a.*"})
    assert found["notes"]["content"] == expected
    assert found["notes"]["sha256"] == hashlib.sha256(data).hexdigest()


async def test_file_names_that_are_no_utf8_are_shown(project: Project) -> None:
    async with project.attempt("t") as tree:
        write(Path(os.fsdecode(os.fsencode(tree.path) + b"/caf\xe9 \t\n.md")), "x\n")
        found = await measured(tree, {"type": "notes", "pattern": "*.md"})
    assert found["notes"]["artifact_path"] == "caf\ufffd \t\n.md"
    assert json.dumps(content(found["code_changes"])["files"][0]["path"])


async def test_a_manifest_of_very_many_files_is_cut(project: Project) -> None:
    async with project.attempt("t") as tree:
        for number in range(1_050):
            write(tree.path / f"generated/{number}.txt", "x\n")
        found = content((await measured(tree))["code_changes"])
    assert (len(found["files"]), found["files_not_listed"], found["added"]) == (1_000, 50, 1_050)
