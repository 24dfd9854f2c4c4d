from datetime import timedelta

import pytest

from services.collaboration.agent import AgentIsQuarantined, AgentNotAvailable, AgentNotFound
from services.collaboration.answer import NotConcerned, NotTheAddressee
from services.collaboration.handoff import HandoffAnswered, HandoffNotFound
from services.collaboration.offer import (
    HandoffExists,
    HandoffOpen,
    HandoffToSelf,
    NotTheHolder,
    NotTheRequester,
)
from services.collaboration.service import collaboration
from shared.contracts import collaboration as talk
from shared.contracts.messages import Authority, Command, Event
from shared.kernel.decider import CancelTimer, NotAuthorised, Refused, Timer, Unavailable, Waiting
from shared.testing.scenario import NOON, Scenario
from tests.collaboration.given import (
    ACCEPTED,
    EXPIRES_AT,
    FOLLOWED,
    HERE,
    OFFERED,
    OPENED,
    PARTIES,
    REQUESTED,
    TALK,
    followed,
)

ASK = talk.RequestHandoff(handoff_id="h", to="bob", task_id="chair", reason="No saw.", context={"legs": 3})
HELD = TALK.given(*HERE, FOLLOWED)
OPEN = TALK.given(*HERE, *OFFERED)
ACCEPT, DECLINE = talk.AcceptHandoff(handoff_id="h"), talk.DeclineHandoff(handoff_id="h", reason="No time.")
DECLINED = talk.HandoffDeclined(**PARTIES, reason="No time.", at=NOON)
WITHDRAW = talk.WithdrawHandoff(handoff_id="h", reason="Found a saw.")
WITHDRAWN = talk.HandoffWithdrawn(**PARTIES, reason="Found a saw.", at=NOON)
EXPIRED = talk.HandoffExpired(**PARTIES, at=NOON)
FAILED = talk.HandoffFailed(**PARTIES, reason="Gone.", at=NOON)
COMPLETED = talk.HandoffCompleted(**PARTIES, claim_epoch=5, lease_expires_at=EXPIRES_AT, at=NOON)
MOVED = talk.FollowClaim(
    task_id="chair",
    ticket_id="T-1",
    agent_id="bob",
    claim_epoch=5,
    attempt=5,
    lease_expires_at=EXPIRES_AT,
    handoff_id="h",
)


def kinds(scenario: Scenario) -> list[type[Event]]:
    """What kinds of events come of it."""
    return [type(event) for event in scenario.events()]


def test_the_holder_offers_its_claim_and_the_addressee_is_told() -> None:
    facts = HELD.when(ASK).decide()
    assert facts[0] == REQUESTED
    assert facts[1] == OFFERED[2]
    assert Timer("handoff-h", EXPIRES_AT, talk.ExpireHandoff(handoff_id="h")) in facts
    (opened,) = [fact for fact in facts if isinstance(fact, talk.ThreadOpened)]
    assert (opened.thread_id, opened.kind, opened.participants) == ("h", "handoff", ("ann", "bob"))
    (delivered,) = [fact for fact in facts if isinstance(fact, talk.MessageDelivered)]
    assert (delivered.sender, delivered.recipient) == ("ann", "bob")


def test_the_same_request_again_changes_nothing() -> None:
    OPEN.when(ASK).then_events()


def test_the_holder_may_name_itself() -> None:
    named = talk.RequestHandoff.model_validate({"from": "ann"} | ASK.model_dump(exclude={"from_agent"}))
    assert HELD.when(named).decide() == HELD.when(ASK).decide()
    HELD.by("eve").waiting(2).when(ASK).then_refused(NotTheHolder, holder="ann")


def test_monitors_and_nobody_else_have_a_task_of_another_handed_over() -> None:
    named = ASK.model_copy(update={"from_agent": "ann"})
    for authority in (Authority.WORKER, Authority.WATCHDOG):
        refused = HELD.by("gus", authority).when(named).then_refused(NotAuthorised, from_agent="ann")
        assert "gus may not hand over a task of ann." in refused.message
    watched = HELD.by("gus", Authority.MONITOR)
    events = watched.when(named).events()
    assert events[0] == REQUESTED
    assert [each.actor for each in events if isinstance(each, talk.ThreadOpened)] == ["gus"]
    [said] = [each.text for each in events if isinstance(each, talk.MessageSent)]
    assert said.endswith("gus asks for it on behalf of ann.")
    wrong = named.model_copy(update={"from_agent": "eve"})
    watched.waiting(2).when(wrong).then_refused(NotTheHolder, holder="ann")
    watched.when(named.model_copy(update={"to": "ann"})).then_refused(HandoffToSelf)


