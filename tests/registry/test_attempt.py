from datetime import timedelta
from itertools import permutations

import pytest

from services.registry import reactions
from services.registry.agent import Agent
from services.registry.record import TYPES_MAX, Record, Tally, counted
from services.registry.service import registry
from shared.contracts.agent import (
    AgentAttemptBegan,
    AgentAttemptEnded,
    AgentDeregistered,
    BeginAttempt,
    EndAttempt,
    Heartbeat,
    Outcome,
    Register,
    Session,
)
from shared.contracts.messages import Authority, Event
from shared.contracts.task import (
    TaskCancelled,
    TaskClaimed,
    TaskCompleted,
    TaskFailed,
    TaskLeaseExpired,
    TaskRetryScheduled,
    TaskTimedOut,
)
from shared.testing.scenario import NOON, History, Scenario
from tests.registry.given import DEGRADED, HERE, LEFT, LOST, NOBODY, QUARANTINED

TASK = {"task_id": "t", "ticket_id": "T-1", "phase_id": "P"}
TYPED = {**TASK, "task_type": "write", "visit": 1}


def began(task_id: str = "t", seconds: int = 0) -> AgentAttemptBegan:
    return AgentAttemptBegan(agent_id="coder-1", task_id=task_id, at=NOON + timedelta(seconds=seconds))


def ended(outcome: Outcome = "completed", task_id: str = "t") -> AgentAttemptEnded:
    return AgentAttemptEnded(agent_id="coder-1", task_id=task_id, task_type="write", outcome=outcome, at=NOON)


def end(outcome: Outcome) -> EndAttempt:
    return EndAttempt(agent_id="coder-1", task_id="t", task_type="write", outcome=outcome, at=NOON)


def agent(past: Scenario) -> Agent:
    return History(registry.aggregates, past.past, {}).of(Agent, "coder-1")


def test_an_agent_with_tasks_is_running_and_a_full_one_is_offered_none() -> None:
    one, two = HERE.given(began()), HERE.given(began(), began("u"))
    assert [(agent(past).status, agent(past).running, agent(past).offered) for past in (HERE, one, two)] == [
        ("IDLE", 0, True),
        ("RUNNING", 1, True),
        ("RUNNING", 2, False),
    ]
    assert agent(two.given(ended())).tasks == ("u",)


def test_only_the_registry_itself_counts_attempts() -> None:
    assert BeginAttempt.authority == EndAttempt.authority == Authority.SYSTEM
    HERE.when(BeginAttempt(agent_id="coder-1", task_id="t", at=NOON)).then(began())
    HERE.given(began()).when(end("failed")).then(ended("failed"))


@pytest.mark.parametrize("order", list(permutations([began(), ended("lost"), began(seconds=9), ended()])))
def test_attempts_add_up_whatever_the_order_they_are_heard_in(order: tuple[AgentAttemptBegan, ...]) -> None:
    known = agent(HERE.given(*order))
    assert (known.tasks, known.claims, known.record.total) == ((), {}, Tally(1, 1))
    assert known.last_used_at == NOON + timedelta(seconds=9)


def test_an_end_that_is_heard_of_first_is_remembered_until_its_beginning() -> None:
    assert agent(HERE.given(ended())).claims == {"t": -1}
    assert agent(HERE.given(ended())).running == 0


@pytest.mark.parametrize(
    ("outcome", "tally"),
    [
        ("completed", Tally(1, 0)),
        ("failed", Tally(0, 1)),
        ("lost", Tally(0, 1)),
        ("cancelled", Tally()),
        ("returned", Tally()),
    ],
)
def test_a_record_counts_what_the_agent_did_itself(outcome: Outcome, tally: Tally) -> None:
    known = agent(HERE.given(began(), ended(outcome)))
    assert (known.record.total, known.record.of("write"), known.record.of("read")) == (tally, tally, Tally())


@pytest.mark.parametrize(
    ("past", "outcome"),
    [(HERE, "lost"), (DEGRADED, "lost"), (LOST, "lost"), (LEFT, "returned"), (QUARANTINED, "returned")],
)
def test_what_is_taken_from_an_agent_that_left_is_no_failure(past: Scenario, outcome: Outcome) -> None:
    past.given(began()).when(end("lost")).then(ended(outcome))
    past.given(began()).when(end("failed")).then(ended("failed"))


def test_success_is_a_half_at_first_and_never_certain() -> None:
    assert [Tally(*tally).success for tally in ((0, 0), (1, 0), (8, 0), (0, 8))] == [0.5, 2 / 3, 0.9, 0.1]


