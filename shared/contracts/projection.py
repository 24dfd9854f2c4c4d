"""Read models: tickets, tasks, agents and the journal, each answer as of one moment in the journal."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field

from shared.contracts.agent import Status as AgentStatus
from shared.contracts.board import CARDS_MAX, BoardView
from shared.contracts.discovery import DiscoveryAnalytics
from shared.contracts.gate import GateStatus, RequestKind, ReviewerKind
from shared.contracts.messages import Contract, Key, Moment, Priority, Query, Result
from shared.contracts.task import AttemptOutcome, Needs, OnDependencyFailure

TaskStatus = Literal["waiting", "ready", "claimed", "running", "completed", "failed", "cancelled"]
DependencyOutcome = Literal["open", "completed", "failed"]
ModelState = Literal["live", "missing", "building", "interrupted", "differs", "swapped", "rolled_back"]

BRIEF_TOKENS_MIN = 500
Limit = Annotated[int, Field(ge=1, le=200, description="Most entries of an answer; it may hold fewer.")]


def _place_or_time(value: object) -> int | datetime | None:
    """A sequence or a time as it is meant: no number is taken for a time, and no text for a sequence."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        at = None
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise ValueError(
            "name a sequence of the journal (a whole number from 0), or a time in ISO 8601 with its offset, "
            "for example 2026-03-01T12:00:00+01:00",
        )
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("that time is not between the years 1 and 9999 of UTC") from None


AsOf = Annotated[
    Annotated[int, Field(ge=0)] | AwareDatetime | None,
    BeforeValidator(_place_or_time),
    Field(
        default=None,
        description="Show it as it was: a sequence of the journal, or a time, ISO 8601 with offset. A time "
        "stands for everything that was heard before the first event that happened later.",
    ),
]


class Point(Result):
    """A place in the journal: what an answer shows is what all events up to there made."""

    sequence: int = Field(description="Of the newest event; 0 before the first.")
    at: Moment | None = Field(description="The latest time of an event up to there.")


class Evidence(Result):
    """An artifact that was handed in for a visit, without its content."""

    artifact_id: Key
    artifact_type: Key
    artifact_path: str | None = None
    sha256: str | None = None
    measured: bool = False
    collected_by: str
    task_id: Key | None = None
    summary: str = Field(default="", description="The number in it, for example `90 %`.")
    reasons: tuple[str, ...] = Field(default=(), description="Why it does not meet its criteria.")
    submitted_at: Moment


class Paused(Contract):
    """A guardian lets none of a ticket's tasks be handed out."""

    by: str
    reason: str
    since: Moment


class TicketSummary(Result):
    """A ticket as lists show it."""

    ticket_id: Key
    title: str
    priority: Priority
    workflow: Key
    workflow_version: Key
    phase_id: Key
    visit: int = Field(description="How often it has entered the phase it is in.")
    path: tuple[Key, ...] = Field(description="Every phase it was in, in order, the present one last.")
    regressions: int = Field(description="How often a failed gate sent it back.")
    tags: tuple[str, ...] = ()
    repository: str | None = None
    paused: Paused | None = Field(default=None, description="Who paused it and why, if somebody did.")
    gate: GateStatus = Field(description="Verdict of the gate on the present visit.")
    blocking_reasons: tuple[str, ...] = Field(
        default=(), description="Why the gate failed; before it has judged, why an earlier one sent it here."
    )
    tasks: dict[TaskStatus, int] = Field(description="How many of its tasks are in each status.")
    agents: tuple[Key, ...] = Field(default=(), description="Who has a task of it now.")
    opened_at: Moment
    updated_at: Moment = Field(description="When it, its tasks or its gate last changed.")
    closed_at: Moment | None = Field(default=None, description="When it came to a phase that ends it.")


class GateRequest(Result):
    """A review or an approval that a gate waits for."""

    request_id: Key
    kind: RequestKind
    requested_at: Moment
    reviewer_kind: ReviewerKind | None = None
    round: int | None = None
    problem: str | None = Field(default=None, description="Why a review could not be done so far.")
    required: int | None = Field(default=None, description="How many approvals are needed.")
    approvers: tuple[Key, ...] = ()
    approved_by: tuple[str, ...] = ()
    expires_at: Moment | None = None


