"""Requirements and design, drawn from the ticket and from the code as it is."""

import ast
from collections.abc import Iterator, Sequence

from desk import Desk
from feature import feature_of


def analyze_requirements(desk: Desk) -> None:
    criteria = desk.criteria()
    api = "\n".join(f"- `{name}`: {sentence}" for name, sentence in _public_functions(desk))
    desk.write(
        "docs/analysis.md",
        f"# Analysis: {desk.title}\n\n{desk.introduction()}\n\n"
        f"## What is there\n\n{api}\n\n"
        f"## What is asked for\n\n{_numbered(criteria)}\n\n"
        f"## Where it can go wrong\n\n{_risks(criteria)}",
    )


def create_requirements_doc(desk: Desk) -> None:
    risks = desk.read("docs/analysis.md").partition("## Where it can go wrong")[2].strip()
    out_of_scope = desk.section("Out of scope") or "Whatever the criteria below do not name."
    desk.write(
        "docs/requirements.md",
        f"# Requirements: {desk.title}\n\n"
        f"## Scope\n\n{desk.introduction()}\n\nNot in scope: {out_of_scope}\n\n"
        f"## Acceptance Criteria\n\n{_numbered(desk.criteria())}\n\n"
        f"## Risks\n\n{risks}",
    )


def design_architecture(desk: Desk) -> None:
    criteria = desk.read("docs/requirements.md").partition("## Acceptance Criteria")[2].partition("\n## ")[0]
    feature = feature_of(desk)
    existing = ", ".join(f"`{name}`" for name, _ in _public_functions(desk))
    desk.write(
        "docs/design.md",
        f"# Design: {desk.title}\n\n"
        f"## Where\n\n{feature.where} It stands beside {existing}.\n\n"
        f"## How\n\n{_numbered(feature.how)}\n\n"
        f"## Criteria to hold\n\n{criteria.strip()}",
    )


def _public_functions(desk: Desk) -> Iterator[tuple[str, str]]:
    for module in sorted((desk.tree / "src/textkit").glob("*.py")):
        for node in ast.parse(module.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield f"{module.stem}.{node.name}", (ast.get_docstring(node) or "").partition("\n")[0]


def _risks(criteria: list[str]) -> str:
    signs = {
        "round": "Rounding: values just below a boundary between two units.",
        "negative": "Signs: negative values, and those that become zero.",
        "zero": "Nothing: zero, and results without any part.",
        "left over": "Ends: what stands behind the last part.",
        "ValueError": "Refusals: arguments outside of the allowed range.",
    }
    found = [f"- {risk}" for sign, risk in signs.items() if any(sign in criterion for criterion in criteria)]
    return "\n".join(found) or "- Nothing beyond the criteria themselves."


def _numbered(lines: Sequence[str]) -> str:
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))
