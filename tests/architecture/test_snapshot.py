"""A published field is never removed, retyped or newly demanded."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, create_model

from tests.architecture.snapshot import broken, current, plain, recorded

OLD: dict[str, Any] = {
    "title": (Annotated[str, Field(max_length=200)], ...),
    "count": (int, 1),
    "tags": (tuple[str, ...], ()),
    "status": (Literal["open", "done"], "open"),
    "note": (str | None, None),
    "extra": (dict[str, Any], {}),
}

BREACHES: dict[str, dict[str, Any]] = {
    "removed": {name: field for name, field in OLD.items() if name != "note"},
    "retyped": OLD | {"count": (str, "1")},
    "no longer empty": OLD | {"note": (str, "")},
    "retyped inside": OLD | {"tags": (tuple[int, ...], ())},
    "retyped beside None": OLD | {"note": (int | None, None)},
    "newly demanded": OLD | {"count": (int, ...)},
    "new and demanded": OLD | {"owner": (str, ...)},
    "one choice less": OLD | {"status": (Literal["open"], "open")},
    "a choice at all": OLD | {"title": (Literal["a"], ...)},
    "shorter": OLD | {"title": (Annotated[str, Field(max_length=100)], ...)},
    "longer at least": OLD | {"title": (Annotated[str, Field(max_length=200, min_length=1)], ...)},
    "a closed dictionary": OLD | {"extra": (dict[str, int], {})},
}

ADDITIONS: dict[str, dict[str, Any]] = {
    "the same": OLD,
    "a new field with a default": OLD | {"owner": (str, "nobody")},
    "a new choice": OLD | {"status": (Literal["open", "done", "gone"], "open")},
    "no longer demanded": OLD | {"title": (Annotated[str, Field(max_length=200)], "untitled")},
    "longer": OLD | {"title": (Annotated[str, Field(max_length=300, description="Words.")], ...)},
}


def snapshot(fields: dict[str, Any]) -> dict[str, Any]:
    """A snapshot with one command of these fields, and a second that carries it."""
    part = create_model("Part", **fields)
    return {
        "command door.open": plain(part),
        "command door.carry": plain(create_model("Carry", part=(part, ...))),
    }


def test_the_published_contracts_keep_their_promises() -> None:
    found = sorted(broken(recorded(), current()))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_found_in_a_message_and_in_a_part_of_one(breach: str) -> None:
    found = list(broken(snapshot(OLD), snapshot(BREACHES[breach])))
    assert {line.split(".")[1].split()[0] for line in found} == {"open", "carry"}


@pytest.mark.parametrize("addition", ADDITIONS)
def test_what_only_adds_is_allowed(addition: str) -> None:
    assert list(broken(snapshot(OLD), snapshot(ADDITIONS[addition]))) == []


def test_a_contract_that_is_gone_is_found() -> None:
    assert list(broken(snapshot(OLD), {}))


def test_the_snapshot_records_something() -> None:
    assert recorded()
