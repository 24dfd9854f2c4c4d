"""What the expressions of policies may read of each subject, and the actions' arguments."""

from collections.abc import Mapping
from typing import Any

from shared.contracts.messages import Priority
from shared.contracts.policy import Subject
from shared.expression import Kind, Vocabulary

Names = Mapping[str, Kind | Mapping[str, Kind]]

_TEXT, _NUMBER, _MOMENT, _TRUTH = Kind.TEXT, Kind.NUMBER, Kind.MOMENT, Kind.TRUTH

COMMON: Names = {
    "now": _MOMENT,
    "fact": _TEXT,
    "count": _NUMBER,
    "fleet": {
        "agents": _NUMBER,
        "capacity": _NUMBER,
        "running": _NUMBER,
        "free": _NUMBER,
        "waiting_critical": _NUMBER,
        "waiting_high": _NUMBER,
        "waiting_medium": _NUMBER,
        "waiting_low": _NUMBER,
        "donor": _TEXT,
        "recipient": _TEXT,
    },
    **{priority.name: _TEXT for priority in Priority},
}
VOCABULARIES: dict[Subject, Vocabulary] = {
    "task": Vocabulary(
        {
            **COMMON,
            "task": {
                "id": _TEXT,
                "ticket_id": _TEXT,
                "phase_id": _TEXT,
                "task_type": _TEXT,
                "priority": _TEXT,
                "status": _TEXT,
                "held": _TRUTH,
                "agent_id": _TEXT,
                "attempt": _NUMBER,
                "retries_left": _NUMBER,
                "max_retries": _NUMBER,
                "timeout_seconds": _NUMBER,
                "deadline": _MOMENT,
                "created_at": _MOMENT,
                "ready_at": _MOMENT,
                "started_at": _MOMENT,
            },
        }
    ),
    "agent": Vocabulary(
        {
            **COMMON,
            "agent": {
                "id": _TEXT,
                "status": _TEXT,
                "available": _TRUTH,
                "capacity": _NUMBER,
                "running": _NUMBER,
            },
        }
    ),
    "ticket": Vocabulary(
        {
            **COMMON,
            "ticket": {
                "id": _TEXT,
                "workflow": _TEXT,
                "phase_id": _TEXT,
                "priority": _TEXT,
                "deadline": _MOMENT,
                "paused": _TRUTH,
                "ended": _TRUTH,
            },
            "wip": {"column": _TEXT, "limit": _NUMBER, "count": _NUMBER, "forced": _TRUTH},
            "discovery": {"id": _TEXT, "type": _TEXT},
        }
    ),
    "fleet": Vocabulary(COMMON),
}

ARGUMENTS: Mapping[str, Kind] = {
    "task_id": _TEXT,
    "ticket_id": _TEXT,
    "agent_id": _TEXT,
    "from_agent": _TEXT,
    "to_agent": _TEXT,
    "capacity": _NUMBER,
    "priority": _TEXT,
}
"""What the arguments of actions must come to."""

CONSTANTS: Mapping[str, Any] = {priority.name: priority.value for priority in Priority}
