"""The board of a workflow: columns that limit work in progress, the cards in them, and how work flows.

A move through the board is told by `board.slot_reserved` (a slot is kept, phase is asked), then by
`board.card_moved` or, where phase refuses, by `board.card_returned`. A card that finds a column full waits in
line for it (`board.card_waiting`) and is pulled when a slot frees.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.contracts.messages import (
    Authority,
    Command,
    Contract,
    Event,
    Key,
    Moment,
    Priority,
    Query,
    Result,
)
from shared.contracts.workflow import Column, Workflow

WAIT_MAX_SECONDS = 30.0
CARDS_MAX = 500
"""Most cards of one column that a view shows."""
STATS_DAYS_MAX = 366
"""Most days that are counted in one answer."""

BoardName = Annotated[
    Key, Field(default="software_development", description="Name of the workflow whose board it is.")
]
MoveState = Literal["moved", "reserved", "waiting", "returned"]
"""`moved`: the ticket is there. `reserved`: a slot is kept, phase has not answered yet. `waiting`: the card
stands in line. `returned`: phase refused, the card is where it was."""


class CardMove(Result):
    """What came of a wish to move a card."""

    ticket_id: Key
    workflow: Key
    column: Key | None = Field(
        description="Column it is in or is to come to; none where the board shows its phase nowhere."
    )
    to_phase: Key = Field(description="Phase that the ticket is in or enters with it.")
    state: MoveState
    place: int | None = Field(default=None, description="Its place in the line of those that wait, from 1.")
    waiting: int | None = Field(default=None, description="How many wait for a slot in the column.")
    code: str | None = Field(default=None, description="Why phase refused, for programs.")
    reason: str | None = Field(default=None, description="Why phase refused, for people.")


class CardPlace(Result):
    """Where a card stands in its column."""

    ticket_id: Key
    column: Key
    position: int = Field(description="From 1, the first card of the column.")


class CardWithdrawal(Result):
    """Which line a card left."""

    ticket_id: Key
    column: Key | None


class MoveCard(Command):
    """Move a ticket to another column, within the column's WIP limit; in a full one it waits in line.

    Phase judges the move as any other: a gate that has not passed sends the card back. The answer comes when
    phase has spoken, at the latest after `wait_seconds`.
    """

    ticket_id: Key
    to_column: Key | None = Field(
        default=None,
        description="Column to move it to; when absent the one that shows `to_phase`, else where its column "
        "sends finished cards.",
    )
    to_phase: Key | None = Field(
        default=None,
        description="Phase of that column; when absent the one an unblocked ticket came from, else the first "
        "that its workflow allows.",
    )
    force: bool = Field(default=False, description="Past the WIP limit and past the line; needs MONITOR.")
    reason: str = Field(default="", max_length=2000, description="Why, for the ticket's history.")
    wait_seconds: float = Field(default=5.0, ge=0, le=WAIT_MAX_SECONDS)


class WithdrawCard(Command):
    """Take a card out of the line in which it waits for a slot; it stays where it is.

    Where its gate has passed meanwhile and it stood in line for another column, it goes on by itself now.
    """

    ticket_id: Key


class ReorderCard(Command):
    """Put a card elsewhere in its column: exactly one of `before`, `after` and `position` says where."""

    ticket_id: Key
    before: Key | None = Field(
        default=None, description="Ticket of the same column that shall come behind it."
    )
    after: Key | None = Field(
        default=None, description="Ticket of the same column that shall come before it."
    )
    position: int | None = Field(
        default=None, ge=1, le=10_000, description="From 1; behind the last card when it is more."
    )

    @model_validator(mode="after")
    def _one_place(self) -> "ReorderCard":
        if sum(place is not None for place in (self.before, self.after, self.position)) != 1:
            raise ValueError("name exactly one of before, after and position")
        return self


class FollowWorkflow(Command):
    """Know a workflow version. Sent by board when it hears of it."""

    authority = Authority.SYSTEM

    version: Key
    document: Workflow


class AdoptColumns(Command):
    """Take on the columns of a version. Sent by board when it hears that the version was adopted."""

    authority = Authority.SYSTEM

    workflow: Key
    version: Key
    at: Moment = Field(description="When it was adopted; an older word is not heard.")


class PlaceCards(Command):
    """Put one page of cards where the board's new columns show them. Sent by the board's timer."""

    authority = Authority.SYSTEM

    workflow: Key
    version: Key
    after: str = Field(default="", description="Go on behind this ticket id.")


class FollowTicket(Command):
    """Have a card for a ticket. Sent by board when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    title: str
    priority: Priority
    workflow: Key
    workflow_version: Key
    phase_id: Key
    at: Moment


