"""Activities: what is pending is done, again after a failure or a crash, by one replica, without a queue."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, MetaData, Table, Text, select

from shared.contracts.messages import Command, Event, Key, Query
from shared.kernel import activities
from shared.kernel.asking import Asking, QueryRefused
from shared.kernel.asyncapi import document
from shared.kernel.decider import Aggregate, Context, Facts, Past, Refused
from shared.kernel.declaration import Activity, Index, NotNow, Service
from shared.kernel.reading import Reading
from shared.testing.world import World, until

metadata = MetaData()
letters = Table(
    "letters", metadata, Column("letter_id", Text, primary_key=True), Column("delivered", Boolean)
)


class Post(Command):
    """Post a letter."""

    letter_id: Key


class NoteDelivery(Command):
    """A letter has been delivered."""

    letter_id: Key


class WhereLives(Query):
    """Whom a letter is for, which the town hall knows."""

    letter_id: Key

    @classmethod
    def owner(cls) -> str:
        """Another service than the one that asks."""
        return "test_townhall"


class WhoIsRich(WhereLives):
    """What the town hall would tell anybody, but the postman need not know."""


class NobodyLivesThere(Refused):
    """No such person."""


class LetterPosted(Event):
    """A letter was posted."""

    letter_id: Key


class LetterDelivered(Event):
    """A letter was delivered."""

    letter_id: Key


@dataclass(frozen=True)
class Letter:
    """A letter on its way."""

    letter_id: str = ""
    delivered: bool = False


@dataclass(frozen=True)
class Undelivered:
    """A letter that is pending."""

    key: str


@dataclass
class Round:
    """The postman's day: whom he called on, and what he meets with."""

    calls: list[str] = field(default_factory=list)
    trouble: dict[str, list[Exception]] = field(default_factory=dict)
    slow: asyncio.Event = field(default_factory=asyncio.Event)
    question: Callable[[str], Query] = lambda key: WhereLives(letter_id=key)
    heard: list[dict[str, Any]] = field(default_factory=list)

    async def perform(self, letter: Undelivered, _: Reading, asking: Asking) -> Sequence[Command]:
        self.calls.append(letter.key)
        if letter.key.startswith("to-"):
            self.heard.append(await asking.query(self.question(letter.key)))
        if letter.key.startswith("slow"):
            await self.slow.wait()
        if trouble := self.trouble.get(letter.key):
            raise trouble.pop(0)
        return [NoteDelivery(letter_id=letter.key)]


async def pending(reading: Reading, limit: int) -> Sequence[Undelivered]:
    wanted = select(letters.c.letter_id).where(~letters.c.delivered).order_by(letters.c.letter_id)
    return [Undelivered(row["letter_id"]) for row in await reading.rows(wanted.limit(limit))]


def post(command: Post, past: Past, _: Context) -> Facts:
    return [] if past.of(Letter, command.letter_id).letter_id else [LetterPosted(letter_id=command.letter_id)]


def note_delivery(command: NoteDelivery, past: Past, _: Context) -> Facts:
    delivered = past.of(Letter, command.letter_id).delivered
    return [] if delivered else [LetterDelivered(letter_id=command.letter_id)]


def evolve(state: Letter, event: LetterPosted | LetterDelivered) -> Letter:
    return Letter(event.letter_id, isinstance(event, LetterDelivered) or state.delivered)


def courier(postman: Round) -> Service:
    return Service(
        "test_activities",
        aggregates=[Aggregate(Letter, evolve, "letter_id")],
        obeys={Post: post, NoteDelivery: note_delivery},
        indexes=[
            Index(
                letters, Letter, lambda letter: {"letter_id": letter.letter_id, "delivered": letter.delivered}
            )
        ],
        activities=[Activity("deliver", pending, postman.perform, asks=[WhereLives], at_once=2)],
    )


async def where_lives(query: WhereLives, _: Reading) -> Mapping[str, Any]:
    if query.letter_id == "to-nobody":
        raise NobodyLivesThere("Nobody lives there.", street="High Street")
    return {"street": query.letter_id}


TOWNHALL = Service("test_townhall", answers={WhereLives: where_lives, WhoIsRich: where_lives})


@pytest.fixture
async def town(a_world: World) -> World:
    await a_world.install(courier(Round()), tables=[metadata])
    return a_world


async def posted(town: World, *ids: str) -> None:
    for letter_id in ids:
        assert (await town.ask("test_activities.post", {"letter_id": letter_id}))["ok"]


async def delivered(town: World) -> set[str]:
    rows = await town.fetch("SELECT letter_id FROM test_activities.letters WHERE delivered")
    return {row["letter_id"] for row in rows}


async def test_what_is_pending_is_performed_once(town: World) -> None:
    postman = Round()
    async with town.running(courier(postman)):
        await posted(town, *(f"l{n}" for n in range(10)))
        await until(lambda: all_there(town, 10), 30)
        await posted(town, "more")
        await until(lambda: all_there(town, 11), 30)
    assert sorted(postman.calls) == sorted({*(f"l{n}" for n in range(10)), "more"})


