"""Asking a model over a real connection, in its good moods and its bad ones."""

import pytest
from pydantic import BaseModel, SecretStr

from shared.kernel.settings import Settings
from shared.model.completion import ModelAway, ModelUnusable, complete_json, model_configured
from shared.testing.model import ModelServer, Reply, fails, model_server, says


class Word(BaseModel):
    word: str


async def ask(server: ModelServer, seconds: float = 5) -> Word:
    settings = Settings(model="m-1", model_url=server.url, model_key=SecretStr("k-secret"))
    return await complete_json(
        settings, instructions="Say JSON.", material="Hello.", answer=Word, timeout_seconds=seconds
    )


def test_without_a_name_no_model_is_configured() -> None:
    assert not model_configured(Settings(model=None, model_url="http://localhost"))
    assert model_configured(Settings(model="m-1"))


def test_the_key_is_not_shown() -> None:
    assert "k-secret" not in repr(Settings(model_key=SecretStr("k-secret")))


async def test_the_model_is_asked_with_name_key_and_two_messages() -> None:
    async with model_server(says('{"word": "yes"}')) as server:
        assert (await ask(server)).word == "yes"
    (asked,) = server.asked
    assert asked["model"] == "m-1"
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert server.keys == ["Bearer k-secret"]


async def test_json_in_a_fence_is_json() -> None:
    async with model_server(says('```json\n{"word": "yes"}\n```')) as server:
        assert (await ask(server)).word == "yes"


@pytest.mark.parametrize(
    "reply",
    [
        says(""),
        says(None),
        says("no JSON"),
        says('{"other": 1}'),
        says(None, refusal="I would rather not."),
        says('{"word": "ye', finish_reason="length"),
        Reply("{}"),
        Reply("not JSON at all"),
        Reply('{"choices": []}'),
        Reply('{"choices": null}'),
        fails(400),
        fails(401),
        fails(404),
    ],
)
async def test_an_unusable_answer_says_why(reply: Reply) -> None:
    async with model_server(reply) as server:
        with pytest.raises(ModelUnusable) as told:
            await ask(server)
    assert len(str(told.value)) > 20


@pytest.mark.parametrize(
    ("reply", "seconds"), [(fails(500), 5), (fails(503), 5), (fails(429, retry_after="7"), 7)]
)
async def test_a_busy_service_is_asked_later(reply: Reply, seconds: float) -> None:
    async with model_server(reply) as server:
        with pytest.raises(ModelAway) as told:
            await ask(server)
    assert told.value.seconds == seconds
    assert len(server.asked) == 1


async def test_a_slow_model_is_away() -> None:
    async with model_server(Reply("{}", after_seconds=30)) as server:
        with pytest.raises(ModelAway):
            await ask(server, seconds=0.2)


async def test_nobody_at_the_address_is_away() -> None:
    async with model_server(says("")) as server:
        pass
    with pytest.raises(ModelAway, match="cannot be reached"):
        await ask(server)