class FollowEdit(Command):
    """Show what a ticket says now. Sent by board when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    title: str | None = None
    priority: Priority | None = None
    edit: int


class FollowPause(Command):
    """Show that a guardian lets none of a ticket's tasks be handed out, or lets them again. Sent by board."""

    authority = Authority.SYSTEM

    ticket_id: Key
    paused: str | None = Field(description="By whom and why; None: it is paused no more.")
    at: Moment


class FollowMigration(Command):
    """Judge a ticket's ways by another version. Sent by board when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    workflow_version: Key
    migration: int


class FollowMove(Command):
    """A ticket is in another phase. Sent by board when it hears of it, whoever moved it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    from_phase: Key
    to_phase: Key
    visit: int
    terminal: bool
    move: int = Field(description="Number of the move among all of the ticket, from 1.")
    actor: str = Field(description="Who moved it.")
    at: Moment


class PullCard(Command):
    """A ticket may go on by itself and asks for a slot. Sent by board when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    to_phase: Key
    move: int = Field(description="How often the ticket had moved when it asked.")
    reason: str


class ReturnCard(Command):
    """Phase did not move the ticket. Sent by board when it hears of it."""

    authority = Authority.SYSTEM

    ticket_id: Key
    reservation: int
    code: str
    reason: str


class RenewReservation(Command):
    """Phase has not answered in time: let the card ask again, in its old place. Sent by the board's timer."""

    authority = Authority.SYSTEM

    ticket_id: Key
    reservation: int


class BoardWorkflowFollowed(Event):
    """Board knows a workflow version."""

    version: Key
    document: Workflow


class BoardAdopted(Event):
    """The board of a workflow has these columns from now, and keeps their limits."""

    workflow: Key
    version: Key
    columns: tuple[Column, ...] = Field(description="From left to right; without any there is no board.")
    at: Moment


class CardAdded(Event):
    """A ticket has a card."""

    ticket_id: Key
    title: str
    priority: Priority
    workflow: Key
    workflow_version: Key
    phase_id: Key
    column: Key | None
    rank: str = Field(description="Its place in the column: cards are in the order of their ranks.")
    at: Moment


class CardEdited(Event):
    """A card shows something else; what is null stayed as it was."""

    ticket_id: Key
    title: str | None = None
    priority: Priority | None = None
    edit: int


class CardPauseChanged(Event):
    """A card shows that its ticket is paused, or no more."""

    ticket_id: Key
    paused: str | None = Field(default=None, description="By whom and why; null: it is paused no more.")
    at: Moment


class CardMigrated(Event):
    """A card's ways are judged by another version of its workflow."""

    ticket_id: Key
    workflow_version: Key
    migration: int


class CardMoved(Event):
    """A ticket is in another phase, and its card, it may be, in another column."""

    ticket_id: Key
    workflow: Key
    from_column: Key | None
    to_column: Key | None
    from_phase: Key
    to_phase: Key
    visit: int
    move: int = Field(
        description="Number of the ticket's last move; the same again where only columns changed."
    )
    rank: str
    terminal: bool = Field(description="Whether the ticket is done with it.")
    wish: str | None = Field(default=None, description="Id of the command that asked the board for it.")
    at: Moment


class CardReturned(Event):
    """Phase refused a move, or somebody else moved the ticket before; the slot is free again."""

    ticket_id: Key
    workflow: Key
    column: Key | None = Field(description="Column it was to go to.")
    to_phase: Key
    code: str
    reason: str
    wish: str
    at: Moment


class CardReordered(Event):
    """A card stands elsewhere in its column."""

    ticket_id: Key
    workflow: Key
    column: Key
    rank: str
    actor: str
    at: Moment