def test_a_record_counts_so_many_types_one_by_one() -> None:
    record = Record()
    for number in range(TYPES_MAX + 5):
        record = counted(record, f"type-{number}", completed=1)
    record = counted(record, "type-0", failed=1)
    assert (len(record.by_type), record.total) == (TYPES_MAX, Tally(TYPES_MAX + 5, 1))
    assert (record.of("type-0"), record.of(f"type-{TYPES_MAX}")) == (Tally(1, 1), Tally())


def test_an_agent_that_works_before_it_registers_keeps_its_tasks() -> None:
    early = NOBODY.given(began())
    assert (agent(early).status, agent(early).offered) == ("SPAWNING", False)
    facts = early.by("coder-1").when(Register(agent_id="coder-1")).decide()
    assert isinstance(facts[-1], Session)
    known = agent(early.given(*early.by("coder-1").when(Register(agent_id="coder-1")).events()))
    assert (known.session, known.tasks, known.status) == (1, ("t",), "RUNNING")


def test_a_session_that_ends_takes_no_task_with_it() -> None:
    left = AgentDeregistered(agent_id="coder-1", session=1, reason="", at=NOON)
    assert agent(HERE.given(began(), left)).tasks == ("t",), "the scheduler says when it is taken away"


def test_each_attempt_begins_once() -> None:
    claimed = TaskClaimed(
        **TASK, agent_id="a", claim_epoch=1, attempt=1, claimed_at=NOON, lease_expires_at=NOON
    )
    assert reactions.begin(claimed) == [BeginAttempt(agent_id="a", task_id="t", at=NOON)]


def test_who_hands_a_task_over_has_it_no_more() -> None:
    claimed = TaskClaimed(
        **TASK,
        agent_id="b",
        claim_epoch=2,
        attempt=2,
        claimed_at=NOON,
        lease_expires_at=NOON,
        handed_over_from="a",
    )
    assert reactions.begin(claimed) == [
        EndAttempt(agent_id="a", task_id="t", outcome="returned", at=NOON),
        BeginAttempt(agent_id="b", task_id="t", at=NOON),
    ]


def test_each_attempt_ends_once() -> None:
    done = TaskCompleted(**TYPED, agent_id="a", claim_epoch=1, attempt=1, result={}, completed_at=NOON)
    failed = TaskFailed(**TYPED, agent_id="a", attempt=1, error="x", failed_at=NOON, claim_epoch=1)
    retry = TaskRetryScheduled(
        **TASK,
        attempt=1,
        error="x",
        not_before=NOON,
        failed_at=NOON,
        task_type="write",
        agent_id="a",
        claim_epoch=1,
    )
    out = TaskTimedOut(**TASK, agent_id="a", attempt=1, timeout_seconds=1, at=NOON, task_type="write")
    gone = TaskLeaseExpired(
        **TASK, agent_id="a", claim_epoch=1, attempt=1, reason="x", at=NOON, task_type="write"
    )
    stopped = TaskCancelled(**TYPED, agent_id="a", reason="x", actor="ann", cancelled_at=NOON)

    def told(outcome: Outcome) -> list[EndAttempt]:
        return [EndAttempt(agent_id="a", task_id="t", task_type="write", outcome=outcome, at=NOON)]

    assert reactions.complete(done) == told("completed")
    assert reactions.fail(failed) == reactions.fail(retry) == reactions.time_out(out) == told("failed")
    assert reactions.lose(gone) == told("lost")
    assert reactions.cancel(stopped) == told("cancelled")
    after_another_end = {"claim_epoch": None}
    assert reactions.fail(failed.model_copy(update=after_another_end)) == []
    assert reactions.fail(retry.model_copy(update=after_another_end)) == []
    assert reactions.fail(failed.model_copy(update={"agent_id": None})) == []
    assert reactions.cancel(stopped.model_copy(update={"agent_id": None})) == []


def test_a_beat_is_answered_with_what_was_cancelled_of_late() -> None:
    began = AgentAttemptBegan(agent_id="coder-1", task_id="chair", at=NOON)
    ended = AgentAttemptEnded(agent_id="coder-1", task_id="chair", outcome="cancelled", at=NOON)

    def told(*events: Event, seconds: float = 90) -> tuple[str, ...]:
        at = NOON + timedelta(seconds=seconds)
        facts = HERE.given(*events).at(at).when(Heartbeat(agent_id="coder-1", session=1)).decide()
        [answer] = [fact for fact in facts if isinstance(fact, Session)]
        return answer.cancelled

    assert told(began, ended) == ("chair",)
    assert told(began, ended, seconds=91) == ()
    assert told(began, ended, began) == (), "it has it again"
    assert told(began, ended.model_copy(update={"outcome": "failed"})) == ()
