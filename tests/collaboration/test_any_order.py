"""Agents talk and hand tasks over in any order, while news of claims takes its time."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from services.collaboration.claim import Claim
from services.collaboration.handoff import Handoff
from shared.contracts import collaboration as talk
from shared.contracts.messages import Authority
from shared.contracts.task import CompleteTask, ExtendClaim, TaskClaimed
from tests.collaboration.firm import Firm

AGENTS = ("ann", "bob", "eve")
agents = st.sampled_from(AGENTS)
ANSWERS = (talk.HandoffAccepted, talk.HandoffDeclined, talk.HandoffWithdrawn, talk.HandoffExpired)
ENDS = (
    talk.HandoffCompleted,
    talk.HandoffDeclined,
    talk.HandoffWithdrawn,
    talk.HandoffExpired,
    talk.HandoffFailed,
)
ABSENCES: tuple[talk.Absence, ...] = ("left", "lost", "quarantine", "unavailable")


class Talking(RuleBasedStateMachine):
    """What the inboxes must hold is kept beside what the rules made of it."""

    messages = Bundle("messages")
    handoffs = Bundle("handoffs")

    def __init__(self) -> None:
        super().__init__()
        self.firm = Firm()
        self.members: set[str] = {"ann", "bob"}
        self.closed = False
        self.expected: dict[str, list[str]] = {name: [] for name in AGENTS}
        self.read: dict[str, set[str]] = {name: set() for name in AGENTS}
        self.epochs: dict[str, list[tuple[int, str]]] = {}
        self.absent: set[tuple[str, talk.Absence]] = {(name, "left") for name in AGENTS}
        self.count = 0
        for name in AGENTS:
            self.come_or_go(name, "left", True)
        self.firm.talk(
            talk.OpenThread(thread_id="t", kind="review", topic="x", participants=("bob",)), actor="ann"
        )
        for task_id in ("chair", "table"):
            self.firm.shop.create(task_id)

    @rule(target=messages, actor=agents, to=st.none() | agents)
    def send(self, actor: str, to: str | None) -> str:
        self.count += 1
        message_id = f"m-{self.count}"
        command = talk.SendMessage(
            thread_id="t", text="hi", message_id=message_id, to=() if to is None else (to,)
        )
        allowed = not self.closed and actor in self.members and (to is None or to in self.members)
        assert self.firm.talk(command, actor) == allowed
        if allowed:
            self._note(message_id, [to] if to else sorted(self.members - {actor}))
            self.firm.talk(command, actor)
        return message_id

    def _note(self, message_id: str, recipients: list[str]) -> None:
        for name in recipients:
            self.expected[name].append(message_id)

    @rule(message_id=messages, actor=agents)
    def mark(self, message_id: str, actor: str) -> None:
        marked = self.firm.talk(talk.MarkRead(message_ids=(message_id,)), actor)
        assert marked == (message_id in self.expected[actor])
        if marked:
            self.read[actor].add(message_id)

    @rule(message_id=messages, actor=agents)
    def mark_up_to(self, message_id: str, actor: str) -> None:
        if self.firm.talk(talk.MarkRead(up_to=message_id), actor):
            inbox = self.firm.inbox(actor)
            self.read[actor] |= set(inbox[: inbox.index(message_id) + 1])

    @rule(actor=agents, other=agents)
    def add(self, actor: str, other: str) -> None:
        if self.firm.talk(talk.AddParticipants(thread_id="t", participants=(other,)), actor):
            self.members.add(other)

    @rule(actor=agents)
    def leave(self, actor: str) -> None:
        if self.firm.talk(talk.LeaveThread(thread_id="t"), actor):
            self.members.remove(actor)
            self.closed = self.closed or not self.members

    @rule(actor=agents, sure=st.sampled_from([False, False, False, True]))
    def close(self, actor: str, sure: bool) -> None:
        if sure:
            closed = self.firm.talk(talk.CloseThread(thread_id="t"), actor)
            self.closed = self.closed or closed

    @rule(agent=agents, absence=st.sampled_from(ABSENCES), back=st.sampled_from([True, True, True, False]))
    def come_or_go(self, agent: str, absence: talk.Absence, back: bool) -> None:
        self.firm.wait(0.001)
        news = talk.FollowAgent(agent_id=agent, absence=absence, absent=not back, at=self.firm.shop.now)
        assert self.firm.talk(news, authority=Authority.SYSTEM)
        (self.absent.discard if back else self.absent.add)((agent, absence))

    @rule(actor=agents)
    def claim(self, actor: str) -> None:
        self.firm.claim(actor)

    @rule(target=handoffs, actor=agents, to=agents, task_id=st.sampled_from(["chair", "table"]))
    def request(self, actor: str, to: str, task_id: str) -> str:
        self.count += 1
        handoff_id = f"h-{self.count}"
        known = self.firm.past.of(Claim, task_id)
        before = known.handoff_id
        free = not (before and self.firm.handoff(before).goes_on)
        asked = self.firm.talk(
            talk.RequestHandoff(handoff_id=handoff_id, to=to, task_id=task_id, context={"n": self.count}),
            actor,
        )
        assert asked == (known.agent_id == actor and to != actor and free and self._is_here(to))
        return handoff_id

    def _is_here(self, agent: str) -> bool:
        return not any((agent, absence) in self.absent for absence in ABSENCES)

    @rule(handoff_id=handoffs, actor=agents)
    def withdraw(self, handoff_id: str, actor: str) -> None:
        handoff = self.firm.handoff(handoff_id)
        waits = self._waits(handoff)
        withdrawn = self.firm.talk(talk.WithdrawHandoff(handoff_id=handoff_id), actor)
        assert withdrawn == (waits and actor == handoff.from_agent)

    def _waits(self, handoff: Handoff) -> bool:
        overdue = handoff.expires_at is not None and self.firm.shop.now >= handoff.expires_at
        return bool(handoff.handoff_id) and handoff.status == "pending" and not overdue

    @rule(handoff_id=handoffs, actor=agents, yes=st.booleans())
    def answer(self, handoff_id: str, actor: str, yes: bool) -> None:
        handoff = self.firm.handoff(handoff_id)
        waits = self._waits(handoff)
        allowed = not yes or (actor, "quarantine") not in self.absent
        command = talk.AcceptHandoff if yes else talk.DeclineHandoff
        answered = self.firm.talk(command(handoff_id=handoff_id), actor)
        assert answered == (waits and actor == handoff.to_agent and allowed)

    @rule(target=handoffs, agent=agents, to=agents, yes=st.booleans(), news=st.integers(0, 4))
    def agree(self, agent: str, to: str, yes: bool, news: int) -> str:
        """A handoff up to its answer, as it mostly goes; the news that follows takes its time."""
        self.count += 1
        handoff_id = f"h-{self.count}"
        won = self.firm.claim(agent)
        for _ in range(len(self.firm.to_talk)):
            self.firm.hear()
        held = [
            task_id for task_id in ("chair", "table") if self.firm.past.of(Claim, task_id).agent_id == agent
        ]
        task_id = won[0] if won else next(iter(held), "chair")
        self.firm.talk(talk.RequestHandoff(handoff_id=handoff_id, to=to, task_id=task_id), agent)
        self.answer(handoff_id, to, yes)
        for _ in range(news):
            self.firm.hear()
        return handoff_id

    @rule()
    def hear(self) -> None:
        self.firm.hear()

    @rule(seconds=st.sampled_from([1.0, 30.0, 70.0, 301.0]))
    def wait(self, seconds: float) -> None:
        self.firm.wait(seconds)

    @rule(task_id=st.sampled_from(["chair", "table"]), back=st.integers(0, 2))
    def extend(self, task_id: str, back: int) -> None:
        task = self.firm.shop.task(task_id)
        extended = self.firm.work(ExtendClaim(task_id=task_id, claim_epoch=task.claim_epoch - back))
        assert (extended is not None) == (task.claimed and back == 0)

    @rule(task_id=st.sampled_from(["chair", "table"]), sure=st.sampled_from([False, False, True]))
    def complete(self, task_id: str, sure: bool) -> None:
        task = self.firm.shop.task(task_id)
        if sure and task.claimed:
            assert self.firm.work(CompleteTask(task_id=task_id, claim_epoch=task.claim_epoch - 1)) is None
            assert self.firm.work(CompleteTask(task_id=task_id, claim_epoch=task.claim_epoch)) is not None

    @invariant()
    def nothing_is_lost_or_doubled_in_an_inbox(self) -> None:
        own = {name: [each for each in self.firm.inbox(name) if each.startswith("m-")] for name in AGENTS}
        assert own == self.expected
        for name in AGENTS:
            inbox = self.firm.inbox(name)
            assert len(set(inbox)) == len(inbox)
            assert set(self.firm.unread(name)) == set(inbox) - self.read[name]

    @invariant()
    def no_epoch_has_two_holders(self) -> None:
        claims = self.firm.shop.of_type(TaskClaimed)
        assert len({(claim.task_id, claim.claim_epoch) for claim in claims}) == len(claims)
        for claim in claims:
            if claim.handoff_id:
                handoff = self.firm.handoff(claim.handoff_id)
                assert (handoff.to_agent, handoff.from_agent) == (claim.agent_id, claim.handed_over_from)

    @invariant()
    def a_handoff_is_answered_once_and_ends_once(self) -> None:
        for kinds in (ANSWERS, ENDS):
            found = Counter(event.handoff_id for event in self.firm.events if isinstance(event, kinds))
            assert set(found.values()) <= {1}

    @invariant()
    def a_task_has_one_open_handoff(self) -> None:
        asked = [e for e in self.firm.events if isinstance(e, talk.HandoffRequested)]
        going_on = Counter(each.task_id for each in asked if self.firm.handoff(each.handoff_id).goes_on)
        assert set(going_on.values()) <= {1}

    def teardown(self) -> None:
        """Once all news is heard and time has passed, every handoff has ended as the scheduler says."""
        self.firm.wait(400)
        for _ in range(500):
            self.firm.hear()
        assert not self.firm.to_talk
        moved = {claim.handoff_id for claim in self.firm.shop.of_type(TaskClaimed) if claim.handoff_id}
        for event in self.firm.events:
            if isinstance(event, talk.HandoffRequested):
                ended = self.firm.handoff(event.handoff_id)
                assert not ended.goes_on
                assert (ended.status == "completed") == (event.handoff_id in moved)


TestTalking = Talking.TestCase
TestTalking.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
