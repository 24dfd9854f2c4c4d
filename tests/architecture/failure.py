"""Where an exception may be caught, and that none is swallowed."""

import ast
from collections.abc import Iterator

from tests.architecture.source import Source, Violation, dotted

EVERYTHING = frozenset({"Exception", "BaseException"})


def _caught(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    return {dotted(kind) for kind in ast.walk(handler.type) if isinstance(kind, ast.Name | ast.Attribute)}


def _suppressed(call: ast.Call) -> set[str]:
    return {dotted(kind) for kind in call.args} if dotted(call.func).endswith("suppress") else set()


def _does_nothing(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(step, ast.Pass | ast.Continue | ast.Break)
        or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
        for step in body
    )


def failures_are_not_swallowed(source: Source) -> Iterator[Violation]:
    """No bare `except`, and nothing that catches everything and does nothing."""
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield Violation(node.lineno, "a bare except catches Ctrl-C too; name what may fail")
            elif _caught(node) & EVERYTHING and _does_nothing(node.body):
                yield Violation(node.lineno, "every failure is swallowed here; name what may fail")
        elif isinstance(node, ast.Call) and _suppressed(node) & EVERYTHING:
            yield Violation(node.lineno, "every failure is swallowed here; name what may fail")


def services_name_what_may_fail(source: Source) -> Iterator[Violation]:
    """A service never catches every exception; the kernel sorts what is left over."""
    if source.service is not None:
        for node in source.nodes:
            if isinstance(node, ast.ExceptHandler) and node.type is not None and _caught(node) & EVERYTHING:
                yield Violation(
                    node.lineno, "a service may not catch every exception; the kernel does that once"
                )


def rules_catch_nothing(source: Source) -> Iterator[Violation]:
    """A pure module has no `except`: it calls nothing that may fail."""
    if source.is_pure:
        for node in source.nodes:
            if isinstance(node, ast.ExceptHandler) or (isinstance(node, ast.Call) and _suppressed(node)):
                yield Violation(node.lineno, "a rule catches nothing; check before, or refuse")
