"""The read model of workflow versions: what reading a ticket takes of the workflow it is under."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.contracts.phase import WorkflowLoaded

TOLD = {"phase_prompt", "done_definitions", "expected_outputs", "next_steps_guide"}


@dataclass(frozen=True)
class Workflow:
    """A version of a workflow."""

    version: str
    name: str
    blocked_phase: str | None
    phases: tuple[str, ...]
    """In their order."""
    gated: tuple[str, ...]
    """The phases that have a gate."""
    terminal: tuple[str, ...]
    """The phases that end a ticket."""
    told: Mapping[str, Any]
    """Phase -> what its agents are told."""


def evolve(_: Workflow | None, event: WorkflowLoaded) -> Workflow:
    """A version is loaded once; its content never changes."""
    phases = sorted(event.document.phases, key=lambda phase: phase.sequence_order)
    return Workflow(
        version=event.version,
        name=event.name,
        blocked_phase=event.document.blocked_phase,
        phases=tuple(phase.id for phase in phases),
        gated=tuple(phase.id for phase in phases if phase.gated),
        terminal=tuple(phase.id for phase in phases if phase.is_terminal),
        told={phase.id: phase.model_dump(mode="json", include=TOLD) for phase in phases},
    )
