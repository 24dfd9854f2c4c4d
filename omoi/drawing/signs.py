"""How the status of a task looks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sign:
    """One status: a character, one for those who have ASCII alone, a style of rich, a colour for paper."""

    symbol: str
    plain: str
    style: str
    colour: str


SIGNS = {
    "waiting": Sign("·", ".", "dim", "#8c959f"),
    "ready": Sign("○", "o", "yellow", "#bf8700"),
    "claimed": Sign("◔", "@", "cyan", "#1b7c83"),
    "running": Sign("◑", "@", "blue", "#0969da"),
    "retrying": Sign("◌", "~", "yellow", "#bc4c00"),
    "completed": Sign("●", "*", "green", "#1a7f37"),
    "failed": Sign("✗", "x", "red", "#cf222e"),
    "cancelled": Sign("-", "-", "dim", "#8c959f"),
}
UNKNOWN = Sign("?", "?", "", "#8c959f")


def sign(status: str) -> Sign:
    """How a status looks; a question mark where it is a new one."""
    return SIGNS.get(status, UNKNOWN)
