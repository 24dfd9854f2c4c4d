"""The published language and the services that speak it, held against their rules and planted breaches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import ModuleType

import pytest

from shared.contracts.messages import Event
from shared.kernel.declaration import Service
from tests.architecture.language import (
    ambiguous,
    classes_of,
    declared,
    misplaced,
    published,
    strangers,
    undocumented,
    unexplained,
    unheard_of,
    without_key,
)

Rule = Callable[[Sequence[type]], Iterator[str]]

PLANTED: tuple[tuple[Rule, str], ...] = (
    (strangers, "class Loose(BaseModel): 'A value nobody carries.'"),
    (undocumented, "class OpenDoor(Command): ..."),
    (unexplained, "class OpenDoor(Command):\n    width: float"),
    (unexplained, "class OpenDoor(Command):\n    notes: tuple[str, ...] | None = None"),
    (ambiguous, "class OpenDoor(Command): ...\nclass Open_door(Command): ..."),
    (ambiguous, "class DoorOpened(Event): ...\nclass Opened(Event): ..."),
    (without_key, "class DoorOpened(Event):\n    at: Moment"),
    (without_key, "class DoorOpened(Event):\n    key = 'door_id'\n    at: Moment"),
)

WELL_SAID = """
class Leaf(Contract): 'A part.'
class Colour(StrEnum): 'A choice.'
class OpenDoor(Command):
    'Open a door.'
    door_id: Key | None = None
    until: Moment | None = None
    wait_seconds: float = 0
    how: Literal['slow', 'fast'] = 'slow'
    leaves: tuple[Leaf, ...] = ()
    width: Annotated[float, Field(description='In metres.')] | None = None
class DoorOpened(Event):
    'A door was opened.'
    door_id: Key
class GetDoor(Query):
    'One door.'
    door_id: Key
def evolve(state, event: DoorOpened): return state
def obey(command, past, context): return ()
async def answer(query, reading): return {}
DOORS = Aggregate(state=object, evolve=evolve, key='door_id')
"""

IMPORTS = """
from enum import StrEnum
from typing import Annotated, Literal
from pydantic import BaseModel, Field
from shared.contracts.messages import Command, Contract, Event, Key, Moment, Query
from shared.kernel.decider import Aggregate
"""


def door(text: str) -> ModuleType:
    """A contract module of the noun `door` made of `text`, of which the registry of events hears nothing."""
    module = ModuleType("shared.contracts.door")
    known = dict(Event.known)
    exec(IMPORTS + text, module.__dict__)
    Event.known.clear()
    Event.known.update(known)
    return module


WELL = door(WELL_SAID)
CLASSES = classes_of([WELL])
RULES = (strangers, undocumented, unexplained, ambiguous, without_key)
DOOR = Service(
    "door", aggregates=[WELL.DOORS], obeys={WELL.OpenDoor: WELL.obey}, answers={WELL.GetDoor: WELL.answer}
)


@pytest.mark.parametrize("rule", RULES)
def test_the_published_language_keeps(rule: Rule) -> None:
    found = list(rule(classes_of(published())))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("rule", "text"), PLANTED)
def test_a_planted_contract_is_found(rule: Rule, text: str) -> None:
    assert list(rule(classes_of([door(text)])))


@pytest.mark.parametrize("rule", RULES)
def test_a_contract_that_says_what_it_means_passes(rule: Rule) -> None:
    assert list(rule(CLASSES)) == []


def test_every_contract_is_kept_by_the_service_that_owns_it() -> None:
    found = list(misplaced(declared(), classes_of(published())))
    assert not found, "\n".join(found)


def test_services_are_declared_with_published_contracts() -> None:
    found = list(unheard_of(declared(), classes_of(published())))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "services",
    [
        [replace(DOOR, obeys={})],
        [replace(DOOR, answers={})],
        [replace(DOOR, aggregates=())],
        [replace(DOOR, name="window")],
        [DOOR, Service("window", obeys=DOOR.obeys)],
    ],
)
def test_a_contract_kept_by_nobody_by_another_or_by_two_is_found(services: list[Service]) -> None:
    assert list(misplaced(services, CLASSES))


def test_a_service_that_hears_itself_or_speaks_unpublished_words_is_found() -> None:
    assert list(unheard_of([replace(DOOR, hears={WELL.DoorOpened: WELL.obey})], CLASSES))
    assert list(unheard_of([DOOR], CLASSES[:-1]))


def test_a_service_that_keeps_what_it_owns_passes() -> None:
    assert list(misplaced([DOOR], CLASSES)) == list(unheard_of([DOOR], CLASSES)) == []


def test_a_service_that_is_not_written_yet_owes_nothing() -> None:
    assert list(misplaced([], CLASSES)) == []
