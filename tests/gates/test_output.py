from typing import Any

from services.gates.artifact import Evidence, Submission
from services.gates.criteria import findings_of, summary_of
from services.gates.output import outputs_of, reasons_against
from shared.contracts.workflow import ExpectedOutput, Phase
from tests.gates.story import after, results


def output(kind: str, **rules: Any) -> ExpectedOutput:
    return ExpectedOutput.model_validate({"type": kind, **rules})


def against(
    expected: ExpectedOutput, *contents: Any, path: str | None = None, measured: bool = False
) -> tuple[str, ...]:
    """What is lacking when the contents are handed in, one after the other."""
    counting = []
    for number, content in enumerate(contents):
        submitted = Submission(expected.type, path, content, measured=measured)
        findings, summary = findings_of(submitted, [expected]), summary_of(submitted)
        counting.append(
            Evidence(
                f"a{number}", expected.type, path, measured, after(number), None, summary, findings, None
            )
        )
    return reasons_against(expected, counting)


def test_the_gate_adds_to_what_the_phase_must_bring_forth() -> None:
    phase = Phase.model_validate(
        {
            "id": "P",
            "name": "P",
            "sequence_order": 1,
            "expected_outputs": [{"type": "code"}],
            "gate": {"criteria": [{"type": "docs"}]},
        }
    )
    assert [expected.type for expected in outputs_of(phase)] == ["code", "docs"]


def test_a_required_output_that_is_missing_is_named_with_its_pattern() -> None:
    assert against(output("note")) == ("note is missing: no artifact of this type was handed in.",)
    assert against(output("note", pattern="docs/*.md")) == (
        "note (docs/*.md) is missing: no artifact of this type was handed in.",
    )


def test_an_optional_output_may_be_missing() -> None:
    assert against(output("note", required=False)) == ()


def test_an_optional_output_is_judged_when_it_is_there() -> None:
    assert against(output("note", required=False, min_length=5), "abc")


def test_a_document_elsewhere_than_the_pattern_is_missing() -> None:
    expected = output("note", pattern="docs/*.md")
    assert against(expected, "abc", path="notes/a.md") == (
        "note (docs/*.md) is missing: it was handed in as notes/a.md only.",
    )
    assert against(expected, "abc", path="docs/a.md") == ()


def test_a_document_without_a_path_is_taken_at_its_type() -> None:
    assert against(output("note", pattern="docs/*.md"), "abc") == ()


def test_a_report_is_taken_wherever_the_worker_found_it() -> None:
    expected = output("test_results", pattern="build/junit.xml", all_passed=True)
    assert against(expected, results(3), path="reports/junit.xml") == ()


def test_what_must_be_measured_cannot_be_claimed() -> None:
    expected = output("test_coverage", measured=True, min_percentage=80)
    assert against(expected, {"percentage": 90}) == ("test_coverage was only claimed (90 %), not measured.",)
    assert against(expected, "very high") == ("test_coverage was only claimed, not measured.",)
    assert against(expected, {"percentage": 90}, measured=True) == ()


def test_the_newest_report_counts_whether_it_is_better_or_worse() -> None:
    expected = output("test_coverage", min_percentage=80)
    assert against(expected, {"percentage": 90}, {"percentage": 70}) == (
        "test_coverage is 70 %; at least 80 % is demanded.",
    )
    assert against(expected, {"percentage": 70}, {"percentage": 90}) == ()


def test_one_good_document_is_enough() -> None:
    expected = output("note", min_length=3, required_sections=["scope"])
    assert against(expected, "# Scope", "ab") == ()
    assert against(expected, "ab", "# Scope") == ()


def test_rules_met_by_different_documents_are_not_met() -> None:
    expected = output("note", min_length=10, required_sections=["scope"])
    assert against(expected, "# Scope", "long enough, but bare") == ("note has no section scope.",)


def test_of_documents_that_all_fail_the_best_one_is_told_of() -> None:
    expected = output("note", min_length=8, required_sections=["scope"])
    assert against(expected, "# Scope", "ab") == ("note has 7 characters; at least 8 are demanded.",)


def test_a_rule_set_to_false_is_not_asked_for() -> None:
    assert against(output("note", must_exist=False)) != ()
    assert against(output("note", must_exist=False), "") == ()


def test_evidence_that_was_judged_by_other_rules_must_be_handed_in_again() -> None:
    old = Evidence("a", "note", None, False, after(0), None, "", (), None)
    assert reasons_against(output("note", min_length=1), [old]) == (
        "note was never judged by min_length: hand it in again.",
    )


def test_each_output_of_a_type_is_judged_by_its_own_rules() -> None:
    short, long = output("note", min_length=1, must_exist=True), output("note", min_length=9)
    empty = output("note", file_pattern=True, must_exist=True)
    findings = findings_of(Submission("note", None, "abc"), [short, long, empty])
    counting = [Evidence("a", "note", None, False, after(0), None, "", findings, None)]
    assert reasons_against(short, counting) == ()
    assert reasons_against(long, counting) == ("note has 3 characters; at least 9 are demanded.",)
    assert len(reasons_against(empty, counting)) == 1


def test_evidence_of_another_type_is_no_output() -> None:
    other = Evidence("a", "other", None, False, after(0), None, "", (), None)
    assert reasons_against(output("note"), [other])


def test_what_cannot_be_read_is_no_output() -> None:
    unreadable = Evidence("a", "note", None, False, after(0), None, "", (), "It is too long.")
    assert reasons_against(output("note"), [unreadable])
