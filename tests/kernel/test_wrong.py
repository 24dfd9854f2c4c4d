"""What a contract does not take is refused in our words, and numbers are numbers."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.contracts.discovery import Record
from shared.contracts.memory import Search
from shared.contracts.messages import Command, Query
from shared.contracts.task import ClaimTask, CompleteTask, CreateTask, ListAttempts
from shared.contracts.wrong import in_words, told
from shared.kernel.door import InvalidCommand, validated
from tests.architecture.language import classes_of, published

TASK = {"ticket_id": "t", "phase_id": "p", "task_type": "x", "title": "t"}
DONE = {"task_id": "t", "claim_epoch": 1, "result": {}}
ODD: tuple[Any, ...] = (
    None,
    -(2**70),
    True,
    7,
    -1,
    0.5,
    "",
    "x",
    "a b",
    [],
    [{}],
    {},
    {"a": 1},
    "x" * 30_000,
    ["x"] * 500,
)
THEIRS = ("Input should", "String should", "Value should", "Field required", "Value error", "Extra inputs")


def refusals(contract: type[Command | Query], odd: Any) -> list[str]:
    """What is said of each field when all of them are odd."""
    try:
        contract.model_validate(dict.fromkeys(contract.model_fields, odd))
    except ValidationError as error:
        return [words for _, words in in_words(error)]
    return []


@pytest.mark.parametrize(
    ("contract", "fields", "place", "words"),
    [
        (Search, {"text": ""}, "text", "Text is needed here."),
        (Search, {}, "text", "This field is required."),
        (Search, {"text": "x", "limt": 3}, "limt", "There is no such field. Did you mean limit?"),
        (CompleteTask, DONE | {"claim_epoch": "1"}, "claim_epoch", 'A whole number is needed here, not "1".'),
        (
            CompleteTask,
            DONE | {"claim_epoch": True},
            "claim_epoch",
            "A whole number is needed here, not true.",
        ),
        (
            CompleteTask,
            DONE | {"task_id": "a b"},
            "task_id",
            '"a b" is no name: it may have letters, digits, ',
        ),
        (
            CreateTask,
            TASK | {"needs": True},
            "needs",
            "This is 'all' or 'any', not true. Or: A whole number ",
        ),
        (CreateTask, TASK | {"timeout_seconds": "9"}, "timeout_seconds", 'A number is needed here, not "9".'),
        (CreateTask, TASK | {"deadline": "soon"}, "deadline", "A time in ISO 8601 is needed here, "),
        (ClaimTask, {"agent_id": "a", "wait_seconds": False}, "wait_seconds", "A number is needed here"),
        (ListAttempts, {"limit": 0}, "limit", "At least 1 is needed here, not 0."),
    ],
)
def test_each_wrong_field_is_told_in_a_sentence(
    contract: type[Command | Query], fields: dict[str, Any], place: str, words: str
) -> None:
    with pytest.raises(InvalidCommand) as refused:
        validated(contract, fields)
    assert refused.value.details["fields"][place].startswith(words)
    assert f"{place}: {words}" in refused.value.message


@pytest.mark.parametrize("value", [3, 3.0, 0.25])
def test_a_number_may_be_whole_or_not(value: float) -> None:
    assert ClaimTask(agent_id="a", wait_seconds=value).wait_seconds == value


@pytest.mark.parametrize("contract", [c for c in classes_of(published()) if issubclass(c, Command | Query)])
def test_no_contract_speaks_in_the_words_of_the_library(contract: type[Command | Query]) -> None:
    for words in (words for odd in ODD for words in refusals(contract, odd)):
        assert words.endswith((".", "?")), words
        assert not [theirs for theirs in THEIRS if theirs in words], words


def test_what_is_wrong_is_shown_in_short() -> None:
    with pytest.raises(ValidationError) as error:
        Record.model_validate({"source_task_id": "x" * 100_000, "discovery_type": "bug", "description": "d"})
    assert len(told(error.value)) < 200
