"""Whatever is granted and taken back, by whomever and whenever: no authority grows, nor does its time."""

from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from services.guardian.grant import GRANT, Grant
from services.guardian.service import guardian
from shared.contracts.guardian import GrantAuthority, RevokeAuthority
from shared.contracts.messages import Authority, Command, Event
from shared.kernel.decider import Context, Refused
from shared.testing.scenario import NOON, History

CONFIGURED = {"ann": Authority.GUARDIAN, "bob": Authority.MONITOR}
EVERYBODY = ("ann", "bob", "eve", "joe")
UNTIL = NOON + timedelta(seconds=100)
actors = st.sampled_from(EVERYBODY)


class Granting(RuleBasedStateMachine):
    """Four actors, of whom one begins with GUARDIAN for good, and one is given it for 100 seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.past = History([GRANT], [], {})
        self.now: datetime = NOON
        self.rooted: set[str] = {"ann"}
        """Whose GUARDIAN may last, as ann's does."""
        self.give(
            "operator",
            Authority.SYSTEM,
            GrantAuthority(actor="eve", level=4, reason="x", expires_in_seconds=100),
        )

    def held(self, actor: str) -> Authority:
        """What the actor has now."""
        grant = self.past.of(Grant, actor)
        over = grant.expires_at is not None and grant.expires_at <= self.now
        return max(CONFIGURED.get(actor, Authority.WORKER), Authority.WORKER if over else grant.level)

    def give(self, sender: str, held: Authority, command: Command) -> bool:
        """Have a command decided as the kernel does; whether it was taken."""
        if held < command.authority:
            return False
        configured = CONFIGURED.get(sender, Authority.WORKER)
        context = Context("c", sender, held, self.now, self.now, configured=configured)
        try:
            facts = guardian.obeys[type(command)](command, self.past, context)
        except Refused:
            return False
        for fact in facts:
            if isinstance(fact, Event):
                self.past.add(fact)
        return True

    @rule(
        sender=actors, actor=actors, level=st.sampled_from(Authority), seconds=st.none() | st.integers(1, 300)
    )
    def grant(self, sender: str, actor: str, level: Authority, seconds: int | None) -> None:
        command = GrantAuthority(actor=actor, level=level, reason="x", expires_in_seconds=seconds)
        if self.give(sender, self.held(sender), command) and level is Authority.GUARDIAN:
            (self.rooted.add if sender in self.rooted else self.rooted.discard)(actor)

    @rule(sender=actors, actor=actors)
    def revoke(self, sender: str, actor: str) -> None:
        self.give(sender, self.held(sender), RevokeAuthority(actor=actor, reason="x"))

    @rule(seconds=st.integers(1, 60))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def nobody_has_more_than_anybody_began_with(self) -> None:
        assert all(self.held(actor) <= Authority.GUARDIAN for actor in EVERYBODY)

    @invariant()
    def what_began_for_a_time_has_ended_everywhere(self) -> None:
        if self.now >= UNTIL:
            assert all(
                self.held(actor) < Authority.GUARDIAN for actor in EVERYBODY if actor not in self.rooted
            )

    @invariant()
    def what_configuration_gives_stays(self) -> None:
        assert all(self.held(actor) >= level for actor, level in CONFIGURED.items())


def test_no_authority_grows() -> None:
    run_state_machine_as_test(
        Granting, settings=settings(max_examples=100, stateful_step_count=30, deadline=None)
    )
