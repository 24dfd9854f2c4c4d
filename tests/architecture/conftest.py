"""Prints the shape of the tree under the results."""

import pytest

from tests.architecture.shape import medians
from tests.architecture.source import sources


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line on how long files and functions are."""
    terminalreporter.write_line(medians(sources()))