class FlowCounted(Event):
    """A card went from one column to another on a day; what the cumulative flow is counted from."""

    ticket_id: Key
    flow_id: str = Field(description="The workflow and the day.")
    workflow: Key
    day: date
    from_column: Key | None
    to_column: Key | None


class SlotReserved(Event):
    """A slot is kept for a card, and phase is asked to move the ticket."""

    ticket_id: Key
    workflow: Key
    column: Key | None
    from_phase: Key
    to_phase: Key
    move: int = Field(description="How often the ticket has moved: the move is refused once it is more.")
    reservation: int = Field(description="Number of this reservation among all of the board, from 1.")
    forced: bool = Field(default=False, description="Whether it was made past the limit and past the line.")
    reason: str = ""
    actor: str = Field(description="Who asked for the move.")
    wish: str = Field(description="Id of the command that asked for it.")
    by_itself: bool = Field(default=False, description="Whether no one asked but a passed gate.")
    waited_seconds: float = Field(default=0.0, description="How long the card stood in line.")
    expires_at: Moment = Field(description="Phase does not act on it any more from then.")
    at: Moment


class SlotTaken(Event):
    """A card is in a column with a limit and counts against it, or came through a reservation."""

    ticket_id: Key
    workflow: Key
    column: Key | None
    reserved: bool = Field(description="Whether the slot had been kept for it.")


class SlotFreed(Event):
    """A card counts against the limit of a column no more."""

    ticket_id: Key
    workflow: Key
    column: Key | None
    reserved: bool = Field(description="Whether the slot was only kept for it.")


class CardWaiting(Event):
    """A card may go on, but the column is full: it stands in line for a slot."""

    ticket_id: Key
    workflow: Key
    column: Key | None
    from_phase: Key
    to_phase: Key
    move: int
    place: int = Field(description="From 1, the next one to be pulled.")
    limit: int
    reason: str = ""
    actor: str
    wish: str
    by_itself: bool = Field(default=False, description="Whether no one asked but a passed gate.")
    since: Moment | None = Field(
        default=None, description="When it asked first, where it had been given a slot that lapsed."
    )
    at: Moment


class PullPostponed(Event):
    """A ticket may go on by itself, but somebody wants it elsewhere: it goes on if nothing comes of that."""

    ticket_id: Key
    workflow: Key
    to_phase: Key
    move: int = Field(description="How often the ticket had moved when it asked.")
    reason: str = ""
    actor: str
    wish: str = Field(description="Id of the command that asked for it.")
    at: Moment


class PullResumed(Event):
    """Nothing came of what somebody wanted: the ticket asks again for the slot to go on by itself."""

    ticket_id: Key
    workflow: Key
    to_phase: Key
    at: Moment


class CardWithdrawn(Event):
    """A card stands in line no more, without having been pulled."""

    ticket_id: Key
    workflow: Key
    column: Key | None
    why: Literal["moved", "withdrawn", "asked_otherwise", "columns_changed"]
    at: Moment


class WipExceeded(Event):
    """A column holds more cards than its limit: by force, by a move past the board, or by a new limit."""

    ticket_id: Key = Field(description="The card that was one too many.")
    workflow: Key
    column: Key
    limit: int
    count: int = Field(description="Cards in the column and slots kept, with this one.")
    forced: bool = Field(description="Whether somebody asked for it through the board.")
    actor: str
    at: Moment


class View(Query):
    """A board: its columns from left to right, with their cards in order."""

    workflow: BoardName
    cards: int = Field(default=50, ge=0, le=CARDS_MAX, description="Most cards of each column.")


class GetCard(Query):
    """One card: where it stands, and what it waits for."""

    ticket_id: Key


class ColumnForPhase(Query):
    """The column that shows the tickets of a phase."""

    phase_id: Key
    workflow: BoardName


class WipViolations(Query):
    """The columns that hold more than their limit, of one board or of all."""

    workflow: Key | None = None


class Stats(Query):
    """How work flows over a board, counted in days of UTC, at most 366 of them."""

    workflow: BoardName
    from_day: date | None = Field(default=None, description="First day; 29 days before the last when absent.")
    to_day: date | None = Field(default=None, description="Last day; today when absent.")
    oldest: int = Field(default=20, ge=0, le=CARDS_MAX, description="Most cards in the list of the oldest.")

    @model_validator(mode="after")
    def _in_order(self) -> "Stats":
        if self.from_day and self.to_day and self.from_day > self.to_day:
            raise ValueError("from_day is after to_day")
        return self


