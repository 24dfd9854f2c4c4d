"""Which policies are watched, what they did, and what one would have done."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, column, literal_column, select, table

from services.guardian.policy import BOOK, Book, Loaded, policy_not_found, sound
from services.guardian.replaying import READ, Met, Replay
from shared.contracts.guardian import (
    Backtest,
    GetPolicy,
    GuardianPolicyMissed,
    GuardianPolicyTriggered,
    ListPolicies,
    ListTriggers,
    Policies,
    PolicyView,
    Triggered,
    Triggers,
)
from shared.contracts.messages import Event
from shared.kernel.reading import Reading
from shared.kernel.wire import read_event

PAGE = 500
MET = (GuardianPolicyTriggered, GuardianPolicyMissed)

log = table("events", column("position"), column("type"), column("schema"), column("data"))
OF_POLICIES: ColumnElement[bool] = literal_column(
    "type IN ('guardian.policy_triggered', 'guardian.policy_missed')"
)
"""As it stands in the index `policy_triggers`, so that Postgres knows it again."""


async def list_policies(query: ListPolicies, reading: Reading) -> Policies:
    """By name."""
    book = await _book(reading)
    return Policies(policies=tuple(_view(loaded) for _, loaded in sorted(book.policies.items())))


async def get_policy(query: GetPolicy, reading: Reading) -> PolicyView:
    """One, with its document."""
    book = await _book(reading)
    if query.name not in book.policies:
        raise policy_not_found(query.name, book)
    loaded = book.policies[query.name]
    return _view(loaded).model_copy(update={"document": loaded.document})


async def _book(reading: Reading) -> Book:
    return await reading.state(Book, BOOK) or Book()


def _view(loaded: Loaded) -> PolicyView:
    return PolicyView(
        name=loaded.document.name,
        version=loaded.version,
        enabled=loaded.document.enabled,
        shadow=loaded.document.shadow,
        triggers=len(loaded.document.triggers),
        loaded_by=loaded.loaded_by,
        loaded_at=loaded.loaded_at,
    )


async def list_triggers(query: ListTriggers, reading: Reading) -> Triggers:
    """Newest first."""
    statement = select(log).where(OF_POLICIES).order_by(log.c.position.desc()).limit(query.limit + 1)
    if query.policy is not None:
        statement = statement.where(log.c.data.op("->>")("policy") == query.policy)
    rows = await reading.rows(statement)
    met = [(row["position"], _event(row)) for row in rows[: query.limit]]
    told = [_triggered(position, event) for position, event in met if isinstance(event, MET)]
    return Triggers(triggers=tuple(told), cut=len(rows) > query.limit)


async def backtest(query: Backtest, reading: Reading) -> Triggers:
    """Page by page from the beginning of the log: what was known at `first` is made of all before it.

    Where nothing was heard any more, what was waited for is met all the same, up to now.
    """
    now = datetime.now(UTC)
    replay = Replay(sound(query.document))
    told: list[Triggered] = []
    gone_through, looked_at, position, heard_at = 0, 0, 0, None
    async for position, event in _log(query.last, reading):
        heard_at = getattr(event, "heard_at", heard_at)
        if query.until is not None and heard_at is not None and heard_at > query.until:
            break
        judging = position >= query.first and _is_since(query.since, heard_at)
        looked_at += judging
        gone_through += 1
        if gone_through % PAGE == 0:
            replay.forget()
        told += [_triggered(position, met) for met in replay.take(event, judging=judging)]
    ends = (query.until, heard_at if query.last is not None else None, now)
    told += [_triggered(position, met) for met in replay.until(min(filter(None, ends)))]
    return Triggers(triggers=tuple(told[: query.limit]), looked_at=looked_at, cut=len(told) > query.limit)


def _is_since(since: datetime | None, at: datetime | None) -> bool:
    return since is None or (at is not None and at >= since)


async def _log(last: int | None, reading: Reading) -> AsyncIterator[tuple[int, Event]]:
    """What policies may read of the log, in its order, a page in memory at a time."""
    kinds = [event.wire_name() for event in READ]
    position = 0
    while True:
        rows = await reading.rows(_page(kinds, position, last))
        for row in rows:
            position = row["position"]
            yield position, _event(row)
        if len(rows) < PAGE:
            return


def _page(kinds: Sequence[str], behind: int, last: int | None) -> Select[Any]:
    page = select(log).where(log.c.type.in_(kinds), log.c.position > behind)
    if last is not None:
        page = page.where(log.c.position <= last)
    return page.order_by(log.c.position).limit(PAGE)


def _event(row: dict[str, Any]) -> Event:
    event: Event = read_event(row["type"], row["schema"], row["data"])
    return event


def _triggered(position: int, event: Met) -> Triggered:
    acted = event if isinstance(event, GuardianPolicyTriggered) else None
    return Triggered(
        policy=event.policy,
        version=event.version,
        trigger=event.trigger,
        subject=event.subject,
        subject_id=event.subject_id,
        at=event.at,
        missed=acted is None,
        shadow=acted is not None and acted.shadow,
        actions=acted.actions if acted else (),
        cause=event.cause,
        position=position,
    )
