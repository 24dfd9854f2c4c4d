"""A second service for the kernel's tests: it hears of payments and notes each, in order."""

from dataclasses import dataclass

from shared.contracts.messages import Command, Event, Key
from shared.kernel.decider import Aggregate, Context, Facts, Past
from shared.kernel.declaration import Service
from tests.kernel.till import TillOpened, TillPaid

BROKEN: set[str] = set()
"""Tills whose payments the reaction stumbles over, until a test mends it."""


class NotePayment(Command):
    """Note a payment."""

    till_id: Key
    coins: int


class EarNoted(Event):
    """A payment was noted."""

    till_id: Key
    coins: int


@dataclass(frozen=True)
class Ear:
    """The payments into one till, in the order they were heard."""

    coins: tuple[int, ...] = ()


def evolve(ear: Ear, event: EarNoted) -> Ear:
    return Ear((*ear.coins, event.coins))


def note_payment(command: NotePayment, past: Past, _: Context) -> Facts:
    past.of(Ear, command.till_id)
    return [EarNoted(till_id=command.till_id, coins=command.coins)]


def on_paid(event: TillPaid) -> list[Command]:
    if event.till_id in BROKEN:
        raise ZeroDivisionError(event.till_id)
    return [NotePayment(till_id=event.till_id, coins=event.coins)]


def on_opened(event: TillOpened) -> list[Command]:
    if event.till_id in BROKEN:
        raise ZeroDivisionError(event.till_id)
    return []


ear = Service(
    "ear",
    aggregates=[Aggregate(Ear, evolve, key="till_id")],
    obeys={NotePayment: note_payment},
    hears={TillPaid: on_paid, TillOpened: on_opened},
)