class CardView(Result):
    """A card as it is shown."""

    ticket_id: Key
    title: str
    priority: Priority
    phase_id: Key
    column: Key | None
    since: Moment = Field(description="When it came to the column.")
    opened_at: Moment
    waiting_for: Key | None = Field(default=None, description="Column for a slot of which it stands in line.")
    place: int | None = Field(default=None, description="Its place in that line, from 1.")
    waiting_since: Moment | None = None
    moving_to: Key | None = Field(default=None, description="Column in which a slot is kept for it.")
    returned: str | None = Field(default=None, description="Why phase refused its last move, if it did.")
    paused: str | None = Field(default=None, description="By whom and why it is paused, if it is.")


class ColumnView(Result):
    """A column with its cards."""

    id: Key
    name: str
    phases: tuple[Key, ...]
    limit: int | None
    count: int = Field(description="Cards in the column.")
    reserved: int = Field(description="Slots kept for cards that are about to come.")
    waiting: tuple[Key, ...] = Field(description="Tickets that stand in line for a slot, the next one first.")
    cards: tuple[CardView, ...] = Field(
        description="In order; a column in which tickets are done shows the newest ones, the newest first."
    )


class BoardView(Result):
    """A board."""

    workflow: Key
    version: Key
    columns: tuple[ColumnView, ...]
    elsewhere: int = Field(description="Cards in phases that no column shows.")


class CardDetails(Result):
    """A card with what it waits for, in words."""

    card: CardView
    workflow: Key
    place_in_line: str | None = Field(
        default=None, description="For example `waits for a slot in column building (2 of 5; limit 10)`."
    )


class ColumnName(Result):
    """A column and its limit."""

    workflow: Key
    phase_id: Key
    column: Key | None = Field(description="None where no column shows the phase.")
    name: str | None
    limit: int | None


class WipViolation(Contract):
    """A column that holds too much."""

    workflow: Key
    column: Key
    limit: int
    count: int = Field(description="Cards in the column, with the slots that are kept.")
    over: int


class Violations(Result):
    """The columns that hold more than their limit."""

    violations: tuple[WipViolation, ...]


class Percentiles(Contract):
    """A distribution of durations in seconds; null where nothing was done."""

    p50_seconds: float | None
    p85_seconds: float | None
    p95_seconds: float | None
    mean_seconds: float | None


class ColumnStats(Contract):
    """How full a column is, and how old what is in it."""

    id: Key
    name: str
    limit: int | None
    count: int = Field(description="Cards in the column.")
    reserved: int
    waiting: int = Field(description="Cards that stand in line for a slot.")
    utilisation: float | None = Field(
        description="Cards and kept slots over the limit; null without a limit."
    )
    oldest_seconds: float | None = Field(description="How long the card that came first is in the column.")
    mean_age_seconds: float | None


class AgeingCard(Contract):
    """An open card by its age."""

    ticket_id: Key
    title: str
    column: Key | None
    age_seconds: float = Field(description="Since the ticket was opened.")
    in_column_seconds: float


class DayCount(Contract):
    """Tickets done on a day."""

    day: date
    done: int


class FlowDay(Contract):
    """Cards in each column at the end of a day."""

    day: date
    columns: dict[str, int]


class BoardStats(Result):
    """How work flows over a board."""

    workflow: Key
    from_day: date
    to_day: date
    columns: tuple[ColumnStats, ...]
    open: int = Field(description="Cards whose tickets are not done.")
    done: int = Field(description="Tickets done in the days asked for.")
    throughput_per_day: float = Field(description="Tickets done a day, on average.")
    throughput: tuple[DayCount, ...] = Field(description="Day by day.")
    cycle_time: Percentiles = Field(description="From leaving the first column to being done.")
    lead_time: Percentiles = Field(description="From being opened to being done.")
    ageing: tuple[AgeingCard, ...] = Field(description="Open cards, the oldest first.")
    cumulative_flow: tuple[FlowDay, ...] = Field(description="Day by day, with today as it is now.")
