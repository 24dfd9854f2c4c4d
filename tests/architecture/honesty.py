"""That a test tests: it asserts something, and what it runs is the real thing."""

import ast
from collections.abc import Iterator

from tests.architecture.source import OWN, Source, Violation, dotted

MOCKS = ("unittest.mock", "mock", "pytest_mock")
PATCHES = tuple(f"monkeypatch.{verb}" for verb in ("setattr", "delattr", "setitem", "delitem"))
EXPECTATIONS = ("pytest.raises", "pytest.warns", "pytest.fail", "run_state_machine_as_test", "until")
"""`until` fails the test when what it waits for does not come."""
PLANTED = "# planted fault"
"""Ends a line that breaks our code on purpose, to see that a guarantee's test fails, or how we recover."""


def nothing_is_mocked(source: Source) -> Iterator[Violation]:
    """No mock library, and no patching of our own code; a needed fake is one that ships."""
    if source.parts[0] != "tests":
        return
    origins = {local: name for _, name, local in source.imports()}
    for line, name, _ in source.imports():
        if any(name == mock or name.startswith(f"{mock}.") for mock in MOCKS):
            yield Violation(line, f"{name}: test the real thing, or a fake that ships")
    for function in source.functions():
        if any(argument.arg == "mocker" for argument in function.args.args):
            yield Violation(function.lineno, "mocker: test the real thing, or a fake that ships")
    for node in source.nodes:
        if not (isinstance(node, ast.Call) and dotted(node.func) in PATCHES):
            continue
        if _is_own(node.args[0], origins) and PLANTED not in source.text.splitlines()[node.lineno - 1]:
            yield Violation(node.lineno, "our own code is patched; pass what differs as an argument")


def _is_own(target: ast.expr, origins: dict[str, str]) -> bool:
    if isinstance(target, ast.Constant):
        return str(target.value).partition(".")[0] in OWN
    root = dotted(target).partition(".")[0]
    return origins.get(root, "tests").partition(".")[0] in OWN


def every_test_asserts(source: Source) -> Iterator[Violation]:
    """A test says what must hold: `assert`, `.then...`, `pytest.raises`, or a neighbour that does."""
    if not source.is_test:
        return
    asserting = {function.name for function in source.functions() if _asserts(function, frozenset())}
    for function in source.functions():
        if function.name.startswith("test_") and not _asserts(function, frozenset(asserting)):
            yield Violation(function.lineno, f"{function.name} asserts nothing")


def _asserts(function: ast.AST, asserting: frozenset[str]) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = dotted(node.func) or getattr(node.func, "attr", "")
            last = name.rpartition(".")[2]
            if name in EXPECTATIONS or last in asserting or last.startswith(("then", "assert")):
                return True
    return False