def test_the_holder_is_called_from_on_the_wire() -> None:
    assert "from" in talk.RequestHandoff.model_json_schema()["properties"]
    named = ASK.model_copy(update={"from_agent": "ann"})
    assert '"from":"ann"' in named.model_dump_json(exclude_defaults=True)


def test_a_handoff_needs_an_id_of_its_own() -> None:
    OPEN.when(ASK.model_copy(update={"to": "eve"})).then_refused(HandoffExists)
    taken = ASK.model_copy(update={"handoff_id": "t"})
    HELD.given(OPENED).when(taken).then_refused(HandoffExists)


def test_nobody_hands_over_to_itself() -> None:
    HELD.when(ASK.model_copy(update={"to": "ann"})).then_refused(HandoffToSelf)


def test_one_handoff_of_a_task_at_a_time() -> None:
    second = ASK.model_copy(update={"handoff_id": "h-2", "to": "eve"})
    OPEN.when(second).then_refused(HandoffOpen, handoff_id="h", status="pending")
    OPEN.given(ACCEPTED).when(second).then_refused(HandoffOpen, status="accepted")
    for ending in (DECLINED, WITHDRAWN, EXPIRED, FAILED):
        assert kinds(OPEN.given(ending).when(second))[0] is talk.HandoffRequested


def test_who_may_be_the_holder_a_moment_later_waits_for_the_news() -> None:
    with pytest.raises(Waiting):
        TALK.when(ASK).decide()
    with pytest.raises(Waiting):
        HELD.when(ASK.model_copy(update={"claim_epoch": 5})).decide()


def test_a_quoted_claim_that_is_not_the_one_that_holds_is_refused_at_once() -> None:
    HELD.when(ASK.model_copy(update={"claim_epoch": 3})).then_refused(NotTheHolder, claim_epoch=4)
    HELD.by("eve").when(ASK.model_copy(update={"claim_epoch": 4})).then_refused(NotTheHolder, holder="ann")


@pytest.mark.parametrize("answer", [ACCEPT, DECLINE])
def test_only_the_addressee_answers(answer: Command) -> None:
    for actor in ("ann", "eve", "operator"):
        OPEN.by(actor).when(answer).then_refused(NotTheAddressee, to_agent="bob")
    TALK.by("bob").when(answer).then_refused(HandoffNotFound)


@pytest.mark.parametrize("answer", [ACCEPT, DECLINE])
@pytest.mark.parametrize("ending", [ACCEPTED, COMPLETED, DECLINED, WITHDRAWN, EXPIRED, FAILED])
def test_a_handoff_is_answered_once(answer: Command, ending: Event) -> None:
    OPEN.given(ending).by("bob").when(answer).then_refused(HandoffAnswered)


@pytest.mark.parametrize("answer", [ACCEPT, DECLINE])
def test_an_answer_after_the_time_is_too_late_even_before_the_timer_fires(answer: Command) -> None:
    OPEN.by("bob").at(EXPIRES_AT).when(answer).then_refused(HandoffAnswered, status="expired")
    in_time = EXPIRES_AT - timedelta(microseconds=1)
    assert OPEN.by("bob").at(in_time).when(answer).events()


def test_accepting_tells_the_scheduler_all_it_must_know() -> None:
    facts = OPEN.by("bob").when(ACCEPT).decide()
    assert facts[:2] == [ACCEPTED, CancelTimer("handoff-h")]
    (ref,) = [fact for fact in facts if isinstance(fact, talk.HandoffRef)]
    assert (ref.status, ref.claim_epoch) == ("accepted", None)
    assert "await_handoff" in ref.next_step


def test_a_decline_reaches_the_requester_with_its_reason() -> None:
    facts = OPEN.by("bob").when(DECLINE).decide()
    assert facts[:2] == [DECLINED, CancelTimer("handoff-h")]
    (said,) = [fact for fact in facts if isinstance(fact, talk.MessageSent)]
    assert (said.sender, said.recipients) == ("bob", ("ann",))
    assert "No time." in said.text


