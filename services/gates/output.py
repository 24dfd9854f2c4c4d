"""What a phase's expected outputs still lack.

Where several artifacts of one type count, the rule is:

- `test_results`, `test_coverage` and `code_changes` report on the work as a whole, so only the newest one is
  judged: an earlier success cannot hide a later failure, nor the other way round.
- Of any other type, which is a document, one artifact that meets every rule is enough: a phase that changes
  three documents fails for none of them.
- Where the output must be measured, claims are not looked at, whatever they say.
- An output that is not required is judged only if it is there.
"""

from collections.abc import Sequence
from typing import Any

from services.gates.artifact import REPORTS, Evidence, shown
from services.gates.criteria import PATTERN
from shared.contracts.workflow import ExpectedOutput, Phase


def outputs_of(phase: Phase) -> tuple[ExpectedOutput, ...]:
    """What the phase must bring forth, with what its gate demands beside that."""
    return (*phase.expected_outputs, *(phase.gate.criteria if phase.gate else ()))


def reasons_against(output: ExpectedOutput, counting: Sequence[Evidence]) -> tuple[str, ...]:
    """Why an output is not met; nothing when it is."""
    of_type = [
        evidence for evidence in counting if evidence.artifact_type == output.type and not evidence.unreadable
    ]
    in_place = [evidence for evidence in of_type if _in_place(output, evidence)]
    judged = [evidence for evidence in in_place if evidence.measured or not output.measured]
    if judged:
        return _reasons_of_judged(output, judged)
    return (_missing(output, of_type, in_place),) if output.required else ()


def _reasons_of_judged(output: ExpectedOutput, judged: Sequence[Evidence]) -> tuple[str, ...]:
    newest_first = [_reasons(output, evidence) for evidence in reversed(judged)]
    return newest_first[0] if output.type in REPORTS else min(newest_first, key=len)


def _in_place(output: ExpectedOutput, evidence: Evidence) -> bool:
    unbound = not output.pattern or output.type in REPORTS
    return unbound or _reason(evidence, PATTERN, output.pattern) is None


def _reasons(output: ExpectedOutput, evidence: Evidence) -> tuple[str, ...]:
    rules = output.rules.items()
    found = (_reason(evidence, name, parameter) for name, parameter in rules if parameter is not False)
    return tuple(reason for reason in found if reason)


def _reason(evidence: Evidence, name: str, parameter: Any) -> str | None:
    for finding in evidence.findings:
        if finding.criterion == name and finding.parameter == parameter:
            return finding.reason
    return f"{evidence.artifact_type} was never judged by {name}: hand it in again."


def _missing(output: ExpectedOutput, of_type: Sequence[Evidence], in_place: Sequence[Evidence]) -> str:
    if in_place:
        claim = in_place[-1].summary
        return f"{output.type} was only claimed{f' ({claim})' if claim else ''}, not measured."
    wanted = f" ({output.pattern})" if output.pattern else ""
    if of_type:
        elsewhere = shown(of_type[-1].artifact_path, 200)
        return f"{output.type}{wanted} is missing: it was handed in as {elsewhere} only."
    return f"{output.type}{wanted} is missing: no artifact of this type was handed in."
