"""Structured logs: JSON for machines, or lines for people, without secrets."""

import logging
import re
import sys
from typing import Any

import structlog

SECRET = re.compile(r"(?<=://)[^/@\s]+@")


def without_secrets(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Take credentials out of every URL in a line."""
    return {key: SECRET.sub("…@", value) if isinstance(value, str) else value for key, value in event.items()}


def configure(level: str = "info", *, json: bool = True) -> None:
    """Send what structlog and the libraries log to stderr, from `level` upwards."""
    number = logging.getLevelName(level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    last: list[Any] = (
        [structlog.processors.format_exc_info, without_secrets, structlog.processors.JSONRenderer()]
        if json
        else [without_secrets, structlog.dev.ConsoleRenderer()]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING), format="%(message)s")