async def all_there(town: World, count: int) -> bool:
    return len(await delivered(town)) == count


async def test_a_failure_is_tried_again_and_holds_up_nobody(town: World) -> None:
    postman = Round(trouble={"a": [OSError("the road is closed"), NotNow("a holiday", 0.2)]})
    async with town.running(courier(postman)):
        await posted(town, "a", "slow", "b", "c")
        await until(lambda: all_there(town, 3), 30)
        assert await delivered(town) == {"a", "b", "c"}
        postman.slow.set()
        await until(lambda: all_there(town, 4), 30)
    assert postman.calls.count("a") == 3
    assert postman.calls.count("slow") == 1


async def test_what_a_crash_interrupts_is_performed_by_the_next_process(town: World) -> None:
    first = Round()
    async with town.running(courier(first)):
        await posted(town, "slow")
        await until(lambda: called(first), 30)
    assert not await delivered(town)
    second = Round()
    second.slow.set()
    async with town.running(courier(second)):
        await until(lambda: all_there(town, 1), 30)
    assert second.calls == ["slow"]


async def called(postman: Round) -> bool:
    return bool(postman.calls)


async def test_one_of_two_replicas_performs(town: World) -> None:
    postmen = [Round(), Round()]
    async with town.running(courier(postmen[0]), courier(postmen[1])):
        await posted(town, *(f"l{n}" for n in range(20)))
        await until(lambda: all_there(town, 20), 30)
    assert sorted(postmen[0].calls + postmen[1].calls) == sorted(f"l{n}" for n in range(20))
    assert not (postmen[0].calls and postmen[1].calls)


async def test_an_item_that_nothing_settles_is_not_performed_without_a_pause(
    town: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgets(self: Round, letter: Undelivered, *_: object) -> Sequence[Command]:
        self.calls.append(letter.key)
        return []

    monkeypatch.setattr(Round, "perform", forgets)  # planted fault
    monkeypatch.setattr(activities, "AGAIN_SECONDS", 0.5)  # planted fault
    postman = Round()
    async with town.running(courier(postman)):
        await posted(town, "a")
        await until(lambda: called_twice(postman), 30)
        first = len(postman.calls)
        await posted(town, "b")
        assert len(postman.calls) <= first + 2


async def called_twice(postman: Round) -> bool:
    return postman.calls.count("a") >= 2


async def test_an_activity_asks_another_service_and_again_when_that_is_away(a_world: World) -> None:
    postman = Round()
    await a_world.install(courier(postman), tables=[metadata])
    await a_world.install(TOWNHALL)
    async with a_world.running(courier(postman)):
        await posted(a_world, "to-ann")
        await until(lambda: called(postman), 30)
        assert not await delivered(a_world)
        async with a_world.running(TOWNHALL):
            await until(lambda: all_there(a_world, 1), 30)
    assert postman.heard == [{"street": "to-ann"}]


async def test_what_the_other_service_refuses_is_told_with_its_code(a_world: World) -> None:
    refusals: list[QueryRefused] = []
    postman = Round()

    async def perform(letter: Undelivered, _: Reading, asking: Asking) -> Sequence[Command]:
        try:
            await asking.query(WhereLives(letter_id=letter.key))
        except QueryRefused as refused:
            refusals.append(refused)
        return [NoteDelivery(letter_id=letter.key)]

    service = courier(postman)
    service = replace(service, activities=[replace(service.activities[0], perform=perform)])
    await a_world.install(service, tables=[metadata])
    await a_world.install(TOWNHALL)
    async with a_world.running(service, TOWNHALL):
        await posted(a_world, "to-nobody")
        await until(lambda: all_there(a_world, 1), 30)
    told = [(one.code, one.message, one.details) for one in refusals]
    assert told == [("nobody_lives_there", "Nobody lives there.", {"street": "High Street"})]


async def test_an_activity_asks_nothing_that_it_has_not_declared(a_world: World) -> None:
    postman = Round(question=lambda key: WhoIsRich(letter_id=key))
    await a_world.install(courier(postman), tables=[metadata])
    await a_world.install(TOWNHALL)
    async with a_world.running(courier(postman), TOWNHALL):
        await posted(a_world, "to-ann", "b")
        await until(lambda: all_there(a_world, 1), 30)
        assert await delivered(a_world) == {"b"}
        assert "to-ann" in postman.calls
    assert postman.heard == []


def test_what_a_service_asks_others_is_in_its_declaration() -> None:
    asking = courier(Round())
    assert asking.asks == (WhereLives,)
    page = document(asking)
    assert page["operations"]["send-qry-where_lives"]["action"] == "send"
    assert page["channels"]["qry-where_lives"]["address"] == "qry.test_townhall.where_lives"