class GateDecision(Result):
    """What a reviewer or a person said of the evidence."""

    request_id: Key
    kind: RequestKind
    actor: str
    passed: bool
    reason: str = ""
    at: Moment


class Comment(Result):
    """What somebody said about a ticket."""

    comment_id: Key
    text: str
    actor: str
    at: Moment


class TicketView(TicketSummary):
    """A ticket with all that is known of it."""

    description: str
    parent_ticket_id: Key | None = None
    blocked_by: tuple[Key, ...] = Field(default=(), description="Tickets that must still be done first.")
    deadline: Moment | None = None
    opened_by: str
    entered_at: Moment = Field(description="When it came to the phase it is in.")
    reason: str = Field(default="", description="Why it is in this phase.")
    forced: bool = Field(default=False, description="Whether an override put it there.")
    judged_at: Moment | None = Field(default=None, description="When the gate last judged the visit.")
    artifacts: tuple[Evidence, ...] = Field(default=(), description="Of the present visit, oldest first.")
    waits_for: GateRequest | None = Field(default=None, description="Whom the gate waits for, if anybody.")
    decisions: tuple[GateDecision, ...] = Field(default=(), description="Of the present visit, oldest first.")
    comments: tuple[Comment, ...] = Field(default=(), description="The last 50, oldest first.")
    as_of: Point | None = Field(default=None, description="What it is as of.")


class Tickets(Result):
    """A page of tickets, newest first."""

    tickets: tuple[TicketSummary, ...]
    next: Key | None = Field(default=None, description="Ask again with this as `after`; absent at the end.")


class TaskAttempt(Result):
    """One try at a task."""

    attempt: int
    agent_id: Key
    claimed_at: Moment
    started_at: Moment | None = None
    ended_at: Moment | None = None
    outcome: AttemptOutcome | None = Field(default=None, description="Absent while it goes on.")
    error: str | None = Field(default=None, description="Up to 2,000 characters; the journal has it whole.")


class TaskSummary(Result):
    """A task as lists show it."""

    task_id: Key
    ticket_id: Key
    phase_id: Key
    visit: int
    task_type: Key
    title: str
    priority: Priority
    status: TaskStatus
    held: bool = Field(default=False, description="Its ticket is on hold: nobody may claim it.")
    branched: bool = Field(default=False, description="It was made for another phase than its ticket was in.")
    parent_task_id: Key | None = None
    agent_id: Key | None = Field(default=None, description="Who has it, or had it when it ended.")
    attempt: int = Field(default=0, description="Number of the last attempt; 0 before the first.")
    percent: float | None = Field(default=None, description="How far the attempt is, if its agent says so.")
    created_at: Moment
    updated_at: Moment
    ended_at: Moment | None = None


class TaskView(TaskSummary):
    """A task with all that is known of it."""

    description: str
    required_capabilities: tuple[str, ...] = ()
    depends_on: dict[Key, DependencyOutcome] = Field(
        default_factory=dict, description="The tasks it waits for, and how each stands for it."
    )
    dependents: tuple[Key, ...] = Field(default=(), description="The tasks that wait for it.")
    needs: Needs
    on_dependency_failure: OnDependencyFailure
    resources: tuple[str, ...] = ()
    timeout_seconds: float | None = None
    max_retries: int
    deadline: Moment | None = None
    template: Key | None = None
    repository: str | None = None
    workflow_version: Key | None = None
    blocking_reasons: tuple[str, ...] = Field(
        default=(), description="Why a gate sent the ticket back to this phase."
    )
    claim_epoch: int = 0
    ready_at: Moment | None = None
    rank: float | None = None
    not_before: Moment | None = Field(default=None, description="When the delay before a retry is over.")
    message: str = Field(default="", description="What its agent last said of its progress.")
    reason: str = Field(default="", description="Why it failed, was cancelled, or lost its last attempt.")
    summary: str | None = Field(default=None, description="Of the result, by the agent.")
    artifacts: tuple[str, ...] = Field(default=(), description="Paths, else types, of what it handed in.")
    commit: str | None = Field(default=None, description="Where the work is in the repository.")
    late_reports: int = Field(default=0, description="How many reports came after it had ended.")
    attempts: tuple[TaskAttempt, ...] = Field(default=(), description="Oldest first.")


class Tasks(Result):
    """A page of tasks, newest first."""

    tasks: tuple[TaskSummary, ...]
    next: Key | None = Field(default=None, description="Ask again with this as `after`; absent at the end.")


