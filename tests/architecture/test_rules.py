"""Every rule of STYLE that one file can break, held against the tree and against a planted violation."""

from collections.abc import Callable, Iterator
from types import FunctionType

import pytest

from tests.architecture import failure, honesty, naming, purity, shape, words
from tests.architecture.source import Source, Violation, sources

Rule = Callable[[Source], Iterator[Violation]]
RULES: tuple[Rule, ...] = (
    purity.rules_import_values_only,
    purity.rules_are_pure,
    purity.contracts_import_little,
    naming.files_are_named_with_a_noun,
    naming.classes_say_what_they_are,
    naming.nothing_has_a_twin,
    shape.files_are_short,
    shape.functions_are_small,
    failure.failures_are_not_swallowed,
    failure.services_name_what_may_fail,
    failure.rules_catch_nothing,
    words.modules_say_what_they_are_for,
    words.packages_of_services_are_empty,
    words.only_the_cli_prints,
    honesty.nothing_is_mocked,
    honesty.every_test_asserts,
)

PURE = "services/phase/ticket.py"
EFFECTS = "services/phase/effects.py"
CONTRACT = "shared/contracts/ticket.py"
KERNEL = "shared/kernel/relay.py"
TEST = "tests/phase/test_ticket.py"
DEEP = "\n".join(f"{' ' * depth}if x:" for depth in range(1, 6))

PLANTED: tuple[tuple[Rule, str, str], ...] = (
    (purity.rules_import_values_only, PURE, "import random"),
    (purity.rules_import_values_only, PURE, "import os.path"),
    (purity.rules_import_values_only, PURE, "import sqlalchemy"),
    (purity.rules_import_values_only, PURE, "def late():\n    import asyncio"),
    (purity.rules_import_values_only, PURE, "from shared.kernel.store import Store"),
    (purity.rules_import_values_only, PURE, "from shared.kernel import decider, store"),
    (purity.rules_import_values_only, PURE, "from services.phase import tables"),
    (purity.rules_import_values_only, PURE, "from services.phase.effects import ask"),
    (purity.rules_import_values_only, PURE, "from services.gates.gate import Gate"),
    (purity.rules_import_values_only, "services/board/columns/move.py", "import time"),
    (purity.rules_are_pure, PURE, "from datetime import datetime\nat = datetime.now()"),
    (purity.rules_are_pure, PURE, "import datetime as dt\nat = dt.date.today()"),
    (purity.rules_are_pure, PURE, "from uuid import uuid4"),
    (purity.rules_are_pure, PURE, "import uuid\nmake = uuid.uuid4"),
    (purity.rules_are_pure, PURE, "text = open('workflow.yaml').read()"),
    (purity.rules_are_pure, PURE, "def count():\n    global seen"),
    (purity.rules_are_pure, PURE, "async def decide(): ..."),
    (purity.contracts_import_little, CONTRACT, "from shared.kernel.decider import Refused"),
    (purity.contracts_import_little, CONTRACT, "import sqlalchemy"),
    (naming.files_are_named_with_a_noun, "services/phase/utils.py", ""),
    (naming.files_are_named_with_a_noun, "shared/common/clock.py", ""),
    (naming.files_are_named_with_a_noun, "services/phase/ticket_v2.py", ""),
    (naming.files_are_named_with_a_noun, "services/phase/new_ticket.py", ""),
    (naming.classes_say_what_they_are, PURE, "class TicketManager: ..."),
    (naming.classes_say_what_they_are, PURE, "class PhaseInfo: ..."),
    (naming.classes_say_what_they_are, PURE, "class EnhancedTicket: ..."),
    (naming.classes_say_what_they_are, PURE, "class TicketV2: ..."),
    (naming.nothing_has_a_twin, PURE, "def decide_v2(): ..."),
    (naming.nothing_has_a_twin, PURE, "def improved_decide(): ..."),
    (naming.nothing_has_a_twin, PURE, "def decide(): ...\ndef new_decide(): ..."),
    (shape.files_are_short, KERNEL, "x = 1\n" * 401),
    (shape.functions_are_small, KERNEL, "def f():\n" + "    x = 1\n" * 60),
    (shape.functions_are_small, KERNEL, f"def f(x):\n{DEEP}\n      return"),
    (shape.functions_are_small, KERNEL, "def f(a, b, c, d, e, f, g): ..."),
    (failure.failures_are_not_swallowed, KERNEL, "try:\n    f()\nexcept:\n    raise"),
    (failure.failures_are_not_swallowed, KERNEL, "try:\n    f()\nexcept Exception:\n    pass"),
    (failure.failures_are_not_swallowed, KERNEL, "try:\n    f()\nexcept (OSError, Exception):\n    ..."),
    (failure.failures_are_not_swallowed, KERNEL, "with contextlib.suppress(Exception):\n    f()"),
    (
        failure.services_name_what_may_fail,
        EFFECTS,
        "try:\n    f()\nexcept Exception as error:\n    log(error)",
    ),
    (
        failure.rules_catch_nothing,
        PURE,
        "try:\n    f()\nexcept KeyError as error:\n    raise Missing from error",
    ),
    (failure.rules_catch_nothing, PURE, "with suppress(KeyError):\n    f()"),
    (words.modules_say_what_they_are_for, KERNEL, "x = 1"),
    (words.modules_say_what_they_are_for, KERNEL, '"""The relay"""'),
    (words.modules_say_what_they_are_for, KERNEL, '"""The relay. It publishes."""'),
    (
        words.packages_of_services_are_empty,
        "services/phase/__init__.py",
        "from services.phase.ticket import Ticket",
    ),
    (words.only_the_cli_prints, KERNEL, "print('here')"),
    (words.only_the_cli_prints, "omoi/worker/git.py", "print('here')"),
    (honesty.nothing_is_mocked, TEST, "from unittest import mock"),
    (honesty.nothing_is_mocked, TEST, "from unittest.mock import AsyncMock"),
    (honesty.nothing_is_mocked, TEST, "def test_a(mocker): ..."),
    (
        honesty.nothing_is_mocked,
        TEST,
        "from services.phase import ticket\nmonkeypatch.setattr(ticket, 'decide', f)",
    ),
    (honesty.nothing_is_mocked, TEST, "monkeypatch.setattr('shared.kernel.relay.BATCH', 1)"),
    (honesty.nothing_is_mocked, TEST, "relay = Relay()\nmonkeypatch.setattr(relay, 'publish', f)"),
    (honesty.every_test_asserts, TEST, "def test_a():\n    decide()"),
    (honesty.every_test_asserts, TEST, "class TestA:\n    async def test_a(self):\n        await decide()"),
)

