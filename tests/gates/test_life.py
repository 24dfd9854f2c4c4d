"""Evidence, reviews, approvals, expiries and retries in any order: the gate never passes too soon."""

from collections.abc import Callable
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.gates.gate import Gate
from services.gates.service import gates
from services.gates.verdict import standing
from shared.contracts.gate import (
    DelayReview,
    ExpireApproval,
    FollowMigration,
    FollowWorkflow,
    GateApprovalRequested,
    GatePassed,
    GateReviewRequested,
    GateReviewSubmitted,
    ValidateGate,
)
from shared.contracts.messages import Authority, Command, Event
from shared.kernel.decider import Context, Refused
from shared.testing.scenario import History
from tests.gates.judgement import approve, entered, reject, review, workflow
from tests.gates.story import after, artifact, submit, task

BY_AGENT = {"by": "agent"}
VERSIONS = [workflow(review=BY_AGENT, approval={"count": count}) for count in (1, 2)]
PEOPLE = ("ann", "bob", "eve")


class Visit(RuleBasedStateMachine):
    """One visit, beside a model of what was said about which evidence."""

    def __init__(self) -> None:
        super().__init__()
        started = entered(review=BY_AGENT, approval={"count": 1})
        self.past = History(gates.aggregates, started.past, {})
        self.number = 0
        self.required = 1
        self.migrations = 0
        self.running = {"a"}
        self.failed = set[str]()
        self.note = False
        self.said_yes: bool | None = None
        self.rounds = 0
        self.rejected = False
        self.consenting = set[str]()
        self.requests: list[Event] = []

    def gate(self) -> Gate:
        return self.past.of(Gate, "T.CHECK.1")

    def obey(
        self, command: Command, actor: str = "gates", authority: Authority = Authority.SYSTEM
    ) -> list[Event]:
        """Have it decided; what it makes of the gate must fit the model. A refusal changes nothing."""
        self.number += 1
        now = after(self.number)
        context = Context(f"command-{self.number}", actor, authority, now, now)
        try:
            facts = gates.obeys[type(command)](command, self.past, context)
        except Refused:
            return []
        events = [fact for fact in facts if isinstance(fact, Event)]
        for event in events:
            self.past.add(event)
            if isinstance(event, GateReviewRequested | GateApprovalRequested):
                self.requests.append(event)
        return events

    def check(self, events: list[Event]) -> None:
        """Passing needs all of it, and of the evidence that there is."""
        if any(isinstance(event, GatePassed) for event in events):
            assert self.note, "passed without its evidence"
            assert not self.running | self.failed, "passed with a task that is not completed"
            assert self.said_yes or self.rounds >= 3, "passed without a review of this evidence"
            assert len(self.consenting) >= self.required, "passed without a quorum on this evidence"
            assert not self.rejected, "passed although somebody rejected this evidence"

    def new_evidence(self) -> None:
        self.said_yes, self.rejected, self.consenting = None, False, set()

    @rule(good=st.booleans(), outcome=st.sampled_from(("completed", "failed")))
    @precondition(lambda self: self.running)
    def end_task(self, good: bool, outcome: str) -> None:
        task_id = sorted(self.running)[0]
        handed_in = artifact("note", "Because." if good else "", "n.md")
        self.running.discard(task_id)
        self.new_evidence()
        if outcome == "completed":
            self.note = good
            ended = task(task_id, "completed", "CHECK", handed_in, at=self.number)
        else:
            self.failed.add(task_id)
            ended = task(task_id, "failed", "CHECK", at=self.number)
        self.check(self.obey(ended))

    @rule()
    @precondition(lambda self: len(self.running) < 2)
    def begin_task(self) -> None:
        task_id = sorted(self.failed)[0] if self.failed else f"t{self.number}"
        self.failed.discard(task_id)
        self.running.add(task_id)
        self.new_evidence()
        self.check(self.obey(task(task_id, "open", "CHECK", at=self.number)))

    @rule(good=st.booleans())
    def hand_in(self, good: bool) -> None:
        self.note = good
        self.new_evidence()
        content = f"Because {self.number}." if good else ""
        self.check(
            self.obey(submit("note", content, "n.md", f"by-hand-{self.number}"), "helper", Authority.WORKER)
        )

    @rule()
    def validate(self) -> None:
        self.check(self.obey(ValidateGate(ticket_id="T")))

    @rule(
        passed=st.booleans(), actor=st.sampled_from(("critic", "coder-1", "coder-2", "ann")), data=st.data()
    )
    def give_review(self, passed: bool, actor: str, data: st.DataObject) -> None:
        request_id = data.draw(st.sampled_from([None, *self.ids(GateReviewRequested)]))
        authority = Authority.MONITOR if actor == "ann" else Authority.WORKER
        before = self.gate().review
        self.judge(review(passed, request_id=request_id), actor, authority, lambda: self.note_review(passed))
        if before is None or before.status != "open" or request_id not in (None, before.request_id):
            assert self.gate().rounds == self.rounds

    def note_review(self, passed: bool) -> None:
        self.said_yes = passed
        self.rounds += 1

    def judge(self, command: Command, actor: str, authority: Authority, note: Callable[[], None]) -> None:
        """What the model learns it learns before it looks at the verdict that came with it."""
        open_before = self.gate().open_request
        events = self.obey(command, actor, authority)
        if any(isinstance(event, GateReviewSubmitted) for event in events) or (
            events and open_before and not isinstance(events[0], GateReviewSubmitted)
        ):
            assert open_before
            assert actor not in self.gate().workers
            note()
        self.check(events)

    @rule(actor=st.sampled_from((*PEOPLE, "coder-1", "coder-2", "anonymous")), data=st.data())
    def consent(self, actor: str, data: st.DataObject) -> None:
        request_id = data.draw(st.sampled_from([None, *self.ids(GateApprovalRequested)]))
        authority = Authority.MONITOR if actor in PEOPLE else Authority.WORKER
        self.judge(approve(request_id=request_id), actor, authority, partial(self.consenting.add, actor))
        assert self.consenting <= set(PEOPLE)

    @rule(actor=st.sampled_from((*PEOPLE, "coder-2")), data=st.data())
    def refuse(self, actor: str, data: st.DataObject) -> None:
        request_id = data.draw(st.sampled_from([None, *self.ids(GateApprovalRequested)]))
        authority = Authority.MONITOR if actor in PEOPLE else Authority.WORKER
        self.judge(reject(request_id=request_id), actor, authority, self.note_rejection)

    def note_rejection(self) -> None:
        self.rejected = True

    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        if ids := self.ids(GateApprovalRequested):
            request_id = data.draw(st.sampled_from(ids))
            if self.obey(ExpireApproval(gate_id="T.CHECK.1", request_id=request_id)):
                self.consenting = set()

    @rule(data=st.data())
    def delay(self, data: st.DataObject) -> None:
        if ids := self.ids(GateReviewRequested):
            late = DelayReview(
                gate_id="T.CHECK.1", request_id=data.draw(st.sampled_from(ids)), problem="Away."
            )
            self.check(self.obey(late))

    @rule(required=st.sampled_from((1, 2)))
    def migrate(self, required: int) -> None:
        self.required = required
        self.migrations += 1
        document = VERSIONS[required - 1]
        self.obey(FollowWorkflow(version=document.version, document=document))
        migration = FollowMigration(
            ticket_id="T", workflow_version=document.version, migration=self.migrations
        )
        self.check(self.obey(migration))

    @rule()
    def like_it(self) -> None:
        """Everybody who is asked now says yes."""
        waiting = self.gate().review
        if waiting and waiting.status == "open":
            self.judge(review(True), "critic", Authority.WORKER, lambda: self.note_review(True))
        for person in PEOPLE[: self.required]:
            self.judge(approve(), person, Authority.MONITOR, partial(self.consenting.add, person))

    def ids(self, kind: type[GateReviewRequested] | type[GateApprovalRequested]) -> list[str]:
        return [event.request_id for event in self.requests if isinstance(event, kind)]

    @invariant()
    def at_most_one_thing_is_asked_for(self) -> None:
        gate = self.gate()
        asked = [one for one in (gate.review, gate.approval) if one and one.status == "open"]
        assert len(asked) <= 1
        assert all(one.evidence == gate.evidence for one in asked)

    @invariant()
    def a_pending_gate_says_what_it_waits_for(self) -> None:
        gate = self.gate()
        status, reasons = standing(gate, VERSIONS[0].phases[1])
        assert reasons or status == "passed" or not (self.running | self.failed)

    @invariant()
    def there_are_at_most_three_rounds(self) -> None:
        assert self.gate().rounds == self.rounds <= 3

    def teardown(self) -> None:
        """Whatever has happened, good work that everybody likes gets through."""
        self.running |= self.failed
        for task_id in sorted(self.running):
            if task_id in self.failed:
                self.obey(task(task_id, "open", "CHECK", at=self.number))
            self.number += 1
            self.obey(task(task_id, "completed", "CHECK", at=self.number))
        self.running, self.failed = set(), set()
        self.hand_in(good=True)
        self.validate()
        self.like_it()
        assert self.gate().verdict == "passed", standing(self.gate(), VERSIONS[self.required - 1].phases[1])


TestVisit = Visit.TestCase
TestVisit.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