class Stay(Result):
    """One transition of a ticket, and the stay it began."""

    from_phase: Key | None = Field(default=None, description="Absent for the opening.")
    to_phase: Key
    visit: int
    reason: str = ""
    forced: bool = False
    regression: bool = Field(default=False, description="Whether a failed gate sent it back.")
    blocking_reasons: tuple[str, ...] = ()
    artifacts: tuple[Key, ...] = Field(default=(), description="What the gate of `from_phase` judged.")
    actor: str
    at: Moment
    left_at: Moment | None = Field(
        default=None, description="When the stay ended; absent for the present one."
    )


class PhasePath(Result):
    """Every transition of a ticket, oldest first; the first one is the opening."""

    ticket_id: Key
    history: tuple[Stay, ...]


class AgentView(Result):
    """An agent: what it said of itself, how it is, and what it has done."""

    agent_id: Key
    name: str | None = Field(
        default=None,
        description="Absent, like all that comes from registering, for one that takes tasks without.",
    )
    agent_type: str | None = None
    capabilities: tuple[str, ...] = ()
    capacity: int | None = None
    tags: tuple[str, ...] = ()
    phases: tuple[Key, ...] | None = None
    version: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    session: int = 0
    status: AgentStatus | None = Field(default=None, description="RUNNING is an idle one that has tasks.")
    available: bool = True
    registered_at: Moment | None = None
    status_since: Moment | None = None
    quarantine_reason: str | None = Field(default=None, description="Why it is QUARANTINED.")
    tasks: tuple[Key, ...] = Field(default=(), description="The tasks it has now.")
    claims: int = Field(default=0, description="Attempts it has begun.")
    completed: int = Field(default=0, description="Attempts that completed their task.")
    lost: int = Field(default=0, description="Attempts that ended because it was silent or gone.")
    last_claimed_at: Moment | None = None


class Agents(Result):
    """Agents by id."""

    agents: tuple[AgentView, ...]
    next: Key | None = Field(default=None, description="Ask again with this as `after`; absent at the end.")


class EventLink(Result):
    """An event and what made it happen: a command, by its id, and the event that made somebody send it."""

    sequence: int = Field(description="Place in the journal.")
    source: Key = Field(description="Service that announced it.")
    position: int = Field(description="Place among the events of its service.")
    event_id: str
    type: str = Field(description="For example `task.claimed`.")
    key: Key = Field(description="The ticket where there is one, else the thing itself.")
    stream: str
    version: int
    actor: str = Field(description="Who sent the command.")
    at: Moment
    command_id: str
    trigger: str | None = Field(
        default=None, description="Absent when a person, a timer or an agent sent it."
    )
    correlation: str = Field(description="Id of the first command of the chain.")


class JournalEntry(EventLink):
    """An event with what it says."""

    schema_number: int = Field(description="Form of its contract in which it was written.")
    data: dict[str, Any] | None = Field(
        description="Absent when too large to be listed; `qry.<source>.events` has it."
    )
    bytes: int = Field(description="Size of `data`.")


class JournalPage(Result):
    """A page of the journal, oldest first."""

    events: tuple[JournalEntry, ...]
    next: int | None = Field(default=None, description="Ask again with this as `after`; absent at the end.")
    head: int = Field(description="Sequence of the newest event there is.")


class EventChain(Result):
    """Events that hang together."""

    events: tuple[EventLink, ...]
    complete: bool = Field(description="False when there are more, or when one is not in the journal.")


class Heard(Result):
    """How far the events of one service have been heard."""

    source: Key
    position: int = Field(
        description="Of the newest event heard; `qry.<source>.position` tells the newest of all."
    )
    at: Moment | None = Field(default=None, description="When that event happened.")


class RebuildReport(Result):
    """How a rebuild went."""

    sequence: int = Field(description="The journal up to here was folded and compared.")
    events: int = Field(description="Events that this read model is made of.")
    rows: int
    seconds: float
    held_seconds: float = Field(
        description="How long new events had to wait for the comparison and the swap."
    )
    identical: bool = Field(description="Whether every row is, byte for byte, what the live one was.")
    differences: tuple[str, ...] = Field(default=(), description="Keys of rows that differ, at most 20.")