def test_a_requester_asks_no_longer_and_the_addressee_is_told() -> None:
    facts = OPEN.by("ann").when(WITHDRAW).decide()
    assert facts[:2] == [WITHDRAWN, CancelTimer("handoff-h")]
    (said,) = [fact for fact in facts if isinstance(fact, talk.MessageSent)]
    assert (said.sender, said.recipients) == ("ann", ("bob",))
    assert "Found a saw." in said.text
    (ref,) = [fact for fact in facts if isinstance(fact, talk.HandoffRef)]
    assert (ref.status, ref.reason) == ("withdrawn", "Found a saw.")


def test_only_the_requester_withdraws() -> None:
    for actor in ("bob", "eve", "operator"):
        OPEN.by(actor).when(WITHDRAW).then_refused(NotTheRequester, from_agent="ann")
    TALK.by("ann").when(WITHDRAW).then_refused(HandoffNotFound)


@pytest.mark.parametrize("ending", [ACCEPTED, COMPLETED, DECLINED, WITHDRAWN, EXPIRED, FAILED])
def test_what_is_answered_or_over_cannot_be_withdrawn(ending: Event) -> None:
    OPEN.given(ending).by("ann").when(WITHDRAW).then_refused(HandoffAnswered)


def test_a_withdrawal_after_the_time_is_too_late_even_before_the_timer_fires() -> None:
    OPEN.by("ann").at(EXPIRES_AT).when(WITHDRAW).then_refused(HandoffAnswered, status="expired")


ABSENCES: list[tuple[talk.Absence, type[Refused]]] = [
    ("quarantine", AgentIsQuarantined),
    ("lost", AgentNotAvailable),
    ("unavailable", AgentNotAvailable),
]


@pytest.mark.parametrize(("absence", "refusal"), ABSENCES)
def test_nothing_is_handed_to_who_could_not_do_it(absence: talk.Absence, refusal: type[Refused]) -> None:
    away = HELD.given(followed("bob", absence, absent=True))
    away.when(ASK).then_refused(refusal, agent_id="bob")
    assert kinds(away.given(followed("bob", absence)).when(ASK))[0] is talk.HandoffRequested


def test_who_is_unknown_or_has_left_may_have_come_a_moment_ago_and_is_then_refused() -> None:
    unknown = TALK.given(FOLLOWED)
    for past in (unknown, unknown.given(followed("bob", "left", absent=True))):
        with pytest.raises(Waiting):
            past.when(ASK).decide()
        past.waiting(2).when(ASK).then_refused(AgentNotFound, agent_id="bob")


def test_a_refusal_names_a_way_out() -> None:
    with pytest.raises(AgentIsQuarantined, match=r"omoi agents release bob.*omoi agents search"):
        HELD.given(followed("bob", "quarantine", absent=True)).when(ASK).decide()


@pytest.mark.parametrize(
    ("reason", "told"), [("bad", "bad. It gets"), ("It lies.", "It lies. It gets"), ("Why?", "Why? It gets")]
)
def test_the_reason_of_a_quarantine_ends_like_a_sentence(reason: str, told: str) -> None:
    suspect = followed("bob", "quarantine", absent=True).model_copy(update={"reason": reason})
    assert told in HELD.given(suspect).when(ASK).then_refused(AgentIsQuarantined, reason=reason).message


def test_who_came_into_quarantine_meanwhile_can_only_decline() -> None:
    suspect = OPEN.given(followed("bob", "quarantine", absent=True)).by("bob")
    suspect.when(ACCEPT).then_refused(AgentIsQuarantined)
    assert kinds(suspect.when(DECLINE))[0] is talk.HandoffDeclined


def test_older_news_of_an_agent_is_let_pass() -> None:
    news = talk.FollowAgent(agent_id="bob", absence="lost", absent=True, at=NOON)
    TALK.given(followed("bob", "lost")).when(news).then()
    later = news.model_copy(update={"at": NOON + timedelta(seconds=1)})
    assert kinds(TALK.given(followed("bob", "lost")).when(later)) == [talk.AgentFollowed]


