import hashlib
from typing import Any

import pytest

from services.gates.artifact import MAX_ARTIFACTS, Evidence, Submission, read_artifacts, with_evidence
from tests.gates.story import after

NONE = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def evidence(
    artifact_id: str,
    seconds: float,
    *,
    path: str = "a.md",
    measured: bool = False,
    task_id: str | None = None,
) -> Evidence:
    return Evidence(artifact_id, "note", path, measured, after(seconds), task_id, "", (), None)


def counting(*submitted: Evidence) -> list[str]:
    counted: tuple[Evidence, ...] = ()
    for each in submitted:
        counted = with_evidence(counted, each)
    return [each.artifact_id for each in counted]


def test_a_resubmission_supersedes_what_has_the_same_type_and_path() -> None:
    assert counting(evidence("a", 1), evidence("b", 2, path="b.md"), evidence("c", 3)) == ["b", "c"]


def test_what_was_submitted_earlier_supersedes_nothing_though_it_arrives_later() -> None:
    assert counting(evidence("new", 2), evidence("old", 1)) == ["new"]


def test_a_claim_does_not_take_the_place_of_a_measurement() -> None:
    assert counting(evidence("measured", 1, measured=True), evidence("claim", 2)) == ["measured", "claim"]


def test_a_measurement_takes_the_place_of_a_claim() -> None:
    assert counting(evidence("claim", 1), evidence("measured", 2, measured=True)) == ["measured"]


def test_a_measurement_takes_the_place_of_an_older_one() -> None:
    assert counting(evidence("old", 1, measured=True), evidence("new", 2, measured=True)) == ["new"]


def test_of_two_at_one_time_the_same_one_counts_whichever_arrives_first() -> None:
    one, two = evidence("one", 1, task_id="t1"), evidence("two", 1, task_id="t2")
    assert counting(one, two) == counting(two, one) == ["two"]
    by_hand = evidence("by_hand", 1, task_id=None)
    assert counting(one, by_hand) == counting(by_hand, one) == ["one"]


def test_an_artifact_is_read_with_its_hash() -> None:
    (text, fields, hashed, bare) = read_artifacts(
        [
            {
                "artifact_type": "note",
                "artifact_path": "a.md",
                "content": "héllo",
                "sha256": sha("héllo"),
                "measured": True,
            },
            {"artifact_type": "note", "content": {"b": 1, "a": "é"}, "more": "ignored"},
            {"artifact_type": "note", "content": "cut short", "sha256": NONE},
            {"artifact_type": "note", "artifact_path": ""},
        ],
        "t1",
    )
    assert text == Submission("note", "a.md", "héllo", sha("héllo"), measured=True)
    assert fields.sha256 == sha('{"a":"é","b":1}')
    assert hashed.sha256 == NONE
    assert (bare.artifact_path, bare.sha256) == (None, None)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def nested(levels: int) -> Any:
    return ([nested(levels - 1)] if levels % 2 else {"in": nested(levels - 1)}) if levels else 0


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"content": "x" * 262_145}, "its content has 262145 characters; at most 262144 are kept"),
        ({"content": ["x" * 524_288]}, "its content has 524292 bytes; at most 524288 are kept"),
        ({"content": "€" * 200_000}, "its content has 600000 bytes; at most 524288 are kept"),
        ({"content": nested(33)}, "its content is nested deeper than 32 levels"),
        ({"content": "\ud800"}, "its content holds half a character"),
        ({"content": {"\udfff": 1}}, "its content holds half a character"),
        ({"sha256": "abc"}, "its sha256 is abc, not 64 hexadecimal digits"),
        ({"sha256": 7}, "its sha256 is 7, not 64 hexadecimal digits"),
        ({"measured": "yes"}, "measured is yes, neither true nor false"),
    ],
)
def test_what_cannot_be_read_is_kept_with_the_reason(fields: dict[str, Any], reason: str) -> None:
    (read,) = read_artifacts([{"artifact_type": "note", "artifact_path": "a.md", **fields}], "t1")
    assert read == Submission(
        "note", "a.md", unreadable=f"Artifact 1 of task t1 cannot be read: {reason}. Hand in note a.md again."
    )