class ReadModelView(Result):
    """How a read model stands."""

    name: str
    state: ModelState = Field(
        description="`missing`: earlier events were never folded into it. `differs`: rebuilt, found "
        "different and left as it was. `interrupted`: a rebuild died; nothing was changed."
    )
    rows: int
    code_changed: bool = Field(
        description="Other code than today's made its rows: a rebuild shows whether that matters."
    )
    can_roll_back: bool = Field(description="Whether the version before the last swap is still there.")
    changed_at: Moment | None = None
    build_sequence: int | None = Field(
        default=None, description="How far a rebuild that is under way has come."
    )
    last_rebuild: RebuildReport | None = None


class ProjectionView(Result):
    """How the journal and the read models stand."""

    sequence: int = Field(description="Newest event of the journal; every read model has folded it.")
    sources: tuple[Heard, ...]
    read_models: tuple[ReadModelView, ...]


class GetTicket(Query):
    """One ticket with its gate, its tasks in numbers and who works on it."""

    position_of = "phase"

    ticket_id: Key
    as_of: AsOf = None


class ListTickets(Query):
    """Tickets, newest first."""

    position_of = "phase"

    phase: Key | None = Field(default=None, description="Only those in this phase.")
    workflow: Key | None = Field(default=None, description="Only those of this workflow.")
    after: Key | None = Field(default=None, description="Go on behind this ticket.")
    limit: Limit = 50


class GetTask(Query):
    """One task with all its attempts."""

    position_of = "scheduler"

    task_id: Key


class ListTasks(Query):
    """Tasks, newest first."""

    position_of = "scheduler"

    ticket_id: Key | None = Field(default=None, description="Only those of this ticket.")
    status: TaskStatus | None = Field(default=None, description="Only those in this status.")
    after: Key | None = Field(default=None, description="Go on behind this task.")
    limit: Limit = 100


class PhaseHistory(Query):
    """Every transition of a ticket, oldest first."""

    position_of = "phase"

    ticket_id: Key


class ListAgents(Query):
    """Agents by id, those that have left too."""

    position_of = "registry"

    after: Key | None = Field(default=None, description="Go on behind this agent.")
    limit: Limit = 200


class Journal(Query):
    """Events in the order they were heard."""

    ticket_id: Key | None = Field(default=None, description="Only those of this ticket.")
    type: str | None = Field(default=None, description="Only those of this type, for example `task.claimed`.")
    after: int = Field(default=0, ge=0, description="Go on behind this sequence.")
    limit: Limit = 100


class Causes(Query):
    """An event, the event that led to it, the one that led to that, and so on; the root comes last."""

    event_id: str


class Effects(Query):
    """Everything that an event led to, directly and not, in the order of the journal."""

    event_id: str
    limit: int = Field(default=1000, ge=1, le=1000)


class ProjectionStatus(Query):
    """How far the read models are, and how their last rebuilds went."""


class GraphNode(Result):
    """A task of a ticket."""

    id: Key
    phase: Key
    status: TaskStatus
    title: str
    agent: Key | None = Field(default=None, description="Who has it, or had it when it ended.")
    visit: int = 1
    attempt: int = Field(default=0, description="Number of the last attempt; 0 before the first.")
    task_type: Key
    priority: Priority
    held: bool = Field(default=False, description="Nobody may claim it for now.")
    created_at: Moment


