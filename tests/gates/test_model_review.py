import json
from collections.abc import Callable
from typing import Any

import pytest

from services.gates.effects.review import NOT_CONFIGURED
from services.gates.service import gates
from shared.testing.model import Reply, fails, model_server, says
from shared.testing.world import World, until
from tests.gates.judgement import workflow
from tests.gates.office import ask, hand_in, look, office

KEY = "sk-very-secret"
BY_MODEL = workflow(review={"by": "model", "instructions": "Is the note true?"})
GOOD = {"passed": True, "feedback": "The note says why.", "evidence": ["n.md"]}


def answers(**changes: Any) -> Reply:
    """A verdict of the model."""
    return says(json.dumps({**GOOD, **changes}))


def points_to(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("OMOI_MODEL_URL", url)
    monkeypatch.setenv("OMOI_MODEL_KEY", KEY)
    monkeypatch.setenv("OMOI_MODEL", "judge-1")


def has(world: World, test: Callable[[Any], bool]) -> Callable[[], Any]:
    async def holds() -> Any:
        found = await look(world)
        return found if test(found) else None

    return holds


def with_problem(found: Any) -> bool:
    return bool(found["reviews"] and found["reviews"][-1]["problem"])


async def test_a_model_that_is_content_lets_the_gate_pass(
    a_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with model_server(answers()) as model:
        points_to(monkeypatch, model.url)
        async with office(a_world, BY_MODEL) as world:
            found = await until(has(world, lambda found: found["status"] == "passed"), 30)
    (review,) = found["reviews"]
    assert (review["status"], review["reviewed_by"], review["round"]) == ("passed", "gates", 1)
    assert (review["feedback"], review["evidence"]) == ("The note says why.", ["n.md"])
    (asked,) = model.asked
    assert asked["model"] == "judge-1"
    material = json.loads(asked["messages"][1]["content"])
    assert material["done_definitions"] == ["The note says why."]
    assert material["asked_by_the_workflow"] == "Is the note true?"
    assert material["artifacts"][0]["content"] == "Because."
    assert model.keys == [f"Bearer {KEY}"]


async def test_a_model_that_is_not_content_fails_the_gate_until_there_is_new_evidence(
    a_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = answers(passed=False, feedback="It does not say why.")
    async with model_server(refusal, answers()) as model:
        points_to(monkeypatch, model.url)
        async with office(a_world, BY_MODEL) as world:
            failed = await until(has(world, lambda found: found["status"] == "failed"), 30)
            assert failed["blocking_reasons"] == [
                "The review by gates (round 1 of 3) did not pass: It does not say why."
            ]
            await hand_in(world, "Because of the rain.", "b")
            passed = await until(has(world, lambda found: found["status"] == "passed"), 30)
    assert [review["round"] for review in passed["reviews"]] == [1, 2]
    assert "Because of the rain." in model.asked[1]["messages"][1]["content"]


TROUBLE = {
    "it has a fault": (fails(500), "500"),
    "it is down for now": (fails(503), "503"),
    "the key is wrong, and quoted": (Reply(json.dumps({"error": {"message": f"bad key {KEY}"}}), 401), "401"),
    "it is no API": (Reply("<html>hello</html>", headers={"content-type": "text/html"}), ""),
    "its JSON is cut": (Reply('{"choices": ['), ""),
    "its JSON is something else": (Reply('{"hello": "world"}'), ""),
    "it is a list": (Reply("[]"), ""),
    "it gives no choice": (Reply('{"id": "c", "object": "chat.completion", "choices": []}'), "no answer"),
    "it refuses": (says(None, refusal="I cannot judge people."), "refused"),
    "it says nothing": (says(None), ""),
    "it answers in prose": (says("All is well, passed!"), ""),
    "passed is a word": (answers(passed="yes"), ""),
    "passed is a number": (answers(passed=1), ""),
    "passed is missing": (says('{"feedback": "fine", "evidence": []}'), ""),
    "feedback is missing": (says('{"passed": true, "evidence": []}'), ""),
    "evidence is missing": (says('{"passed": true, "feedback": "fine"}'), ""),
    "feedback is empty": (answers(feedback=""), ""),
    "it is cut off": (says('{"passed": true, "feed', finish_reason="length"), "cut off"),
    "it is too slow": (Reply("{}", after_seconds=30), ""),
}


@pytest.mark.parametrize("case", TROUBLE)
async def test_a_model_in_trouble_keeps_the_gate_pending_and_the_gate_says_so(
    case: str, a_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply, said = TROUBLE[case]
    monkeypatch.setenv("OMOI_MODEL_TIMEOUT_SECONDS", "1")
    async with model_server(reply) as model:
        points_to(monkeypatch, model.url)
        async with office(a_world, BY_MODEL) as world:
            found = await until(has(world, with_problem), 30)
            events = await world.fetch("SELECT data::text FROM gates.events")
    assert found["status"] == "pending"
    waits, problem = found["blocking_reasons"]
    assert waits == "A review by the model is waited for (round 1)."
    assert problem.startswith("It could not be done so far: ")
    assert said in problem
    assert not [event for event in events if KEY in event["data"]]


async def test_a_model_that_is_away_is_asked_until_it_is_back(
    a_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    points_to(monkeypatch, "http://127.0.0.1:9/v1")
    async with office(a_world, BY_MODEL) as world:
        assert (await until(has(world, with_problem), 30))["status"] == "pending"
        async with model_server(answers()) as model:
            monkeypatch.setenv("OMOI_MODEL_URL", model.url)
            await until(has(world, lambda found: found["status"] == "passed"), 40)


async def test_a_busy_model_is_left_alone_as_long_as_it_asks(
    a_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with model_server(fails(429, retry_after="200"), answers()) as model:
        points_to(monkeypatch, model.url)
        async with office(a_world, BY_MODEL) as world:
            assert "429" in (await until(has(world, with_problem), 30))["blocking_reasons"][1]
            [row] = await world.fetch(
                "SELECT extract(epoch FROM not_before - clock_timestamp())::int AS left FROM gates.requests"
            )
            assert 150 < row["left"] <= 200
            assert len(model.asked) == 1


async def test_without_a_model_the_gate_is_pending_and_says_the_way_out(
    a_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMOI_MODEL", raising=False)
    async with office(a_world, workflow(review={"by": "model", "model": "named-here-1"})) as world:
        found = await until(has(world, with_problem), 30)
        assert found["status"] == "pending"
        assert found["blocking_reasons"][1] == f"It could not be done so far: {NOT_CONFIGURED}"
        answer = await ask(
            world, "submit_review", ticket_id="T", passed=True, feedback="I have read it.", actor="ann"
        )
        assert answer["status"] == "passed"


async def test_a_review_that_was_interrupted_is_done_by_the_next_process(
    a_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with model_server(Reply("{}", after_seconds=600), answers()) as model:
        points_to(monkeypatch, model.url)
        async with office(a_world, BY_MODEL) as world:
            await until(lambda: asked_once(model.asked), 30)
        async with world.running(gates):
            found = await until(has(world, lambda found: found["status"] == "passed"), 40)
    assert [review["status"] for review in found["reviews"]] == ["passed"]
    assert len(model.asked) == 2


async def asked_once(asked: list[Any]) -> bool:
    return len(asked) == 1


async def test_a_workflow_may_name_the_model(a_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with model_server(answers()) as model:
        points_to(monkeypatch, model.url)
        async with office(a_world, workflow(review={"model": "judge-2"})) as world:
            await until(has(world, lambda found: found["status"] == "passed"), 30)
    assert model.asked[0]["model"] == "judge-2"


async def test_what_is_long_is_cut_to_a_budget(a_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with model_server(answers()) as model:
        points_to(monkeypatch, model.url)
        async with office(a_world, workflow(review={}, all_tasks_completed=True)) as world:
            await until(has(world, lambda found: found["status"] == "passed"), 30)
            await hand_in(world, "long " * 40_000, "b")
            await until(lambda: asked_twice(model.asked), 30)
    material = json.loads(model.asked[1]["messages"][1]["content"])
    assert len(model.asked[1]["messages"][1]["content"]) < 70_000
    assert "140000 more characters are left out" in material["artifacts"][0]["content"]


async def asked_twice(asked: list[Any]) -> bool:
    return len(asked) == 2
