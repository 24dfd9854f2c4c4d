"""What is handed in after a gate has passed."""

import pytest

from shared.contracts.gate import GateArtifactSubmitted, GateReopened, ValidateGate
from shared.testing.scenario import Scenario
from tests.gates.story import GOOD_DOCUMENT, expects, made, submit, task, ticket_in, told

VALIDATE = ValidateGate(ticket_id="T")


def passed() -> Scenario:
    """The requirements are there, and their gate has passed."""
    story = ticket_in("REQUIREMENTS", expects("REQUIREMENTS", 1), made("a", "REQUIREMENTS"))
    written = submit("requirements_document", GOOD_DOCUMENT, "docs/r.md")
    return told(written, task("a", "completed", "REQUIREMENTS", at=1), VALIDATE, story=story)


@pytest.mark.parametrize(("content", "reopened"), [("Nothing.", True), (GOOD_DOCUMENT + " And more.", False)])
def test_a_pass_does_not_outlive_worse_evidence(content: str, reopened: bool) -> None:
    events = passed().when(submit("requirements_document", content, "docs/r.md", "r2")).events()
    assert isinstance(events[0], GateArtifactSubmitted)
    assert [isinstance(event, GateReopened) for event in events[1:]] == [True] * reopened
