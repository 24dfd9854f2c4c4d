"""OmoiOS for people's own programs: `from omoi import Agent`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omoi.agent import Agent, Brief, Cancelled, Permanent, Work

__all__ = ["Agent", "Brief", "Cancelled", "Permanent", "Work"]


def __getattr__(name: str) -> Any:
    """Load the SDK when it is first asked for: `import omoi` alone costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from omoi import agent

    return getattr(agent, name)
