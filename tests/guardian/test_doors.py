"""Every command of every service at every level, over the wire: allowed or refused exactly as it declares."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from omoi.services import all_services
from shared.contracts.messages import ANONYMOUS, Authority, Command, Result
from shared.kernel.decider import Context, Facts, Past
from shared.kernel.declaration import Service
from shared.kernel.schema import migrate
from shared.kernel.settings import Settings
from shared.testing.servers import Servers
from shared.testing.world import World, until, world
from tests.guardian.bodies import body_of

WAYS = ("configured", "granted")
DEAD = ("retry_dead", "drop_dead")
CONFIGURED = {f"configured-{level.name}": level for level in Authority} | {"operator": Authority.SYSTEM}
AT_ONCE = 100


class Passed(Result):
    """The door let a command through, with that authority."""

    held: str


@dataclass(frozen=True)
class Knock:
    """One actor's try at one command."""

    service: str
    command: str
    required: Authority
    actor: str | None
    held: Authority
    body: dict[str, Any]
    lane: str = "ask"

    @property
    def allowed(self) -> bool:
        return self.held >= self.required

    async def at(self, world: World) -> dict[str, Any]:
        """The answer."""
        send = world.ask if self.lane == "ask" else world.tell
        return await send(f"{self.service}.{self.command}", self.body, actor=self.actor, seconds=30)

    def answered_with(self, answer: dict[str, Any]) -> bool:
        """Whether that is what was declared."""
        if self.allowed:
            return answer["ok"] and bool(answer["result"] == {"held": self.held.name})
        details = {"required": self.required.name, "held": self.held.name}
        return (answer.get("code"), answer.get("details")) == ("not_authorised", details)


def let_in(command: Command, past: Past, context: Context) -> Facts:
    return [Passed(held=context.authority.name)]


def door_of(service: Service) -> Service:
    """The service behind whose door nothing happens: who comes in is told so."""
    return Service(
        service.name, service.aggregates, dict.fromkeys(service.obeys, let_in), indexes=service.indexes
    )


def knocks(service: Service) -> Iterator[Knock]:
    """Every command by every actor, and on the durable lane by those just below and just at its level."""
    for command in service.obeys:
        name, required, body = command.wire_name(), command.authority, body_of(command)
        yield Knock(service.name, name, required, None, Authority.WORKER, body)
        for way in WAYS:
            for level in Authority:
                yield Knock(service.name, name, required, f"{way}-{level.name}", level, body)
        for level in Authority:
            if level in (required - 1, required):
                yield Knock(service.name, name, required, f"granted-{level.name}", level, body, "cmd")


async def wrong(world: World, knocking: Sequence[Knock]) -> list[tuple[Knock, dict[str, Any]]]:
    """The knocks that were not answered as declared."""
    found = []
    for first in range(0, len(knocking), AT_ONCE):
        some = knocking[first : first + AT_ONCE]
        answers = await asyncio.gather(*(knock.at(world) for knock in some))
        found += [(knock, answer) for knock, answer in zip(some, answers, strict=True)
                  if not knock.answered_with(answer)]  # fmt: skip
    return found


@pytest.fixture(scope="module")
async def street(stack: Servers) -> AsyncIterator[World]:
    """A world in which the guardian has granted each level to somebody, and is away."""
    async with world(stack.database_url, stack.nats_url()) as made:
        made.settings = Settings(grants=CONFIGURED)
        services = all_services()
        await migrate(made.database_url, sorted(services))
        async with made.running(services["guardian"]):
            for level in Authority:
                body = {"actor": f"granted-{level.name}", "level": level.name, "reason": "to see"}
                assert (await made.ask("guardian.grant_authority", body, actor="operator"))["ok"]
            await made.events(len(Authority), 30, "evt.guardian.authority_granted.>")
            await until(lambda: knows_the_grants(made, "guardian"), 30)
        yield made


async def knows_the_grants(world: World, service: str) -> bool:
    """Whether the service has heard them all."""
    rows = await world.fetch(f'SELECT actor FROM "{service}".grants')
    return len(rows) == len(Authority)


@pytest.mark.parametrize("name", sorted(all_services()))
async def test_every_command_asks_for_the_authority_that_it_declares(street: World, name: str) -> None:
    service = all_services()[name]
    async with street.running(door_of(service)):
        await until(lambda: knows_the_grants(street, name), 30)
        assert await wrong(street, list(knocks(service))) == []
        for operation in DEAD:
            for way in WAYS:
                for level in Authority:
                    path, body = f"{name}.{operation}", {"id": 1}
                    answer = await street.ask(path, body, actor=f"{way}-{level.name}")
                    may = level >= Authority.MONITOR
                    assert answer["code"] == ("dead_letter_not_found" if may else "not_authorised")


@pytest.mark.parametrize("name", sorted(all_services()))
async def test_a_door_that_takes_nobody_without_a_name_takes_no_command_from_them(
    street: World, name: str
) -> None:
    service = all_services()[name]
    closed = replace(street, settings=Settings(grants=CONFIGURED, allow_anonymous=False))
    async with closed.running(door_of(service)):
        names = [command.wire_name() for command in service.obeys]
        answers = [await closed.ask(f"{name}.{command}", {}) for command in (*names, *DEAD)]
        assert {answer["code"] for answer in answers} == {"not_authorised"}


async def test_whoever_calls_themselves_nobody_is_nobody(street: World) -> None:
    service = all_services()["registry"]
    async with street.running(door_of(service)):
        as_nobody = [replace(knock, actor=ANONYMOUS) for knock in knocks(service) if knock.actor is None]
        assert as_nobody
        assert await wrong(street, as_nobody) == []


async def test_a_body_that_names_an_authority_is_not_taken(street: World) -> None:
    service = all_services()["phase"]
    async with street.running(door_of(service)):
        for field in ("authority", "actor", "level"):
            answer = await street.ask("phase.override_transition", {field: "SYSTEM"})
            assert field in answer["details"]["fields"]


async def test_a_planted_wrong_level_is_found(street: World) -> None:
    service = all_services()["registry"]
    planted = replace(
        street, settings=Settings(grants=CONFIGURED | {"configured-MONITOR": Authority.GUARDIAN})
    )
    async with planted.running(door_of(service)):
        await until(lambda: knows_the_grants(planted, "registry"), 30)
        found = await wrong(planted, list(knocks(service)))
    assert {knock.actor for knock, _ in found} == {"configured-MONITOR"}
    assert {"quarantine", "release"} <= {knock.command for knock, answer in found if answer["ok"]}
