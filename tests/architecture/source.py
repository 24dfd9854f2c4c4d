"""The source files of the tree, as the rules of this folder look at them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
OWN = ("services", "shared", "omoi", "workflows", "deploy", "benchmarks", "tests")
"""Folders whose Python is ours; `examples/` holds a user's project and stays out."""

AT_THE_DOOR = ("service", "tables", "queries", "effects", "migrations")
"""Modules of a service that are not pure rules."""


class Violation(NamedTuple):
    """Where a rule is broken, and what to do instead."""

    line: int
    message: str


@dataclass(frozen=True)
class Source:
    """One Python file: its path from the root, with slashes, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of the tree."""
        return tuple(ast.walk(self.tree))

    @property
    def name(self) -> str:
        """`ticket` of `services/phase/ticket.py`."""
        return PurePosixPath(self.path).stem

    @property
    def parts(self) -> tuple[str, ...]:
        """`("services", "phase", "ticket")`."""
        return PurePosixPath(self.path).with_suffix("").parts

    @property
    def service(self) -> str | None:
        """The service the file belongs to."""
        return self.parts[1] if self.parts[0] == "services" and len(self.parts) > 2 else None

    @property
    def is_pure(self) -> bool:
        """Whether it holds rules: a module of a service that is not at the door."""
        return self.service is not None and self.parts[2] not in (*AT_THE_DOOR, "__init__")

    @property
    def is_test(self) -> bool:
        """Whether pytest collects it."""
        return self.parts[0] == "tests" and self.name.startswith("test_")

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Every function, methods and inner ones too."""
        return (node for node in self.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))

    def classes(self) -> Iterator[ast.ClassDef]:
        """Every class."""
        return (node for node in self.nodes if isinstance(node, ast.ClassDef))

    def imports(self) -> Iterator[tuple[int, str, str]]:
        """Line, full dotted name and local name of everything imported, wherever the import stands."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node.lineno, alias.name, alias.asname or alias.name.partition(".")[0]
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    yield node.lineno, f"{node.module}.{alias.name}", alias.asname or alias.name


@cache
def sources() -> tuple[Source, ...]:
    """Every Python file of the tree."""
    files = (file for folder in OWN for file in (ROOT / folder).rglob("*.py"))
    return tuple(Source(file.relative_to(ROOT).as_posix(), file.read_text("utf-8")) for file in sorted(files))


def dotted(node: ast.AST) -> str:
    """`datetime.datetime.now` of such an expression; empty for anything that is not a dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".removeprefix(".")
    return ""
