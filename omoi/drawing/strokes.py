"""The characters that pictures of text are made of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Strokes:
    """Lines, corners and marks."""

    down: str
    across: str
    cross: str
    from_below: str
    from_above: str
    arrow: str
    found: str
    to: str
    more: str
    card: str
    bars: str
    """From nothing to the most."""
    ascii_only: bool = False


UNICODE = Strokes("│", "─", "┼", "╭", "╰", "▸", "◆", "→", "…", "▪", " ▁▂▃▄▅▆▇█")
ASCII = Strokes("|", "-", "+", ".", "'", ">", "!", "->", "~", "*", " .:-=+*#", ascii_only=True)


def printable(text: str, strokes: Strokes) -> str:
    """Text without what moves the cursor or what the output cannot show."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown.encode("ascii", "replace").decode() if strokes.ascii_only else shown
