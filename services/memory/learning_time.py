"""When patterns of a type of task are learnt anew."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from shared.contracts.memory import ExtractPatterns
from shared.kernel.decider import Timer

WINDOW = timedelta(seconds=10)
"""All that ends within one window is learnt from together."""
_DAWN = datetime(2000, 1, 1, tzinfo=UTC)


def learning(task_type: str | None, at: datetime) -> Sequence[Timer]:
    """The timer that is set when there is something new to learn from, if it is of any type.

    Windows begin at fixed times: setting the timer again and again does not put it off.
    """
    if task_type is None:
        return []
    due = at + WINDOW - (at - _DAWN) % WINDOW
    return [Timer(f"patterns.{task_type}", due, ExtractPatterns(task_type=task_type))]
