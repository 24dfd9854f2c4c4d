"""A board as columns of cards side by side, and how work flows over it as small charts."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from omoi.drawing.shape import short
from omoi.drawing.strokes import UNICODE, Strokes, printable
from shared.contracts.board import BoardView, CardView, ColumnView, FlowDay
from shared.contracts.messages import Priority

COLUMN_CELLS = 24
"""The least a column needs; more columns than fit beside each other go below."""
GAP = 2
PRIORITY_STYLES = {Priority.CRITICAL: "bold red", Priority.HIGH: "yellow", Priority.LOW: "dim"}
FLOW_ROWS = 8
FLOW_STYLES = ("cyan", "blue", "magenta", "yellow", "red", "green", "bright_black")


def draw(board: BoardView, now: datetime, *, width: int = 80, strokes: Strokes = UNICODE) -> Text:
    """The whole board, no line wider than `width`; ages are as of `now`."""
    across = max(1, min(len(board.columns), (width + GAP) // (COLUMN_CELLS + GAP)))
    cells = (width + GAP) // across - GAP
    shelves = [board.columns[start : start + across] for start in range(0, len(board.columns), across)]
    lines = [line for shelf in shelves for line in (*_shelf(shelf, now, cells, strokes), Text())]
    if board.elsewhere:
        lines.append(Text(f"{board.elsewhere} cards are in phases that no column shows."))
    return Text("\n").join(lines or [Text(f"The workflow {board.workflow} has no columns.")])


def _shelf(columns: Sequence[ColumnView], now: datetime, cells: int, strokes: Strokes) -> Iterator[Text]:
    """Columns beside each other."""
    blocks = [list(_column(column, now, cells, strokes)) for column in columns]
    for row in range(max(map(len, blocks))):
        line = Text()
        for block in blocks:
            part = block[row] if row < len(block) else Text()
            part.pad_right(cells + GAP - part.cell_len)
            line += part
        line.rstrip()
        yield line


def _column(column: ColumnView, now: datetime, cells: int, strokes: Strokes) -> Iterator[Text]:
    full = column.limit is not None and column.count + column.reserved >= column.limit
    counted = f"{column.count}/{column.limit}" if column.limit is not None else str(column.count)
    head = _fit(printable(column.name, strokes), cells - len(counted) - 1, strokes)
    style = "red" if column.limit is not None and column.count > column.limit else "yellow" if full else "dim"
    yield Text.assemble((head, "bold"), " ", (counted, style))
    kept = [f"{column.reserved} coming"] if column.reserved else []
    waiting = [f"{len(column.waiting)} waiting"] if column.waiting else []
    yield Text(strokes.across * cells, "dim")
    if kept or waiting:
        yield Text(_fit(", ".join([*kept, *waiting]), cells, strokes), "magenta")
    for card in column.cards:
        phase = short(card.phase_id) if len(column.phases) > 1 else ""
        yield from _card(card, phase, age((now - card.since).total_seconds()), cells, strokes)
    if column.count > len(column.cards):
        yield Text(f"and {column.count - len(column.cards)} more", "dim")


def _card(card: CardView, phase: str, old: str, cells: int, strokes: Strokes) -> Iterator[Text]:
    first, *more = _wrapped(printable(card.title, strokes), cells - 2, strokes)
    yield Text.assemble((strokes.card, PRIORITY_STYLES.get(card.priority, "")), " ", first)
    yield from (Text(f"  {line}") for line in more)
    said = f"{card.ticket_id[-8:]} {old} {phase}".rstrip()
    yield Text(f"  {_fit(said, cells - 2, strokes)}", "dim")
    for note, style in _notes(card):
        yield Text(f"  {_fit(printable(note, strokes), cells - 2, strokes)}", style)


def _notes(card: CardView) -> Iterator[tuple[str, str]]:
    if card.waiting_for:
        yield f"place {card.place} for {card.waiting_for}", "magenta"
    if card.moving_to:
        yield f"moving to {card.moving_to}", "cyan"
    if card.paused:
        yield f"paused by {card.paused}", "yellow"
    if card.returned:
        yield f"returned: {card.returned}", "red"


def age(seconds: float) -> str:
    """`3d`, `5h`, `12m`, `40s`: the largest unit of which there is one."""
    units = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    name, size = next(((n, s) for n, s in units if seconds >= s), ("s", 1))
    return f"{max(0, int(seconds // size))}{name}"


def flow(days: Sequence[FlowDay], columns: Sequence[str], *, width: int = 80) -> Text:
    """Cards in each column at the end of each day, on top of each other, one letter a column.

    The first column is at the top, so that what is done grows from below.
    """
    shown = days[-(width - 8) :]
    most = max((sum(day.columns.values()) for day in shown), default=0)
    if not most:
        return Text("No cards yet.")
    letters = _letters(columns)
    broad = max(1, min(4, (width - 8) // len(shown)))
    stacks = [_stack(day, columns, most) for day in shown]
    lines = []
    for row in reversed(range(FLOW_ROWS)):
        mark = f"{most * (row + 1) / FLOW_ROWS:>6.0f} " if row % 2 else " " * 7
        line = Text(mark, "dim")
        for stack in stacks:
            name = stack[row]
            line.append(
                (letters[name] if name else " ") * broad,
                FLOW_STYLES[columns.index(name) % len(FLOW_STYLES)] if name else "",
            )
        lines.append(line)
    lines.append(Text(" " * 7 + f"{shown[0].day} to {shown[-1].day}", "dim"))
    lines.append(Text(" " * 7 + "  ".join(f"{letters[name]} {name}" for name in columns)))
    return Text("\n").join(lines)


def _stack(day: FlowDay, columns: Sequence[str], most: int) -> list[str | None]:
    """Which column each of the chart's rows shows, from below."""
    stack: list[str | None] = []
    cards = 0
    for name in reversed(columns):
        cards += day.columns.get(name, 0)
        height = round(cards * FLOW_ROWS / most)
        stack += [name] * (height - len(stack))
    return stack + [None] * (FLOW_ROWS - len(stack))


def _letters(columns: Sequence[str]) -> dict[str, str]:
    """A letter for each column: one of its own where there is one that no other has."""
    letters: dict[str, str] = {}
    for name in columns:
        free = (letter for letter in f"{name}abcdefghijklmnopqrstuvwxyz" if letter not in letters.values())
        letters[name] = next(free, "?")
    return letters


def bars(counts: Sequence[int], strokes: Strokes) -> str:
    """A row of bars, one for each count."""
    most = max(counts, default=0)
    steps = strokes.bars
    return "".join(steps[-(-count * (len(steps) - 1) // most)] if most else steps[0] for count in counts)


def _fit(text: str, cells: int, strokes: Strokes) -> str:
    if cell_len(text) <= cells:
        return text
    return set_cell_size(text, cells - cell_len(strokes.more)).rstrip() + strokes.more


def _wrapped(text: str, cells: int, strokes: Strokes) -> list[str]:
    """At most two lines, broken between words where that leaves something on the first."""
    words = " ".join(text.split())
    if cell_len(words) <= cells:
        return [words]
    cut = len(set_cell_size(words, cells).rstrip())
    space = words.rfind(" ", cells // 2, cut + 1)
    at = space if space > 0 else cut
    return [words[:at], _fit(words[at:].lstrip(), cells, strokes)]
