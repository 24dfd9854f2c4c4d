"""How long, how deep and how wide code may be before it must be thought again."""

import ast
from collections.abc import Iterator, Sequence
from statistics import median

from tests.architecture.source import Source, Violation

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400
NESTING_MAX = 4
POSITIONAL_MAX = 6

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def lines_of(function: Function) -> int:
    """Lines of a function, decorators aside."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def depth_of(node: ast.AST) -> int:
    """Blocks inside one another; `elif` is no deeper than its `if`, and an inner function counts alone."""
    return max((_depth_below(node, child) for child in ast.iter_child_nodes(node)), default=0)


def _depth_below(parent: ast.AST, child: ast.AST) -> int:
    if isinstance(child, SCOPES):
        return 0
    is_elif = isinstance(parent, ast.If) and isinstance(child, ast.If) and parent.orelse == [child]
    return depth_of(child) + (isinstance(child, BLOCKS) and not is_elif)


def files_are_short(source: Source) -> Iterator[Violation]:
    """A file fits in one reading; a module of contracts is a table, and as long as its noun has words."""
    lines = len(source.text.splitlines())
    if lines > FILE_LINES_MAX and source.parts[:2] != ("shared", "contracts"):
        yield Violation(FILE_LINES_MAX, f"{lines} lines; more than {FILE_LINES_MAX} are two subjects")


def functions_are_small(source: Source) -> Iterator[Violation]:
    """A function is short, shallow and narrow."""
    for function in source.functions():
        arguments = [*function.args.posonlyargs, *function.args.args]
        positional = len(arguments) - bool(arguments and arguments[0].arg in ("self", "cls"))
        if lines_of(function) > FUNCTION_LINES_MAX:
            yield Violation(function.lineno, f"{function.name} is {lines_of(function)} lines long")
        if depth_of(function) > NESTING_MAX:
            yield Violation(function.lineno, f"{function.name} nests {depth_of(function)} deep")
        if positional > POSITIONAL_MAX:
            yield Violation(function.lineno, f"{function.name} has {positional} positional parameters")


def medians(sources: Sequence[Source]) -> str:
    """One line on the shape of the whole tree."""
    functions = [lines_of(function) for source in sources for function in source.functions()]
    files = [len(source.text.splitlines()) for source in sources if source.text]
    return (
        f"shape: {len(files)} files, median {median(files):.0f} lines, longest {max(files)}; "
        f"{len(functions)} functions, median {median(functions):.0f} lines, longest {max(functions)}"
    )