def test_a_handoff_that_nobody_answers_expires_and_both_are_told() -> None:
    expire = talk.ExpireHandoff(handoff_id="h")
    facts = OPEN.by("collaboration").when(expire).events()
    assert facts[0] == EXPIRED
    assert [fact.recipient for fact in facts if isinstance(fact, talk.MessageDelivered)] == ["ann", "bob"]
    for ending in (ACCEPTED, COMPLETED, DECLINED, WITHDRAWN, EXPIRED, FAILED):
        OPEN.given(ending).when(expire).then()
    TALK.when(expire).then()


def test_a_thread_that_was_closed_meanwhile_takes_no_words_of_the_handoff() -> None:
    opened = OPENED.model_copy(update={"thread_id": "h", "participants": ("ann", "bob")})
    closed = talk.ThreadClosed(thread_id="h", actor="ann", at=NOON)
    assert kinds(OPEN.given(opened, closed).by("bob").when(DECLINE)) == [talk.HandoffDeclined]


def test_a_claim_that_has_moved_completes_the_handoff() -> None:
    events = OPEN.given(ACCEPTED).by("collaboration").when(MOVED).events()
    assert events[1] == COMPLETED
    assert isinstance(events[0], talk.ClaimFollowed)
    assert events[0].agent_id == "bob"


def test_news_of_a_claim_counts_once_and_older_news_not_at_all() -> None:
    same = MOVED.model_copy(update={"attempt": 4, "claim_epoch": 4, "agent_id": "ann"})
    HELD.when(same).then()
    HELD.when(MOVED.model_copy(update={"attempt": 3, "claim_epoch": 3})).then()


def test_a_pending_handoff_fails_when_its_claim_ends_or_passes_to_somebody_else() -> None:
    over = talk.EndClaim(task_id="chair", attempt=4, reason="It is over.")
    assert kinds(OPEN.when(over))[:2] == [talk.ClaimEnded, talk.HandoffFailed]
    taken = MOVED.model_copy(update={"agent_id": "eve", "handoff_id": None})
    assert kinds(OPEN.when(taken))[:2] == [talk.ClaimFollowed, talk.HandoffFailed]


def test_an_accepted_handoff_waits_for_the_scheduler_even_when_the_claim_ends() -> None:
    over = talk.EndClaim(task_id="chair", attempt=4, reason="It is over.")
    waiting = OPEN.given(ACCEPTED)
    assert kinds(waiting.when(over)) == [talk.ClaimEnded]
    fail = talk.FailHandoff(handoff_id="h", reason="Gone.")
    assert waiting.when(fail).events()[0] == FAILED
    OPEN.given(ACCEPTED, COMPLETED).when(fail).then()


def test_an_end_that_overtakes_its_claim_waits_for_it() -> None:
    with pytest.raises(Unavailable):
        HELD.when(talk.EndClaim(task_id="chair", attempt=5, reason="x")).decide()
    HELD.when(talk.EndClaim(task_id="chair", attempt=3, reason="x")).then()
    assert kinds(HELD.when(talk.EndClaim(task_id="chair", reason="x"))) == [talk.ClaimEnded]


def test_the_two_wait_for_the_end_and_nobody_else() -> None:
    wait = talk.AwaitHandoff(handoff_id="h", wait_seconds=5)
    for past in (OPEN, OPEN.given(ACCEPTED)):
        with pytest.raises(Waiting):
            past.by("bob").when(wait).decide()
    (ref,) = OPEN.given(ACCEPTED, COMPLETED).by("ann").when(wait).decide()
    assert isinstance(ref, talk.HandoffRef)
    assert (ref.status, ref.claim_epoch) == ("completed", 5)
    (still,) = OPEN.by("ann").when(wait.model_copy(update={"wait_seconds": 0})).decide()
    assert isinstance(still, talk.HandoffRef)
    assert still.status == "pending"
    OPEN.by("eve").when(wait).then_refused(NotConcerned)


def test_only_services_and_operators_send_the_news() -> None:
    news = (talk.ExpireHandoff, talk.FollowClaim, talk.EndClaim, talk.FailHandoff, talk.FollowAgent)
    assert {command.authority.name for command in news} == {"SYSTEM"}
    assert set(news) == {command for command in collaboration.obeys if command.authority.name == "SYSTEM"}
