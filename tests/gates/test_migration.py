"""A verdict, once its ticket is under another workflow version."""

from shared.contracts.gate import FollowMigration, FollowWorkflow, GateFailed, GatePassed
from shared.contracts.workflow import Workflow
from tests.gates.story import WORKFLOW, expects, made, task, ticket_in, told


def test_a_verdict_is_given_anew_under_the_version_a_ticket_is_migrated_to() -> None:
    stricter = changed_design({"type": "sketch", "must_exist": True})
    designed = ticket_in("DESIGN", expects("DESIGN", 1), made("a"))
    passed = told(task("a", "completed", at=1), story=designed)
    follow = (
        FollowWorkflow(version=stricter.version, document=stricter),
        FollowMigration(ticket_id="T", workflow_version=stricter.version, migration=1),
    )
    failed = told(*follow, story=passed).past[-1]
    assert isinstance(failed, GateFailed)
    assert (failed.workflow_version, len(failed.blocking_reasons)) == (stricter.version, 1)
    same = WORKFLOW.model_copy(update={"description": "In other words."})
    again = told(
        FollowWorkflow(version=same.version, document=same),
        FollowMigration(ticket_id="T", workflow_version=same.version, migration=1),
        story=passed,
    ).past[-1]
    assert isinstance(again, GatePassed)
    assert again.workflow_version == same.version


def changed_design(*outputs: dict[str, object]) -> Workflow:
    """The workflow with more expected of the design."""
    fields = WORKFLOW.model_dump(mode="json")
    fields["phases"][2]["expected_outputs"] = list(outputs)
    return Workflow.model_validate(fields)