def test_what_has_no_path_is_handed_in_again_without_one() -> None:
    (read,) = read_artifacts([{"artifact_type": "note", "measured": 1}], "t1")
    assert read.unreadable is not None
    assert read.unreadable.endswith("Hand in note without a path again.")


def test_what_is_at_its_limit_is_read() -> None:
    (far,) = read_artifacts([{"artifact_type": "n" * 64, "artifact_path": "p" * 4096}], "t1")
    assert far.unreadable is None
    for content in ("x" * 262_144, ["x" * 524_284], nested(32)):
        (read,) = read_artifacts([{"artifact_type": "note", "content": content}], "t1")
        assert read.unreadable is None


@pytest.mark.parametrize(
    ("handed_in", "reason"),
    [
        ("done", "The artifacts of task t1 are done, not a list."),
        ({"a": 1}, "The artifacts of task t1 are an object of 1, not a list."),
        (["done"], "Artifact 1 of task t1 cannot be read: it is done, not an object."),
        (
            [{"artifact_type": "", "artifact_path": "a.md"}],
            "Artifact 1 of task t1 cannot be read: its artifact_type is empty, not a name.",
        ),
        (
            [{"artifact_type": "x" * 65}],
            f"Artifact 1 of task t1 cannot be read: its artifact_type is {'x' * 59}…, not a name.",
        ),
        (
            [{"artifact_type": "note", "artifact_path": "p" * 4097}],
            f"Artifact 1 of task t1 cannot be read: its artifact_path is {'p' * 59}…, no text of up to 4096 "
            "characters.",
        ),
        ([{}], "Artifact 1 of task t1 cannot be read: its artifact_type is missing, not a name."),
        (
            [{"artifact_type": "two words\n"}],
            "Artifact 1 of task t1 cannot be read: its artifact_type is two words, not a name.",
        ),
        (
            [{"artifact_type": "note\n"}],
            "Artifact 1 of task t1 cannot be read: its artifact_type is note, not a name.",
        ),
        (
            [{"artifact_type": "note", "artifact_path": 0}],
            "Artifact 1 of task t1 cannot be read: its artifact_path is 0, no text of up to 4096 characters.",
        ),
        (
            [{"artifact_type": "note", "artifact_path": 5}],
            "Artifact 1 of task t1 cannot be read: its artifact_path is 5, no text of up to 4096 characters.",
        ),
        (
            [{"artifact_type": "note", "artifact_path": "\ud800"}],
            "Artifact 1 of task t1 cannot be read: its artifact_path is ?, no text of up to 4096 characters.",
        ),
    ],
)
def test_what_has_no_type_says_how_it_is_replaced(handed_in: Any, reason: str) -> None:
    (read,) = read_artifacts(handed_in, "t1")
    assert (read.artifact_type, read.unreadable is not None) == ("unreadable", True)
    assert read.unreadable == (
        f"{reason} An artifact of type unreadable and path {read.artifact_path} takes its place."
    )


def test_a_list_that_is_too_long_is_cut_and_says_so() -> None:
    read = read_artifacts([{"artifact_type": "note"}] * 5000, "t1")
    assert len(read) == MAX_ARTIFACTS + 1
    assert read[-1].unreadable is not None
    assert "handed in 5000 artifacts; only the first 100 are read" in read[-1].unreadable
    assert len(read_artifacts([{"artifact_type": "note"}] * MAX_ARTIFACTS, "t1")) == MAX_ARTIFACTS


def test_no_artifacts_are_no_artifacts() -> None:
    assert read_artifacts(None, "t1") == []
    assert read_artifacts([], "t1") == []


def test_what_names_no_hash_was_not_measured() -> None:
    (bare, empty) = read_artifacts(
        [
            {"artifact_type": "test_coverage", "content": {"percentage": 100}, "measured": True},
            {
                "artifact_type": "test_coverage",
                "content": {"percentage": 100},
                "measured": True,
                "sha256": None,
            },
        ],
        "t1",
    )
    assert not bare.measured
    assert not empty.measured
