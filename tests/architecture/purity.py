"""What a module of rules and a module of contracts may reach for."""

import ast
import sys
from collections.abc import Iterator

from tests.architecture.source import AT_THE_DOOR, Source, Violation, dotted

VALUES = frozenset(
    "abc base64 bisect collections dataclasses datetime decimal difflib enum fnmatch fractions functools "
    "graphlib hashlib heapq itertools json math operator re statistics string textwrap types typing "
    "unicodedata uuid".split()
)
"""Modules of the standard library that know neither the clock nor chance nor the world."""

SHARED = ("shared.contracts", "shared.expression", "shared.kernel.decider", "shared.problem", "shared.tokens")
CONTRACT_LIBRARIES = frozenset({"pydantic", "orjson", "ruamel"})

CHANCE_AND_CLOCK = frozenset({"now", "utcnow", "today", "uuid1", "uuid4", "uuid6", "uuid7", "getnode"})
WORLD = frozenset({"open", "input", "print", "exec", "eval", "__import__"})


def rules_import_values_only(source: Source) -> Iterator[Violation]:
    """A pure module imports value modules, contracts, the decider and pure modules of its own service."""
    if not source.is_pure:
        return
    own = f"services.{source.service}"
    for line, name, _ in source.imports():
        root, *inner = name.split(".")
        pure_neighbour = name.startswith(f"{own}.") and inner[1] not in AT_THE_DOOR
        shared = any(name == allowed or name.startswith(f"{allowed}.") for allowed in SHARED)
        if not (root in VALUES or shared or pure_neighbour):
            yield Violation(line, f"a rule may not import {name}; what it needs must arrive with the command")


def rules_are_pure(source: Source) -> Iterator[Violation]:
    """A pure module reads no clock, draws no id, touches no file and keeps no state."""
    if not source.is_pure:
        return
    for line, name, _ in source.imports():
        if name.rpartition(".")[2] in CHANCE_AND_CLOCK:
            yield Violation(
                line, f"{name} answers differently each time; take `context.at` or `context.new_id`"
            )
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr in CHANCE_AND_CLOCK:
            yield Violation(
                node.lineno,
                f"{dotted(node)} answers differently each time; take `context.at` or `context.new_id`",
            )
        elif isinstance(node, ast.Call) and dotted(node.func) in WORLD:
            yield Violation(
                node.lineno, f"{dotted(node.func)}() touches the world; that belongs in effects.py"
            )
        elif isinstance(node, ast.Global | ast.AsyncFunctionDef | ast.Await):
            yield Violation(node.lineno, "a rule keeps no global state and waits for nothing")


def contracts_import_little(source: Source) -> Iterator[Violation]:
    """A contract imports the standard library, pydantic, orjson, ruamel and other contracts."""
    if source.parts[:2] != ("shared", "contracts"):
        return
    allowed = sys.stdlib_module_names | CONTRACT_LIBRARIES
    for line, name, _ in source.imports():
        if name.partition(".")[0] not in allowed and not name.startswith("shared.contracts."):
            yield Violation(line, f"a contract may not import {name}")
