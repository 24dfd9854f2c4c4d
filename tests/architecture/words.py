"""What a module says of itself, and where it may print."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import Source, Violation, dotted

CODE = re.compile(r"``?[^`]*``?")
INNER_STOP = re.compile(r"(?<!\be\.g)(?<!\bi\.e)[.!?][\"')]?\s")


def modules_say_what_they_are_for(source: Source) -> Iterator[Violation]:
    """A module begins with one sentence; an empty `__init__.py` and a module of tests need none."""
    text = ast.get_docstring(source.tree)
    if text is None:
        if source.tree.body and not source.is_test:
            yield Violation(1, "no docstring; begin with one sentence that says what the module is for")
        return
    sentence = CODE.sub("it", " ".join(text.split("\n\n")[0].split()))
    if not sentence.endswith((".", "?", "!")) or INNER_STOP.search(sentence):
        yield Violation(1, "the docstring's first paragraph is not one sentence that ends with a full stop")


def packages_of_services_are_empty(source: Source) -> Iterator[Violation]:
    """The `__init__.py` of a service is empty: a name is imported from where it is defined."""
    words = ast.get_docstring(source.tree) is not None
    if source.parts[0] == "services" and source.name == "__init__" and len(source.tree.body) > words:
        yield Violation(1, "an __init__.py of a service is empty, but for a docstring")


def only_the_cli_prints(source: Source) -> Iterator[Violation]:
    """Services and libraries log; people are spoken to by the CLI."""
    if source.parts[0] not in ("services", "shared", "omoi", "workflows") or source.parts[:2] == (
        "omoi",
        "cli",
    ):
        return
    for node in source.nodes:
        if isinstance(node, ast.Call) and dotted(node.func) == "print":
            yield Violation(node.lineno, "only the CLI prints; log it")
