"""The figures for people, as one table, and for programs, as JSON."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Target


def show(figures: Sequence[Figure], conditions: dict[str, Any]) -> None:
    """Print the table."""
    console = Console(width=None if os.isatty(1) else 190)
    table = Table(caption=_caption(conditions), caption_justify="left")
    for column, justify in (("what", "left"), ("figure", "right"), ("target", "right"), ("", "left")):
        table.add_column(column, justify=justify, no_wrap=column != "what")  # type: ignore[arg-type]
    table.add_column("beside, in the same run", overflow="fold")
    table.add_column("note", overflow="fold")
    table.add_column("others", justify="right")
    for figure in figures:
        table.add_row(
            figure.what,
            _amount(figure.value, figure.unit),
            _target(figure.target, figure.unit),
            {None: "", True: "[green]yes[/green]", False: "[red]no[/red]"}[figure.met],
            ", ".join(f"{times:.2g}x {name}" for name, times in figure.beside.items()),
            figure.note,
            f"{100 * figure.others:.0f} %" if figure.others else "",
        )
    console.print(table)


def as_json(figures: Sequence[Figure], conditions: dict[str, Any]) -> dict[str, Any]:
    """The same for programs."""
    return {"conditions": conditions, "figures": [asdict(figure) | {"met": figure.met} for figure in figures]}


def _caption(conditions: dict[str, Any]) -> str:
    stated = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in conditions.items())
    return f"{stated}. others: share of the machine's CPU that other programs took meanwhile."


def _amount(value: float, unit: str) -> str:
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}{'' if unit == '/s' else ' '}{unit}".strip()


def _target(target: Target | None, unit: str) -> str:
    if target is None:
        return ""
    return f"{'≥' if target.bound == 'at least' else '≤'} {_amount(target.value, unit)}"
