"""Board and phase in memory, with news between them that may take its time."""

from datetime import datetime, timedelta

from services.board.board import Board
from services.board.card import Card
from services.board.columns import CardsOf
from services.board.service import board
from services.phase.blocker import BlockedBy
from services.phase.service import phase
from services.phase.ticket import Ticket
from services.phase.workflow import WorkflowNames
from shared.contracts.board import CardWithdrawn, SlotReserved, WipExceeded
from shared.contracts.messages import Authority, Command, Event, Result
from shared.contracts.phase import LoadWorkflow, OpenTicket
from shared.contracts.workflow import Workflow
from shared.kernel.decider import CancelTimer, Context, Fact, Facts, Refused, Timer, Unavailable, Waiting
from shared.kernel.declaration import Service
from shared.testing.scenario import NOON, History

Side = str


class Floor:
    """Where tickets and their cards are; `hear` lets the oldest piece of news arrive on one side."""

    def __init__(self, workflow: Workflow) -> None:
        self.now: datetime = NOON
        self.workflow = workflow
        self.events: list[Event] = []
        self.tickets: list[str] = []
        self.news: dict[Side, list[Command]] = {"board": [], "phase": []}
        self.timers: dict[Side, dict[str, Timer]] = {"board": {}, "phase": {}}
        self._sent = 0
        self._services: dict[Side, Service] = {"board": board, "phase": phase}
        self._pasts: dict[Side, History] = {
            "board": History(board.aggregates, (), {CardsOf: self._cards_of}),
            "phase": History(
                phase.aggregates, (), {BlockedBy: lambda _: (), WorkflowNames: lambda _: (workflow.name,)}
            ),
        }
        self.load(workflow)

    def load(self, workflow: Workflow) -> None:
        """Adopt a version; both sides have heard of it when this returns."""
        self.workflow = workflow
        self.do("phase", LoadWorkflow(document=workflow))
        self.hear_all()

    def open(self) -> None:
        """One more ticket."""
        ticket_id = f"t{len(self.tickets):02}"
        self.tickets.append(ticket_id)
        self.do("phase", OpenTicket(ticket_id=ticket_id, title=ticket_id, workflow=self.workflow.name))

    @property
    def board(self) -> Board:
        """The board as it stands."""
        return self._pasts["board"].of(Board, self.workflow.name)

    def card(self, ticket_id: str) -> Card:
        """A card as it stands."""
        return self._pasts["board"].of(Card, ticket_id)

    def ticket(self, ticket_id: str) -> Ticket:
        """A ticket as phase knows it."""
        return self._pasts["phase"].of(Ticket, ticket_id)

    def _cards_of(self, lookup: CardsOf) -> tuple[str, ...]:
        known = sorted(each for each in self.tickets if self.card(each).ticket_id)
        return tuple(each for each in known if each > lookup.after)[: lookup.limit]

    def do(self, side: Side, command: Command, actor: str = "ann") -> Facts:
        """Let one side decide a command; a refusal and a wait leave behind what they say."""
        self._sent += 1
        context = Context(f"c{self._sent}", actor, Authority.SYSTEM, self.now, self.now)
        before = self.board
        try:
            facts = self._services[side].obeys[type(command)](command, self._pasts[side], context)
        except (Refused, Waiting) as answer:
            facts = answer.facts
        for fact in facts:
            self._happen(side, fact)
        if side == "board":
            self._check(before, facts)
        return facts

    def _happen(self, side: Side, fact: Fact) -> None:
        other = "phase" if side == "board" else "board"
        match fact:
            case Event():
                self._pasts[side].add(fact)
                self.events.append(fact)
                if reaction := self._services[other].hears.get(type(fact)):
                    self.news[other] += reaction(fact)
            case Timer():
                self.timers[side][fact.key] = fact
            case CancelTimer():
                self.timers[side].pop(fact.key, None)
            case Result():
                pass

    def _check(self, before: Board, facts: Facts) -> None:
        """Whatever was decided: nobody jumps the line, and a limit is exceeded aloud or not at all."""
        after = self.board
        told = {fact.column: fact.count for fact in facts if isinstance(fact, WipExceeded)}
        for column in after.columns:
            used, limit = after.used(column.id), column.wip_limit
            is_news = used > before.used(column.id) or limit != before.limit(column.id)
            if limit is not None and used > limit and is_news:
                assert told.get(column.id) == used, f"{column.id} holds {used} of {limit}, and nobody said so"
        left = {fact.ticket_id for fact in facts if isinstance(fact, CardWithdrawn)}
        line = [ticket_id for ticket_id in before.line if ticket_id not in left]
        pulled: dict[str | None, list[str]] = {}
        for fact in facts:
            if isinstance(fact, SlotReserved) and fact.ticket_id in line and not fact.forced:
                pulled.setdefault(fact.column, []).append(fact.ticket_id)
        for column_id, tickets in pulled.items():
            in_order = [each for each in line if before.line[each].column == column_id]
            assert in_order[: len(tickets)] == tickets, "somebody jumped the line"

    def hear(self, side: Side) -> None:
        """One piece of news arrives; what came too early is put behind the others."""
        if self.news[side]:
            command = self.news[side].pop(0)
            try:
                self.do(side, command, actor=side)
            except Unavailable:
                self.news[side].append(command)

    def hear_all(self) -> None:
        """All news arrives."""
        for _ in range(5000):
            if not any(self.news.values()):
                return
            for side in self.news:
                self.hear(side)
        raise AssertionError(f"there is no end to the news: {self.news}")

    def wait(self, seconds: float) -> None:
        """Let time pass; timers fire when they are due."""
        until = self.now + timedelta(seconds=seconds)
        while due := sorted(
            ((timer.due_at, side, key) for side, set_ in self.timers.items() for key, timer in set_.items()),
        ):
            at, side, key = due[0]
            if at > until:
                break
            self.now = max(self.now, at)
            timer = self.timers[side].pop(key)
            self.do(side, timer.command, actor=side)
        self.now = until
