from pathlib import Path
from typing import get_args

import pytest

from omoi.cli.handoffs import ENDINGS, context_of
from shared.contracts.collaboration import HandoffStatus


def test_every_way_a_handoff_can_stand_has_its_sentence() -> None:
    assert set(ENDINGS) == set(get_args(HandoffStatus))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, {}),
        ('{"legs": 3}', {"legs": 3}),
        ("The glue is wet.", "The glue is wet."),
        ("[1, 2]", "[1, 2]"),
    ],
)
def test_the_context_of_a_handoff_is_json_or_a_text(text: str | None, told: object) -> None:
    assert context_of(text) == told


def test_the_context_of_a_handoff_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "context.json"
    file.write_text('{"legs": 4}', "utf-8")
    assert context_of(f"@{file}") == {"legs": 4}