ALLOWED: tuple[tuple[Rule, str, str], ...] = (
    (
        purity.rules_import_values_only,
        PURE,
        "from datetime import timedelta\nfrom shared.contracts import task",
    ),
    (purity.rules_import_values_only, PURE, "from services.phase.workflow import Workflow"),
    (purity.rules_import_values_only, PURE, "from shared.kernel.decider import Refused"),
    (purity.rules_import_values_only, "services/phase/queries.py", "import sqlalchemy"),
    (purity.rules_import_values_only, "services/phase/migrations/0001_phase.py", "import alembic"),
    (purity.rules_are_pure, PURE, "from uuid import uuid5\nmade = context.new_id('task')"),
    (purity.contracts_import_little, CONTRACT, "import hashlib\nfrom pydantic import Field"),
    (naming.classes_say_what_they_are, PURE, "class Database: ...\nclass Newest: ..."),
    (naming.nothing_has_a_twin, PURE, "def new_id(): ..."),
    (shape.functions_are_small, KERNEL, "def f(self, a, b, c, d, e, f, *, g, h): ..."),
    (shape.functions_are_small, KERNEL, "def f(x):\n    if x: ...\n" + "    elif x: ...\n" * 9),
    (failure.failures_are_not_swallowed, KERNEL, "try:\n    f()\nexcept Exception:\n    log()\n    raise"),
    (failure.failures_are_not_swallowed, KERNEL, "with suppress(FileNotFoundError):\n    f()"),
    (
        words.modules_say_what_they_are_for,
        KERNEL,
        '"""The relay: reads `a. B`, e.g. events.\n\nMore. Here."""',
    ),
    (words.modules_say_what_they_are_for, TEST, "x = 1"),
    (words.only_the_cli_prints, "omoi/cli/ticket.py", "print('here')"),
    (honesty.nothing_is_mocked, TEST, "import sys\nmonkeypatch.setattr(sys, 'argv', [])"),
    (honesty.every_test_asserts, TEST, "def test_a():\n    scenario.given(a).when(b).then_refused(C)"),
    (honesty.every_test_asserts, TEST, "def test_a():\n    with pytest.raises(C):\n        f()"),
    (honesty.every_test_asserts, TEST, "def holds(x):\n    assert x\n\ndef test_a():\n    holds(1)"),
)


def named(value: object) -> str:
    return value.__name__ if isinstance(value, FunctionType) else repr(value)[:60]


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_the_tree_holds(rule: Rule) -> None:
    found = [f"{source.path}:{line}: {why}" for source in sources() for line, why in rule(source)]
    assert not found, f"{rule.__doc__}\n" + "\n".join(found)


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED, ids=named)
def test_a_planted_violation_is_found(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text)))


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED, ids=named)
def test_what_the_style_allows_passes(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text))) == []


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, _, _ in PLANTED} == set(RULES)
