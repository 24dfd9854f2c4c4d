"""Who may import whom: pyproject.toml's import contracts, kept by the tree and broken by a planted one."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, sources

PYPROJECT = ROOT / "pyproject.toml"
CONTRACTS = tomllib.loads(PYPROJECT.read_text("utf-8"))["tool"]["importlinter"]["contracts"]

PLANTED = {
    "services/phase/ticket.py": "import services.gates.gate\nimport omoi.worker\nimport sqlalchemy",
    "services/phase/tables.py": "import sqlalchemy\nimport shared.testing.scenario",
    "services/phase/queries.py": "import sqlalchemy",
    "services/phase/migrations/first.py": "import sqlalchemy",
    "services/gates/gate.py": "import asyncpg\nimport rule_engine",
    "shared/expression.py": "import rule_engine",
    "shared/contracts/ticket.py": "import shared.kernel.door",
    "shared/kernel/door.py": "import asyncpg, faststream, nats, sqlalchemy",
    "shared/client/client.py": "import services.gates.gate",
    "shared/stack/stack.py": "import nats",
    "shared/testing/scenario.py": "",
    "omoi/worker/worker.py": "import nats",
}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    linter = Path(sys.executable).with_name("lint-imports")
    command: list[Path | str] = [linter, "--no-cache", "--no-logo", "--config", PYPROJECT]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    tree = tmp_path_factory.mktemp("planted")
    for name, text in PLANTED.items():
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for folder in {folder for name in PLANTED for folder in Path(name).parents} - {Path()}:
        (tree / folder / "__init__.py").touch()
    return lint_imports(tree).stdout


def test_the_tree_keeps_every_contract() -> None:
    linted = lint_imports(ROOT)
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize("contract", [contract["name"] for contract in CONTRACTS])
def test_a_planted_violation_breaks_each_contract(contract: str, broken: str) -> None:
    assert f"{contract} BROKEN" in broken


def test_what_is_allowed_at_the_door_breaks_none(broken: str) -> None:
    allowed = (
        "services.phase.tables -> sqlalchemy",
        "services.phase.queries -> sqlalchemy",
        "shared.stack.stack",
    )
    assert not [
        line for line in broken.splitlines() if line.startswith("- ") and any(a in line for a in allowed)
    ]


def test_every_module_but_a_migration_is_in_a_package_that_the_linter_sees() -> None:
    shipped = [source for source in sources() if source.parts[0] in ("services", "shared", "omoi")]
    folders = {Path(source.path).parent for source in shipped if "migrations" not in source.parts}
    assert [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").exists()] == []
