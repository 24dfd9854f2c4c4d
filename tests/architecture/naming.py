"""Names that say nothing, and names that hedge."""

import re
from collections.abc import Iterator

from tests.architecture.source import Source, Violation

EMPTY_NAMES = frozenset("base common domain helper helpers misc models types util utils".split())
VAGUE_CLASS = re.compile(r"(Manager|Helpers?|Utils?|Processor|Handler|Impl|Info|Data)$")
TWIN_CLASS = re.compile(r"^(New|Enhanced|Improved)(?=[A-Z])|V\d+$")
TWIN = re.compile(r"^_?(enhanced|improved|new)_|_v\d+$")


def files_are_named_with_a_noun(source: Source) -> Iterator[Violation]:
    """A file or a folder is named with a noun of the domain."""
    for part in source.parts:
        if part in EMPTY_NAMES:
            yield Violation(1, f"`{part}` says nothing; name it with a noun of the domain")
        if TWIN.search(part):
            yield Violation(1, f"`{part}` stands beside another; replace that one, git remembers it")


def classes_say_what_they_are(source: Source) -> Iterator[Violation]:
    """A class is no Manager, Helper, Util, Processor, Handler, Impl, Info or Data."""
    for node in source.classes():
        if VAGUE_CLASS.search(node.name):
            yield Violation(node.lineno, f"{node.name} hedges; say what it is or does")
        if TWIN_CLASS.search(node.name):
            yield Violation(node.lineno, f"{node.name} stands beside another; replace that one")


def nothing_has_a_twin(source: Source) -> Iterator[Violation]:
    """No function is a second version of another; `new_ticket` is one only beside `ticket`."""
    functions = {node.name: node.lineno for node in source.functions()}
    for name, line in functions.items():
        original = TWIN.sub("", name)
        if original != name and (original in functions or not name.lstrip("_").startswith("new_")):
            yield Violation(line, f"{name} is a second {original}; replace that one, git remembers it")
