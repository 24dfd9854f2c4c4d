"""Vectors from an API, over real HTTP."""

import pytest
from pydantic import SecretStr

from shared.embedding.choice import embedder
from shared.embedding.embedder import DIMENSIONS
from shared.kernel.settings import Settings
from shared.model.api import ModelAway, ModelUnusable
from shared.testing.model import ModelServer, Reply, embeds, fails, model_server


def settings(server: ModelServer, model: str | None = None) -> Settings:
    return Settings(
        embedding_provider="openai",
        embedding_model=model,
        embedding_url=server.url,
        embedding_key=SecretStr("k-1"),
    )


async def test_texts_are_asked_for_together_with_the_key() -> None:
    async with model_server(embeds([3.0, 4.0], [0.0, 2.0])) as server:
        first, second = await embedder(settings(server)).embed(["a", "b"])
    assert first[:2] == pytest.approx([0.6, 0.8])
    assert second[:2] == [0.0, 1.0]
    assert len(first) == DIMENSIONS
    assert server.keys == ["Bearer k-1"]
    [asked] = server.asked
    assert (asked["input"], asked["model"], asked["dimensions"]) == (
        ["a", "b"],
        "text-embedding-3-small",
        1536,
    )


async def test_another_model_is_asked_by_its_name_and_filled_up() -> None:
    async with model_server(vector_of=lambda _: [1.0] * 4) as server:
        made = embedder(settings(server, "nomic"))
        [vector] = await made.embed(["a"])
    assert vector == [0.5] * 4 + [0.0] * (DIMENSIONS - 4)
    assert made.name.model == "nomic"
    assert "dimensions" not in server.asked[0]


async def test_the_api_of_the_model_serves_where_none_is_named_for_vectors() -> None:
    async with model_server(embeds([1.0])) as server:
        made = embedder(
            Settings(embedding_provider="openai", model_url=server.url, model_key=SecretStr("k-2"))
        )
        await made.embed(["a"])
    assert server.keys == ["Bearer k-2"]


@pytest.mark.parametrize("reply", [fails(500), fails(429, retry_after="7")])
async def test_a_busy_api_is_asked_again_later(reply: Reply) -> None:
    async with model_server(reply) as server:
        with pytest.raises(ModelAway):
            await embedder(settings(server)).embed(["a"])


@pytest.mark.parametrize("reply", [fails(400), embeds(), embeds([]), embeds([1.0] * 2000), Reply("{")])
async def test_an_answer_of_no_use_says_so(reply: Reply) -> None:
    async with model_server(reply) as server:
        with pytest.raises(ModelUnusable):
            await embedder(settings(server)).embed(["a"])
