"""What the commands print: nothing that others wrote is obeyed by the terminal."""

from io import StringIO

import pytest
from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from omoi.cli import main
from omoi.cli.console import USAGE, Screen

EVIL = "a\x1b[2Jb\x07c\x9b31md\re\u202ef"


def table() -> Table:
    rows = Table(EVIL, title=EVIL)
    rows.add_row(EVIL)
    return rows


@pytest.mark.parametrize(
    "shown", [EVIL, Text(EVIL), Panel(EVIL), table()], ids=["text", "styled", "panel", "table"]
)
def test_a_terminal_obeys_nothing_that_others_wrote(shown: RenderableType) -> None:
    screen = Screen(file=StringIO(), force_terminal=False, width=80)
    screen.print(shown)
    printed = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "a[2Jbc31mdef" in printed
    assert not set(EVIL) - {*"abcdef[231mJ"} & set(printed)


def test_colours_of_our_own_stay() -> None:
    screen = Screen(file=StringIO(), force_terminal=True, color_system="standard", width=80)
    screen.print(Text(EVIL, style="red"))
    printed = screen.file.getvalue()  # type: ignore[attr-defined]
    assert printed == "\x1b[31ma[2Jbc31mdef\x1b[0m\n"


def test_what_a_command_line_does_not_take_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["omoi", "memory", "search", ""])
    with pytest.raises(SystemExit) as left:
        main()
    assert (left.value.code, capsys.readouterr().err) == (USAGE, "text: Text is needed here.\n")
