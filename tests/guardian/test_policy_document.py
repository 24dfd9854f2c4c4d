"""Policy documents: all that is wrong is said at once, with line and key."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from omoi import policy_file
from services.guardian.policy import PolicyNotFound, PolicyUnsound, sound
from services.guardian.policy_document import examined
from services.guardian.service import guardian
from shared.contracts.document import yaml_object
from shared.contracts.guardian import LoadPolicy, PolicyVersion, RemovePolicy
from shared.contracts.policy import Policy
from shared.testing.scenario import Scenario
from tests.guardian.watching import policy

SHIPPED = sorted((Path(__file__).parents[2] / "policies").glob("*.yaml"))
GUARDIAN = Scenario(guardian.aggregates, guardian.obeys)
BROKEN = """\
name: stop it
triggers:
  - id: a
    on: task.startd
    actions: [cancel_tsk]
  - id: a
    on: [task.started, agent.lost]
    actions: [notify]
  - id: b
    on: task.started
    when: tusk.status == "running"
    lasting: 5 minutes
    actions:
      - cancel_task: {task_id: agent.id}
      - override_priority: {task_id: task.id, prioritty: HIGH}
    cooldown: soon
"""


def test_everything_wrong_is_said_at_once_in_the_order_of_the_lines() -> None:
    none, problems = examined(BROKEN)
    assert none is None
    assert [(problem.line, problem.key) for problem in problems] == [
        (1, "name"),
        (4, "triggers[0].on"),
        (5, "triggers[0].actions[0]"),
        (6, "triggers[1].id"),
        (7, "triggers[1].on"),
        (11, "triggers[2].when"),
        (12, "triggers[2].lasting"),
        (14, "triggers[2].actions[0].cancel_task.task_id"),
        (15, "triggers[2].actions[1].override_priority.priority"),
        (15, "triggers[2].actions[1].override_priority.prioritty"),
        (16, "triggers[2].cooldown"),
    ]
    said = {problem.key: problem.message for problem in problems}
    assert said["triggers[0].on"] == (
        "There is no fact task.startd to be heard; the one spelt most like it is task.started."
    )
    assert said["triggers[2].when"] == "There is no name tusk. Did you mean task? (at character 1)."


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_ships_is_sound_and_fits_the_schema(path: Path) -> None:
    text = path.read_text("utf-8")
    assert sound(text).name == path.stem
    schema = Draft202012Validator(yaml_object(policy_file.schema_text()))
    assert list(schema.iter_errors(yaml_object(text))) == []
    assert text.startswith("# yaml-language-server: $schema=policy.schema.json\n")


def test_the_schema_beside_the_policies_is_up_to_date() -> None:
    """`omoi guardian policy schema --to policies/policy.schema.json` makes it so."""
    assert (SHIPPED[0].parent / "policy.schema.json").read_text("utf-8") == policy_file.schema_text()


def test_the_version_is_that_of_the_content_however_it_is_written() -> None:
    written = policy({"on": "task.failed", "cooldown": "10m"})
    same = policy({"on": ["task.failed"], "actions": [{"notify": {}}], "cooldown": 600})
    assert written.version == same.version
    assert Policy.model_validate(written.model_dump(mode="json")).version == written.version
    assert policy({"on": "task.failed", "cooldown": "11m"}).version != written.version


@pytest.mark.parametrize("text", ["", "# nothing", "just words"])
def test_what_is_no_mapping_is_told_what_a_policy_is(text: str) -> None:
    _, [problem] = examined(text)
    assert problem.message.endswith("A policy is a mapping of fields such as name and triggers.")


def test_loading_the_same_again_changes_nothing() -> None:
    command = LoadPolicy(document=policy({"on": "task.failed"}).model_dump(mode="json"))
    [_, told] = GUARDIAN.when(command).decide()
    assert isinstance(told, PolicyVersion)
    GUARDIAN.given(*GUARDIAN.when(command).events()).when(command).then(told)


def test_what_is_unsound_is_refused_with_every_problem() -> None:
    refused = GUARDIAN.when(LoadPolicy(document=BROKEN)).then_refused(PolicyUnsound)
    assert len(refused.details["problems"]) == 11


def test_what_is_not_loaded_cannot_be_removed() -> None:
    GUARDIAN.when(RemovePolicy(name="p", reason="No.")).then_refused(PolicyNotFound, name="p")


def test_a_removed_policy_is_gone() -> None:
    given = GUARDIAN.given(
        *GUARDIAN.when(LoadPolicy(document=policy({"on": "task.failed"}).model_dump(mode="json"))).events()
    )
    removed = given.when(RemovePolicy(name="p", reason="No.")).events()
    given.given(*removed).when(RemovePolicy(name="p", reason="No.")).then_refused(PolicyNotFound)
