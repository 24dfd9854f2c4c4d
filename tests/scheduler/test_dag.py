from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.dag import ANSWER_BYTES, Dag, dag, fitting_one_message, longest_chain
from tests.scheduler.conftest import Shop


def node(task_id: str, *depends_on: str, status: str = "waiting") -> dict[str, Any]:
    ended = status in ("completed", "failed", "cancelled")
    return {"task_id": task_id, "status": status, "ended": ended, "depends_on": list(depends_on)}


def drawn(rows: Sequence[Mapping[str, Any]], *elsewhere: dict[str, Any]) -> Dag:
    counts = Counter(row["status"] for row in rows)
    to_do = {row["task_id"]: row["depends_on"] for row in rows if not row["ended"]}
    return dag("T-1", counts, to_do, rows, elsewhere)


def test_a_ticket_is_counted_and_drawn() -> None:
    rows = [node("a", status="completed"), node("b", "a", "x", status="ready"), node("c", "b")]
    found = drawn(rows, node("x", status="running"))
    assert {status: count for status, count in found["counts"].items() if count} == {
        "completed": 1,
        "ready": 1,
        "waiting": 1,
    }
    assert [one["task_id"] for one in found["nodes"]] == ["a", "b", "c", "x"]
    assert found["edges"] == [{"from": "a", "to": "b"}, {"from": "x", "to": "b"}, {"from": "b", "to": "c"}]


def test_the_critical_path_is_the_longest_chain_that_is_still_to_do() -> None:
    rows = [
        node("a", status="completed"),
        node("b", "a"),
        node("c", "b"),
        node("d", "c"),
        node("e", "a", "d"),
        node("f", "a"),
    ]
    assert drawn(rows)["critical_path"] == ["b", "c", "d", "e"]


def test_a_ticket_without_tasks_has_no_path() -> None:
    assert longest_chain({}) == []


def test_a_long_chain_is_no_deep_recursion() -> None:
    chain = {f"{number:05}": [f"{number - 1:05}"] if number else [] for number in range(5000)}
    assert longest_chain(chain) == list(chain)


@given(st.lists(st.sets(st.integers(0, 11), max_size=4), max_size=12))
def test_no_chain_is_longer_than_the_longest(before: list[set[int]]) -> None:
    depends_on = {str(n): [str(one) for one in others if one < n] for n, others in enumerate(before)}
    chain = longest_chain(depends_on)
    assert all(one in depends_on[after] for one, after in pairwise(chain))
    length: dict[str, int] = {}
    for task, others in depends_on.items():
        length[task] = 1 + max((length[other] for other in others), default=0)
    assert len(chain) == max(length.values(), default=0)


def test_no_more_is_drawn_than_one_message_can_hold() -> None:
    wide = [{**node(f"{n:04}", *(f"x-{n}-{m}" for m in range(30))), "title": "é" * 200} for n in range(1000)]
    fitting = fitting_one_message(wide, {})
    assert 1 <= len(fitting) < 1000
    nodes = [node(one) | {"title": "é" * 200} for row in fitting for one in row["depends_on"]]
    found = drawn(fitting, *nodes)
    assert len(orjson.dumps((found["nodes"], found["edges"]))) < ANSWER_BYTES
    enormous = [{**node("a", *(f"x-{m}" for m in range(2000))), "title": "a"}]
    assert fitting_one_message(enormous, {}) == enormous


@pytest.mark.parametrize("limit", [1, 2, 4, 9])
async def test_a_graph_is_drawn_in_pages_that_lose_nothing(shop: Shop, limit: int) -> None:
    for name, before in (("a", ()), ("b", ("a",)), ("c", ("a",)), ("d", ("b", "c"))):
        await shop.create(name, *before)
    names, edges, after = list[str](), list[str](), None
    while True:
        page = await shop.query("dag_status", ticket_id="T-1", limit=limit, after=after)
        assert (page["counts"]["waiting"], len(page["critical_path"])) == (3, 3)
        names += [one["task_id"] for one in page["nodes"]]
        edges += [one["from"] + one["to"] for one in page["edges"]]
        if (after := page["next"]) is None:
            break
    assert (names, edges) == (["a", "b", "c", "d"], ["ab", "ac", "bd", "cd"])
