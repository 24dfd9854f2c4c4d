"""Quantities as people write them."""

from textkit.durations import parse_duration
from textkit.sizes import format_size, parse_size

__all__ = ["format_size", "parse_duration", "parse_size"]
