"""What Cobertura XML reports (coverage.py, gcovr, Istanbul, JaCoCo converters) say of line coverage."""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from xml.etree.ElementTree import Element

from omoi.worker.report import local_name

_FILES_LISTED = 1000

_Lines = dict[str, dict[str, bool]]
"""File -> line number -> whether it ran."""


def coverage_in(roots: Iterable[Element]) -> dict[str, Any]:
    """`{percentage, lines_valid, lines_covered, per_file: {path: percentage}}`, counted line by line.

    Percentages are cut, not rounded, to two digits: 79.996 is not 80. Nothing measurable is 0.
    """
    lines: _Lines = defaultdict(dict)
    for root in roots:
        for measured in (element for element in root.iter() if local_name(element) == "class"):
            _add(measured, lines[measured.get("filename", "")])
    valid = sum(len(numbers) for numbers in lines.values())
    covered = sum(sum(numbers.values()) for numbers in lines.values())
    return {
        "percentage": _percentage(covered, valid),
        "lines_valid": valid,
        "lines_covered": covered,
        "per_file": {
            path: _percentage(sum(numbers.values()), len(numbers)) if numbers else 100.0
            for path, numbers in sorted(lines.items())[:_FILES_LISTED]
        },
    }


def _add(measured: Element, lines: dict[str, bool]) -> None:
    """Add a class's lines; a line named twice (by a method, by another report) ran if it ran anywhere."""
    for line in measured.iter():
        if local_name(line) == "line":
            number = line.get("number", "")
            lines[number] = lines.get(number, False) or line.get("hits", "0") not in ("", "0")


def _percentage(covered: int, valid: int) -> float:
    return math.floor(10_000 * covered / valid) / 100 if valid else 0.0
