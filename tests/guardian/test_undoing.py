"""Interventions, reverts and whatever else happens, in any order: what is restored equals what was."""

from contextlib import suppress
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.registry.agent import Agent
from services.registry.service import registry
from services.scheduler.ticket import Ticket
from shared.contracts import agent as agents
from shared.contracts import task as tasks
from shared.contracts.guardian import Intended
from shared.contracts.messages import Authority, Command, Event, Priority
from shared.kernel.decider import Context, Refused
from shared.testing.scenario import NOON, History
from tests.scheduler.workshop import Workshop

AS_MADE = ""
TASKS, AGENTS = ("saw", "glue"), ("ann", "bob", "cid")
PRIORITIES = (Priority.LOW, Priority.HIGH)


class Undoing(RuleBasedStateMachine):
    """What each thing is and who made it so, kept plainly beside the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.aims: dict[str, Intended] = {}
        self.in_effect: dict[str, Any] = {}
        """Intervention -> what was before it, as far as it changed that."""
        self.count = 0

    def wish(self, **aim: Any) -> str:
        """A new intervention."""
        self.count += 1
        self.aims[f"i-{self.count}"] = Intended(**aim)
        return f"i-{self.count}"

    def named(self, intervention_id: str) -> dict[str, Any]:
        """What a service is told of it."""
        aim = self.aims[intervention_id]
        return {"intervention_id": intervention_id, "intended": aim, "reason": "so", "actor": "gus"}


class OfTasks(Undoing):
    """Priorities, cancellations and pauses."""

    def __init__(self) -> None:
        super().__init__()
        self.shop = Workshop()
        self.priority: dict[str, tuple[Priority, str]] = {}
        self.cancelled: dict[str, str] = {}
        self.pause: tuple[bool, str] = (False, AS_MADE)
        self.moved = False
        for task_id in TASKS:
            self.shop.create(task_id)
            self.priority[task_id] = (Priority.MEDIUM, AS_MADE)

    def apply(self, intervention_id: str) -> bool:
        """Whether the scheduler carries it out; the second time it says nothing."""
        command = tasks.ApplyIntervention(**self.named(intervention_id))
        settled = self.settled(self.shop.do(command))
        assert self.shop.do(command) == []
        return settled.ok

    def settled(self, facts: Any) -> tasks.TaskInterventionSettled:
        """The answer among facts."""
        [answer] = [fact for fact in facts if isinstance(fact, tasks.TaskInterventionSettled)]
        return answer

    @rule(task_id=st.sampled_from(TASKS), priority=st.sampled_from(PRIORITIES))
    def override(self, task_id: str, priority: Priority) -> None:
        before = self.priority[task_id]
        possible = not self.shop.task(task_id).ended and before[0] != priority
        made = self.wish(kind="override_priority", task_id=task_id, priority=priority)
        assert self.apply(made) == possible
        if possible:
            self.in_effect[made] = before
            self.priority[task_id] = (priority, made)

    @rule(task_id=st.sampled_from(TASKS))
    def cancel(self, task_id: str) -> None:
        possible = not self.shop.task(task_id).ended
        made = self.wish(kind="cancel_task", task_id=task_id)
        assert self.apply(made) == possible
        if possible:
            self.in_effect[made] = None
            self.cancelled[task_id] = made

    @rule(paused=st.booleans())
    def pause_or_resume(self, paused: bool) -> None:
        before = self.pause
        made = self.wish(kind="pause_ticket" if paused else "resume_ticket", ticket_id="T-1")
        possible = before[0] != paused
        assert self.apply(made) == possible
        if possible:
            self.in_effect[made] = before
            self.pause = (paused, made)

    @precondition(lambda self: self.in_effect)
    @rule(data=st.data())
    def revert(self, data: st.DataObject) -> None:
        which = data.draw(st.sampled_from(sorted(self.in_effect)))
        aim, before = self.aims[which], self.in_effect[which]
        self.count += 1
        command = tasks.RevertIntervention(revert_id=f"r-{self.count}", **self.named(which))
        expected = self.as_left(which, aim)
        settled = self.settled(self.shop.do(command))
        assert (settled.ok, bool(settled.changed)) == (expected, not expected)
        assert self.shop.do(command) == []
        if expected:
            del self.in_effect[which]
            self.restore(aim, before)

    def as_left(self, which: str, aim: Intended) -> bool:
        if aim.kind in ("pause_ticket", "resume_ticket"):
            return self.pause[1] == which
        assert aim.task_id is not None
        if aim.kind == "override_priority":
            return self.priority[aim.task_id][1] == which and not self.shop.task(aim.task_id).ended
        return self.cancelled.get(aim.task_id) == which and not self.moved

    def restore(self, aim: Intended, before: Any) -> None:
        if aim.kind in ("pause_ticket", "resume_ticket"):
            self.pause = before
        elif aim.kind == "override_priority":
            self.priority[aim.task_id or ""] = before
        else:
            del self.cancelled[aim.task_id or ""]
            assert self.shop.status(aim.task_id or "") == "ready"

    @rule(task_id=st.sampled_from(TASKS), priority=st.sampled_from(PRIORITIES))
    def somebody_else_changes_it(self, task_id: str, priority: Priority) -> None:
        with suppress(Refused):
            before = self.priority[task_id][0]
            self.shop.do(tasks.ReprioritiseTask(task_id=task_id, priority=priority), actor="bob")
            if before != priority:
                self.priority[task_id] = (priority, "bob")

    @rule(task_id=st.sampled_from(TASKS), again=st.booleans())
    def somebody_else_retries_or_cancels_it(self, task_id: str, again: bool) -> None:
        command = tasks.RetryTask if again else tasks.CancelTask
        with suppress(Refused):
            self.shop.do(command(task_id=task_id), actor="bob")
            if again:
                self.cancelled.pop(task_id, None)

    @rule(done=st.booleans())
    def work(self, done: bool) -> None:
        won = self.shop.claim()
        assert not (won and self.pause[0])
        if done and self.count > 12:
            for task in won:
                self.shop.do(tasks.CompleteTask(task_id=task.task_id, claim_epoch=task.claim_epoch))
        self.shop.do(tasks.ReleaseClaims(agent_id="bob", reason="It rests.", returned=True))

    @precondition(lambda self: not self.moved and self.count > 12)
    @rule()
    def move_on(self) -> None:
        self.shop.enter("CHECK")
        self.moved = True

    @invariant()
    def everything_is_as_the_last_one_made_it(self) -> None:
        for task_id, (priority, _) in self.priority.items():
            assert self.shop.task(task_id).priority == priority
            open_ = not self.shop.task(task_id).ended
            assert ("ticket_paused" in self.shop.reasons(task_id)) == (self.pause[0] and open_)
        assert bool(self.shop.past.of(Ticket, "T-1").pause) == self.pause[0]


class OfAgents(Undoing):
    """Capacity that goes to and fro."""

    def __init__(self) -> None:
        super().__init__()
        self.past = History(registry.aggregates, (), {})
        self.capacity: dict[str, tuple[int, str]] = {}
        self.sent = 0
        for agent_id in AGENTS:
            self.decide(agents.Register(agent_id=agent_id, capacity=4))
            self.capacity[agent_id] = (4, AS_MADE)

    def decide(self, command: Command) -> list[Any]:
        """Decide a command and let its events come true."""
        self.sent += 1
        context = Context(f"c-{self.sent}", "bob", Authority.SYSTEM, NOON, NOON)
        facts = list(registry.obeys[type(command)](command, self.past, context))
        for fact in facts:
            if isinstance(fact, Event):
                self.past.add(fact)
        return facts

    def of(self, agent_id: str) -> Agent:
        """An agent as the registry has it."""
        return self.past.of(Agent, agent_id)

    @rule(source=st.sampled_from(AGENTS), receiver=st.sampled_from(AGENTS), count=st.integers(1, 3))
    def reallocate(self, source: str, receiver: str, count: int) -> None:
        made = self.wish(kind="reallocate_capacity", from_agent=source, to_agent=receiver, capacity=count)
        possible = (
            source != receiver
            and self.of(source).here
            and self.of(receiver).here
            and self.capacity[source][0] > count
        )
        *_, settled = self.decide(agents.ApplyIntervention(**self.named(made)))
        assert settled.ok == possible
        if possible:
            self.in_effect[made] = {name: self.capacity[name] for name in (source, receiver)}
            self.capacity[source] = (self.capacity[source][0] - count, made)
            self.capacity[receiver] = (self.capacity[receiver][0] + count, made)

    @precondition(lambda self: self.in_effect)
    @rule(data=st.data())
    def revert(self, data: st.DataObject) -> None:
        which = data.draw(st.sampled_from(sorted(self.in_effect)))
        expected = all(self.capacity[name][1] == which for name in self.in_effect[which])
        self.count += 1
        command = agents.RevertIntervention(revert_id=f"r-{self.count}", **self.named(which))
        *_, settled = self.decide(command)
        assert (settled.ok, bool(settled.changed)) == (expected, not expected)
        assert self.decide(command) == []
        if expected:
            self.capacity |= self.in_effect.pop(which)

    @rule(agent_id=st.sampled_from(AGENTS), capacity=st.integers(1, 9))
    def somebody_says_another_capacity(self, agent_id: str, capacity: int) -> None:
        with suppress(Refused):
            self.decide(agents.Update(agent_id=agent_id, capacity=capacity))
            if capacity != self.capacity[agent_id][0]:
                self.capacity[agent_id] = (capacity, "bob")

    @rule(agent_id=st.sampled_from(AGENTS), capacity=st.integers(1, 9))
    def it_registers_again(self, agent_id: str, capacity: int) -> None:
        held = self.of(agent_id).here and self.capacity[agent_id][1] in self.aims
        self.decide(agents.Register(agent_id=agent_id, capacity=capacity))
        if not held:
            self.capacity[agent_id] = (capacity, AS_MADE)

    @rule(agent_id=st.sampled_from(AGENTS))
    def it_leaves(self, agent_id: str) -> None:
        self.decide(agents.Deregister(agent_id=agent_id))
        self.capacity[agent_id] = (self.capacity[agent_id][0], "nobody")

    @invariant()
    def everybody_has_what_the_last_one_gave(self) -> None:
        for agent_id, (capacity, _) in self.capacity.items():
            assert self.of(agent_id).capacity == capacity >= 1


OfTasks.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
OfAgents.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestOfTasks, TestOfAgents = OfTasks.TestCase, OfAgents.TestCase
