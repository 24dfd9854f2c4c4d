from typing import Any

from services.scheduler.dag import dag, longest_chain


def node(task_id: str, *depends_on: str, status: str = "waiting") -> dict[str, Any]:
    ended = status in ("completed", "failed", "cancelled")
    return {"task_id": task_id, "status": status, "ended": ended, "depends_on": list(depends_on)}


def test_a_ticket_is_counted_and_drawn() -> None:
    rows = [node("a", status="completed"), node("b", "a", "x", status="ready"), node("c", "b")]
    found = dag("T-1", rows, [node("x", status="running")])
    assert {status: count for status, count in found["counts"].items() if count} == {
        "completed": 1,
        "ready": 1,
        "waiting": 1,
    }
    assert [drawn["task_id"] for drawn in found["nodes"]] == ["a", "b", "c", "x"]
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
    assert dag("T-1", rows)["critical_path"] == ["b", "c", "d", "e"]


def test_a_ticket_without_tasks_has_no_path() -> None:
    assert longest_chain({}) == []


def test_a_long_chain_is_no_deep_recursion() -> None:
    chain = {f"{number:05}": [f"{number - 1:05}"] if number else [] for number in range(5000)}
    assert longest_chain(chain) == list(chain)