class GraphEdge(Result):
    """What leads from one task to another."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)

    source: Key = Field(alias="from", description="The task that comes first.")
    target: Key = Field(alias="to", description="The task that waits for it, or came of it.")
    kind: Literal["dependency", "discovery", "parent"]
    outcome: DependencyOutcome | None = Field(
        default=None, description="Of a dependency: whether the first task has ended, and how."
    )
    discovery_id: Key | None = None
    discovery_type: Key | None = None
    description: str | None = Field(default=None, description="What was discovered.")


class TicketGraph(Result):
    """The tasks of a ticket and what leads from one to another, a page of them where there are very many."""

    ticket_id: Key
    title: str
    phase: Key = Field(description="The phase the ticket is in.")
    workflow: Key
    phases: tuple[Key, ...] = Field(description="Every phase of the workflow, in order.")
    nodes: tuple[GraphNode, ...] = Field(description="In the order in which they came into being.")
    edges: tuple[GraphEdge, ...] = Field(
        default=(), description="What leads to these nodes; it may come from those of another page."
    )
    as_of: Point
    total: int = Field(default=0, description="How many nodes all pages have.")
    next: Key | None = Field(
        default=None,
        description="Ask again with this as `after`, and the sequence of `as_of`; absent at the end.",
    )


class BoardAt(BoardView):
    """A board at a point of the journal."""

    as_of: Point


class Happened(Result):
    """One thing that happened to a ticket, in words."""

    sequence: int
    at: Moment
    type: str = Field(description="For example `task.claimed`.")
    text: str = Field(description="What happened, for people.")
    actor: str = Field(description="Who sent the command that led to it; a service's name for its own.")
    event_id: str
    task_id: Key | None = None
    caused_by: str | None = Field(
        default=None,
        description="Id of the event that led to it; absent when a person, an agent or a timer did.",
    )
    cause: str | None = Field(default=None, description="What that event was, in words.")


class TicketTimeline(Result):
    """A page of what happened to a ticket, oldest first."""

    ticket_id: Key
    entries: tuple[Happened, ...]
    next: int | None = Field(default=None, description="Ask again with this as `after`; absent at the end.")
    as_of: Point


class DiscoveryFigures(DiscoveryAnalytics):
    """How discoveries came about and ended, at a point of the journal."""

    as_of: Point


class WorkBrief(Result):
    """All an agent is told about one task, within a number of tokens."""

    task: dict[str, Any]
    ticket: dict[str, Any]
    visit: int
    phase_prompt: str = ""
    done_definitions: tuple[str, ...] = ()
    expected_outputs: tuple[dict[str, Any], ...] = ()
    next_steps: str = ""
    blocking_reasons: tuple[str, ...] = Field(default=(), description="Why the gate sent the work back.")
    context: str = Field(default="", description="What is known of the ticket, in words.")
    memory: dict[str, Any] = Field(
        default_factory=dict,
        description="What was learnt at similar tasks: `memories`, the most fitting first, and `patterns`.",
    )
    discoveries: tuple[dict[str, Any], ...] = Field(
        default=(), description="What was found at this ticket and is still open."
    )
    locks: tuple[dict[str, Any], ...] = Field(default=(), description="What the task holds or waits for.")
    tokens: int
    max_tokens: int
    left_out: tuple[str, ...] = Field(
        default=(), description="What was cut or dropped to keep within `max_tokens`, first what went first."
    )
    missing: tuple[str, ...] = Field(
        default=(), description="What could not be told because a service did not answer, in words."
    )
    as_of: Point


class Graph(Query):
    """The tasks of a ticket, what they wait for, and what branched off them."""

    position_of = "phase"

    ticket_id: Key
    as_of: AsOf = None
    limit: int = Field(
        default=1000, ge=1, le=1000, description="Nodes at most; fewer where a message could not hold them."
    )
    after: Key | None = Field(default=None, description="Go on behind this task: the last `next`.")


class Board(Query):
    """The board of a workflow."""

    position_of = "board"

    workflow: Key = Field(
        default="software_development", description="Name of the workflow whose board it is."
    )
    cards: int = Field(default=50, ge=0, le=CARDS_MAX, description="Most cards of each column.")
    as_of: AsOf = None


class Discoveries(Query):
    """How discoveries come about and end: counts, rates and times, of one ticket or of all."""

    position_of = "discovery"

    ticket_id: Key | None = None
    as_of: AsOf = None


class Brief(Query):
    """All an agent must know for a task.

    When it does not fit into `max_tokens`, these go first, in this order: patterns, memories, open
    discoveries, next steps, the context, the ticket's description, the phase prompt, the task's
    description, why the work came back. Only when that is not enough, what the task holds and what is
    expected of it are cut too, what done means last. `left_out` says what was cut.
    """

    position_of = "scheduler"

    task_id: Key
    max_tokens: int = Field(
        default=8000,
        ge=BRIEF_TOKENS_MIN,
        le=200_000,
        description="Tokens of o200k_base: what is told has at most so many. The least of them holds what "
        "matters most of an ordinary task.",
    )


class Timeline(Query):
    """What happened to a ticket, in words, oldest first."""

    position_of = "phase"

    ticket_id: Key
    as_of: AsOf = None
    after: int = Field(default=0, ge=0, description="Go on behind this sequence.")
    limit: Limit = 100
