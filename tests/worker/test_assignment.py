from dataclasses import replace

import pytest

from tests.worker.project import task


def test_an_attempt_is_named_by_its_task_and_number() -> None:
    assert task("build_it-2", attempt=3).name == "build_it-2-3"


@pytest.mark.parametrize("name", ["", "../../etc", "a/b", "a b", "a\n", "x" * 65, "t.lock", "é"])
def test_ids_that_could_not_be_paths_and_branches_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a token"):
        task(name)
    with pytest.raises(ValueError, match="agent_id"):
        replace(task("t"), agent_id=name)
