"""Workflow definitions: the versions of each, and the one that new tickets pin."""

from dataclasses import dataclass
from typing import Any

from services.phase.document import examined
from shared.contracts.messages import Authority, Event
from shared.contracts.phase import LoadWorkflow, WorkflowAdopted, WorkflowLoaded, WorkflowRef
from shared.contracts.workflow import Workflow
from shared.kernel.decider import Aggregate, Context, Facts, Lookup, NotAuthorised, Past, Refused

_TOLD, _KEPT = 5, 200
"""Problems that the sentence of a refusal names, and those its details do."""


class UnknownWorkflow(Refused):
    """No workflow of that name, or no version of that hash, is loaded."""


class InvalidWorkflow(Refused):
    """The document cannot be read, or contradicts itself; the details name every place."""


@dataclass(frozen=True)
class WorkflowNames(Lookup[tuple[str, ...]]):
    """Names of the workflows that are loaded."""


@dataclass(frozen=True)
class WorkflowVersion:
    """One version of a workflow; it never changes, so that pinning it never conflicts with a load."""

    document: Workflow | None = None


@dataclass(frozen=True)
class NamedWorkflow:
    """The versions of one workflow."""

    name: str = ""
    version: str = ""
    """The adopted one: tickets opened now pin it."""
    shipped: bool = False
    """Whether that one came with OmoiOS."""
    versions: tuple[str, ...] = ()
    """Every version ever adopted, the first one first."""


def load_workflow(command: LoadWorkflow, past: Past, context: Context) -> Facts:
    """A sound document becomes known and is adopted.

    Loading an older version again adopts it again: that is how people roll back. A shipped document is
    loaded at every start, so it must not undo that, nor replace what people loaded under its name.
    """
    if command.shipped and context.authority < Authority.SYSTEM:
        raise NotAuthorised(
            "Only OmoiOS itself loads what it ships with. Leave `shipped` out.", required="SYSTEM"
        )
    document = sound(command.document)
    version, named = document.version, past.of(NamedWorkflow, document.name)
    known = past.of(WorkflowVersion, version).document is not None
    superseded = command.shipped and bool(named.name) and (known or not named.shipped)
    facts: list[Event] = []
    if version != named.version and not superseded:
        adopted_now = WorkflowAdopted(
            name=document.name,
            version=version,
            shipped=command.shipped,
            adopted_by=context.actor,
            adopted_at=context.at,
        )
        loaded = WorkflowLoaded(name=document.name, version=version, document=document)
        facts = [adopted_now] if known else [loaded, adopted_now]
    return [*facts, WorkflowRef(name=document.name, version=version)]


def sound(document: Workflow | dict[str, Any] | str) -> Workflow:
    """The workflow that a document is; refused with every problem it has."""
    workflow, found = examined(document)
    if workflow is not None:
        return workflow
    more = f" And {len(found) - _TOLD} more." if len(found) > _TOLD else ""
    raise InvalidWorkflow(
        f"The workflow has problems: {len(found)}. {' '.join(map(str, found[:_TOLD]))}{more}",
        problems=[problem.as_details() for problem in found[:_KEPT]],
        count=len(found),
    )


def adopted(past: Past, name: str) -> tuple[str, Workflow]:
    """Version and document that a new ticket of workflow `name` pins."""
    version = past.of(NamedWorkflow, name).version
    if not version:
        raise unknown(name, past.find(WorkflowNames()))
    return version, pinned(past, version)


def pinned(past: Past, version: str) -> Workflow:
    """The document of a version that is known to be loaded."""
    document = past.of(WorkflowVersion, version).document
    assert document is not None, f"version {version} is pinned, so it was loaded"
    return document


def unknown(name: str, loaded: tuple[str, ...]) -> UnknownWorkflow:
    """The refusal for a name nobody loaded."""
    known = f"Loaded are: {', '.join(loaded)}." if loaded else "None is loaded."
    return UnknownWorkflow(f"There is no workflow {name}. {known}", name=name, loaded=list(loaded))


def evolve_version(_: WorkflowVersion, event: WorkflowLoaded) -> WorkflowVersion:
    """The version after `event`."""
    return WorkflowVersion(event.document)


def evolve_named(state: NamedWorkflow, event: WorkflowAdopted) -> NamedWorkflow:
    """The versions after `event`."""
    known = event.version in state.versions
    versions = state.versions if known else (*state.versions, event.version)
    return NamedWorkflow(event.name, event.version, event.shipped, versions)


WORKFLOW_VERSION = Aggregate(WorkflowVersion, evolve_version, key="version")
NAMED_WORKFLOW = Aggregate(NamedWorkflow, evolve_named, key="name")
