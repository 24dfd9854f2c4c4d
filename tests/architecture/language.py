"""The published language as classes: what each contract must say, and which service it belongs to."""

import enum
import importlib
import pkgutil
import typing
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from types import ModuleType

from pydantic import BaseModel
from pydantic.fields import FieldInfo

import services
import shared.contracts
from shared.contracts import messages
from shared.contracts.messages import (
    SHARED_NOUNS,
    Authority,
    Command,
    Contract,
    Event,
    Measure,
    Query,
    Result,
    noun_of,
    owner_of,
)
from shared.kernel.declaration import Service
from tests.architecture.source import ROOT

MESSAGES = (Command, Event, Query, Result, Measure)
KEY = typing.get_args(messages.Key)[1]
UNITS = ("_seconds", "_ms", "_bytes", "_percent")


def published() -> tuple[ModuleType, ...]:
    """The contract modules, but for the one that says what a contract is."""
    names = (module.name for module in pkgutil.iter_modules(shared.contracts.__path__, "shared.contracts."))
    return tuple(importlib.import_module(name) for name in names if name != messages.__name__)


def classes_of(modules: Sequence[ModuleType]) -> tuple[type, ...]:
    """The public classes that `modules` define."""
    return tuple(
        value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and not name.startswith("_")
    )


def declared() -> tuple[Service, ...]:
    """The services that exist so far, from their `service.py`."""
    folders = [module.name for module in pkgutil.iter_modules(services.__path__)]
    written = [name for name in folders if (ROOT / "services" / name / "service.py").exists()]
    modules = [importlib.import_module(f"services.{name}.service") for name in written]
    return tuple(value for module in modules for value in vars(module).values() if isinstance(value, Service))


def _parts(annotation: object) -> Iterator[object]:
    yield annotation
    for part in typing.get_args(annotation):
        yield from _parts(part)


def _carried(contract: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for field in contract.model_fields.values():
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield part
                yield from _carried(part)


def strangers(classes: Sequence[type]) -> Iterator[str]:
    """Classes that are neither a message, nor an enumeration, nor a part that a message carries."""
    spoken = [contract for contract in classes if issubclass(contract, MESSAGES)]
    carried = {part for contract in spoken for part in _carried(contract)}
    for contract in classes:
        if contract not in carried and not issubclass(contract, (*MESSAGES, enum.Enum)):
            yield f"{contract.__module__}.{contract.__name__} is no message, nor part of one"


def undocumented(classes: Sequence[type]) -> Iterator[str]:
    """Classes without a docstring of their own."""
    for contract in classes:
        if not contract.__dict__.get("__doc__"):
            yield f"{contract.__module__}.{contract.__name__} has no docstring; AsyncAPI and MCP show it"


def _explains_itself(name: str, field: FieldInfo) -> bool:
    """Ids, moments, yes or no, named choices, documented types and quantities with a unit need no words."""
    if field.description or name.endswith(UNITS) or KEY in field.metadata:
        return True
    parts = list(_parts(field.annotation))
    if messages.Key in parts or any(isinstance(part, FieldInfo) and part.description for part in parts):
        return True
    kinds = [part for part in parts if isinstance(part, type) and part is not type(None)]
    return all(issubclass(kind, (bool, datetime, enum.Enum, Contract)) for kind in kinds)


def unexplained(classes: Sequence[type]) -> Iterator[str]:
    """Fields of what people and agents send, with neither a description nor a type that says it all."""
    for contract in classes:
        if issubclass(contract, Command) and contract.authority < Authority.SYSTEM:
            for name, field in contract.model_fields.items():
                if not _explains_itself(name, field):
                    yield f"{contract.__module__}.{contract.__name__}.{name} needs a Field(description=...)"


def ambiguous(classes: Sequence[type]) -> Iterator[str]:
    """Wire names that two contracts share."""
    names = Counter(wire_name(contract) for contract in classes if issubclass(contract, MESSAGES[:3]))
    for name, count in names.items():
        if count > 1:
            yield f"{name} is the wire name of {count} contracts"


def wire_name(contract: type) -> str:
    """`command scheduler.claim_task`, `query phase.get_ticket`, `event task.claimed`, `result task.Ref`."""
    owner = owner_of(noun_of(contract))
    if issubclass(contract, Command):
        return f"command {owner}.{contract.wire_name()}"
    if issubclass(contract, Query):
        return f"query {owner}.{contract.wire_name()}"
    if issubclass(contract, Event):
        return f"event {contract.wire_name()}"
    return f"result {noun_of(contract)}.{contract.__name__}"


def without_key(classes: Sequence[type]) -> Iterator[str]:
    """Events whose key names no field of theirs that is one token of a subject, and that make none."""
    for contract in classes:
        if issubclass(contract, Event) and contract.subject_key is Event.subject_key:
            field = contract.model_fields.get(contract.key)
            if field is None or KEY not in field.metadata:
                yield f"{contract.__module__}.{contract.__name__} has no field `{contract.key}` that is a Key"


def _keepers(declared: Sequence[Service], contract: type) -> tuple[str, list[str]] | None:
    if issubclass(contract, Command):
        return "obeyed", [service.name for service in declared if contract in service.obeys]
    if issubclass(contract, Query):
        return "answered", [service.name for service in declared if contract in service.answers]
    if issubclass(contract, Event) and noun_of(contract) not in SHARED_NOUNS:
        return "announced", [service.name for service in declared if contract in service.announces]
    return None


def misplaced(declared: Sequence[Service], classes: Sequence[type]) -> Iterator[str]:
    """Commands, queries and events not kept by their owner alone; an owner not written yet owes nothing."""
    here = {service.name for service in declared}
    for contract in classes:
        owner = owner_of(noun_of(contract))
        if kept := _keepers(declared, contract):
            verb, keepers = kept
            if keepers != [owner] and (keepers or owner in here):
                yield f"{wire_name(contract)} is {owner}'s, but {verb} by {', '.join(keepers) or 'nobody'}"


def unheard_of(declared: Sequence[Service], classes: Sequence[type]) -> Iterator[str]:
    """What a service is declared with though it is not published, and events it hears of itself."""
    for service in declared:
        for contract in (*service.obeys, *service.answers, *service.announces, *service.hears):
            if contract not in classes:
                yield f"{service.name} is declared with {contract.__name__}, which is not published"
        for event in service.hears:
            if owner_of(noun_of(event)) == service.name:
                yield f"{service.name} hears {event.__name__}, which it announces itself"
