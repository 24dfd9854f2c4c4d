"""Whatever services may announce, sensible or not, as Hypothesis draws it."""

import types
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st

from services.projection.tables import READ_MODELS
from shared.contracts.gate import EvidenceRef, Finding
from shared.contracts.messages import Event, Priority
from shared.contracts.workflow import Column, Workflow
from shared.kernel.declaration import ReadModel
from shared.kernel.journal import events_of
from tests.projection.given import WORKFLOW, at, created, opened

Strategy = st.SearchStrategy[Any]

TICKETS, TASKS, AGENTS = ("T1", "T2"), ("K1", "K2", "K3"), ("A1", "A2")

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
keys = st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True)
numbers = st.integers(0, 3)
json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
NAMED: dict[str, Strategy] = {
    "ticket_id": st.sampled_from(TICKETS),
    "task_id": st.sampled_from(TASKS),
    "agent_id": st.sampled_from(AGENTS),
    "discovery_id": st.sampled_from(("D1", "D2")),
    "spawned_task_id": st.sampled_from(TASKS),
    "workflow": st.sampled_from(("short", "long")),
    "column": st.sampled_from(("todo", "doing")),
    "to_column": st.sampled_from(("todo", "doing")),
    "gate_id": st.sampled_from(("T1.DO.1", "T2.DO.1")),
    "request_id": st.sampled_from(("R1", "R2")),
    "dependency_id": st.sampled_from(TASKS),
    "dependent_id": st.sampled_from(TASKS),
    "version": st.sampled_from(("v1", "v2")),
    "result": st.fixed_dictionaries(
        {}, optional={"summary": json, "commit": json, "artifacts": json | st.lists(json, max_size=2)}
    ),
}
PLAIN: dict[Any, Strategy] = {
    str: keys,
    int: numbers,
    float: st.floats(0, 1e12),
    bool: st.booleans(),
    datetime: st.integers(0, 10**9).map(lambda micros: at(micros / 10**6)),
    Priority: st.sampled_from(Priority),
    Workflow: st.just(WORKFLOW),
    Column: st.builds(Column, id=keys, name=st.none() | words, wip_limit=st.none(), phases=st.just(("DO",))),
    Finding: st.builds(Finding, criterion=words, reason=st.none() | words),
    EvidenceRef: st.builds(EvidenceRef, artifact_id=keys, artifact_type=keys),
    Any: json,
}


def _of(annotation: Any) -> Strategy:
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation in PLAIN:
        return PLAIN[annotation]
    if origin is Literal:
        return st.sampled_from(parts)
    if origin is tuple:
        return st.lists(_of(parts[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(words, json, max_size=2)
    if origin in (Union, types.UnionType):
        return st.one_of(*(st.none() if part is type(None) else _of(part) for part in parts))
    return _of(parts[0])  # Annotated


def _events(contract: type[Event]) -> Strategy:
    fields = {name: _field(name, field.annotation) for name, field in contract.model_fields.items()}
    return st.builds(contract, **fields)


def _field(name: str, annotation: Any) -> Strategy:
    if name not in NAMED:
        return _of(annotation)
    return NAMED[name] | st.none() if type(None) in get_args(annotation) else NAMED[name]


def _heard_by(*models: ReadModel) -> Strategy:
    heard = frozenset[type[Event]]().union(*map(events_of, models))
    return st.one_of(*map(_events, sorted(heard, key=lambda event: event.wire_name())))


any_event = st.one_of(*map(_heard_by, READ_MODELS))
"""Any event that some read model is folded from, about few things, so that it meets others about the same."""

histories: st.SearchStrategy[list[Event]] = st.lists(any_event, min_size=10, max_size=40).flatmap(
    lambda events: st.just([*map(opened, TICKETS), *(created(task_id) for task_id in TASKS), *events])
)
"""Tickets and tasks that exist, and then whatever happens."""


careers: st.SearchStrategy[list[Event]] = st.lists(
    _heard_by(*(model for model in READ_MODELS if model.name == "agents")), min_size=5, max_size=20
)
"""What the registry and the scheduler say of agents: the one read model that two services fill."""


@st.composite
def interleaved(draw: Callable[[Strategy], Any], events: Sequence[Event]) -> list[Event]:
    """The same events, each service's in their order, in any order between the services."""
    sources = draw(st.permutations([event.owner() for event in events]))
    queues = {source: iter([event for event in events if event.owner() == source]) for source in sources}
    return [next(queues[source]) for source in sources]
