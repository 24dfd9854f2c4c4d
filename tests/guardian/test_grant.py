"""Who may grant what to whom, and take it back."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from services.guardian.grant import (
    GRANT,
    OVER,
    GrantOutlastsOwn,
    GrantToSelf,
    NotAnActor,
    NothingGranted,
)
from services.guardian.service import guardian
from shared.contracts.guardian import (
    GrantAuthority,
    Granted,
    GuardianAuthorityGranted,
    GuardianAuthorityRevoked,
    RevokeAuthority,
    Revoked,
)
from shared.contracts.messages import Authority
from shared.kernel.decider import CancelTimer, NotAuthorised, Timer
from shared.testing.scenario import NOON, Scenario

SCENARIO = Scenario([GRANT], guardian.obeys, actor="ann", authority=Authority.GUARDIAN)
LATER = NOON + timedelta(seconds=60)
LEVELS = st.sampled_from(Authority)


def give(
    actor: str = "bob", level: Authority = Authority.MONITOR, seconds: float | None = None
) -> GrantAuthority:
    return GrantAuthority(actor=actor, level=level, reason="on call", expires_in_seconds=seconds)


def take(actor: str = "bob") -> RevokeAuthority:
    return RevokeAuthority(actor=actor, reason="off call")


def was_given(
    actor: str = "bob", level: Authority = Authority.MONITOR, expires_at: datetime | None = None
) -> GuardianAuthorityGranted:
    return GuardianAuthorityGranted(
        actor=actor, level=level, reason="on call", granted_by="ann", expires_at=expires_at, at=NOON
    )


def was_taken(level: Authority = Authority.MONITOR) -> GuardianAuthorityRevoked:
    return GuardianAuthorityRevoked(actor="bob", level=level, reason="off call", revoked_by="ann", at=NOON)


def answered(level: Authority = Authority.MONITOR, expires_at: datetime | None = None) -> Granted:
    return Granted(
        actor="bob", level=level, reason="on call", granted_by="ann", granted_at=NOON, expires_at=expires_at
    )


def test_a_grant_without_a_time_holds_until_it_is_taken_back() -> None:
    SCENARIO.when(give()).then(was_given(), CancelTimer("grant-bob"), answered())


def test_a_grant_with_a_time_ends_by_itself() -> None:
    SCENARIO.when(give(seconds=60)).then(
        was_given(expires_at=LATER),
        Timer("grant-bob", LATER, RevokeAuthority(actor="bob", reason=OVER)),
        answered(expires_at=LATER),
    )


def test_granting_again_replaces() -> None:
    SCENARIO.given(was_given(expires_at=LATER)).when(give(level=Authority.WATCHDOG)).then(
        was_given(level=Authority.WATCHDOG), CancelTimer("grant-bob"), answered(Authority.WATCHDOG)
    )


def test_what_was_granted_is_taken_back() -> None:
    SCENARIO.given(was_given()).when(take()).then(
        was_taken(), CancelTimer("grant-bob"), Revoked(actor="bob", level=Authority.MONITOR)
    )


@drawn(own=LEVELS, level=LEVELS)
def test_nobody_grants_more_than_they_have(own: Authority, level: Authority) -> None:
    scenario = SCENARIO.by("ann", own).when(give(level=level))
    if level > own:
        scenario.then_refused(NotAuthorised, required=level.name, held=own.name)
    else:
        scenario.then_events(was_given(level=level))


@drawn(own=LEVELS, level=LEVELS)
def test_nobody_takes_back_more_than_they_have(own: Authority, level: Authority) -> None:
    scenario = SCENARIO.given(was_given(level=level)).by("ann", own).when(take())
    if level > own:
        scenario.then_refused(NotAuthorised, required=level.name, held=own.name)
    else:
        scenario.then_events(was_taken(level))


def test_what_is_more_than_ones_own_is_not_replaced_by_less() -> None:
    SCENARIO.given(was_given(level=Authority.SYSTEM)).when(give()).then_refused(
        NotAuthorised, required="SYSTEM"
    )


@pytest.mark.parametrize("seconds", [None, 61])
def test_who_has_it_for_a_time_cannot_grant_for_longer(seconds: float | None) -> None:
    own = was_given("ann", Authority.GUARDIAN, LATER)
    granted = SCENARIO.given(own).by("ann", Authority.GUARDIAN, configured=Authority.WORKER)
    granted.when(give(seconds=seconds)).then_refused(GrantOutlastsOwn)
    granted.when(give(seconds=60)).then_events(was_given(expires_at=LATER))


@pytest.mark.parametrize("command", [give("carl"), take("carl")])
def test_what_was_taken_back_is_over_before_the_door_has_heard_of_it(
    command: GrantAuthority | RevokeAuthority,
) -> None:
    carl, own = was_given("carl"), was_given(level=Authority.GUARDIAN, expires_at=LATER)
    bob = SCENARIO.given(carl, own).by("bob", Authority.GUARDIAN, configured=Authority.WORKER).when(command)
    bob.given(was_taken(Authority.GUARDIAN)).then_refused(NotAuthorised, held="WORKER")
    bob.at(LATER).then_refused(NotAuthorised, held="WORKER")
    bob.by("bob", Authority.GUARDIAN).given(was_taken(Authority.GUARDIAN)).decide()  # configuration gives it


def test_what_configuration_gives_does_not_end_with_a_lesser_grant() -> None:
    own = was_given("ann", Authority.MONITOR, LATER)
    SCENARIO.given(own).by("ann", Authority.SYSTEM).when(give()).then_events(was_given())


@pytest.mark.parametrize("level", Authority)
def test_nobody_promotes_themselves(level: Authority) -> None:
    SCENARIO.by("bob", Authority.SYSTEM).when(give(level=level)).then_refused(GrantToSelf, actor="bob")


def test_one_may_give_up_ones_own() -> None:
    SCENARIO.given(was_given()).by("bob", Authority.GUARDIAN).when(take()).then_events(
        was_taken().model_copy(update={"revoked_by": "bob"})
    )


@pytest.mark.parametrize("name", ["phase", "scheduler", "registry", "guardian", "anonymous"])
def test_nothing_is_granted_to_a_service_or_to_nobody(name: str) -> None:
    SCENARIO.by("operator", Authority.SYSTEM).when(give(name)).then_refused(NotAnActor, actor=name)


def test_what_is_not_there_cannot_be_taken_back() -> None:
    refused = SCENARIO.when(take()).then_refused(NothingGranted, actor="bob")
    assert "OMOI_GRANTS" in refused.message
    SCENARIO.given(was_given(), was_taken()).when(take()).then_refused(NothingGranted)


@pytest.mark.parametrize("written", ["guardian", "GUARDIAN", " Guardian ", 4])
def test_a_level_is_a_name_in_any_case_or_its_number(written: object) -> None:
    command = GrantAuthority.model_validate({"actor": "bob", "level": written, "reason": "x"})
    assert command.level is Authority.GUARDIAN
    assert command.model_dump(mode="json")["level"] == "GUARDIAN"
