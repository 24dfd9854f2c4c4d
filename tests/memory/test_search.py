"""Searching by words and by meaning, with the real database and real HTTP beneath."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import asyncpg
import pytest

from services.memory.queries.search import Searching
from services.memory.queries.vector import keep_vectors, use_model
from services.memory.service import declared, memory
from shared.contracts.memory import Search, SearchMode, SuggestContext
from shared.embedding.choice import embedder
from shared.embedding.embedder import ModelName, filled_up
from shared.embedding.hashing import Hashing
from shared.kernel.reads import StoreReading
from shared.kernel.settings import Settings
from shared.testing.model import Reply, fails, model_server
from shared.testing.world import World, until
from tests.embedding.pairs import SHARED_WORDS
from tests.memory.wired import SECONDS, a_store, embedded, found, query, stored, using


async def test_what_shares_words_is_found_in_every_mode(running: World) -> None:
    ids = [await stored(running, text) for text, _ in SHARED_WORDS]
    await embedded(running, len(ids))
    for mode in ("hybrid", "semantic", "keyword"):
        first = [(await found(running, asked, mode=mode))[0] for _, asked in SHARED_WORDS]
        assert first == ids, mode


async def test_a_match_says_how_it_was_found_and_how_similar_it_is(running: World) -> None:
    key = await stored(running, "Retry uploads with exponential backoff")
    await stored(running, "The certificate has expired")
    await embedded(running, 2)
    answer = await query(running, "search", text="Retry uploads with exponential backoff")
    first, second = answer["memories"]
    assert (answer["mode"], answer["degraded"]) == ("hybrid", "")
    assert first["memory_id"] == key
    assert first["found_by"] == ["semantic", "keyword"]
    assert first["similarity"] == pytest.approx(1, abs=1e-5)
    assert first["rank_score"] == pytest.approx(0.6 / 61 + 0.4 / 61)
    assert (second["found_by"], second["similarity"] < 0.2) == (["semantic"], True)
    assert await found(running, "retry uploads", min_similarity=0.3) == [key]


async def test_a_rare_word_is_found_though_nothing_else_fits(running: World) -> None:
    key = await stored(running, "Quota", result={"notes": ["It answers with EDQUOT when the disk is full"]})
    for text, _ in SHARED_WORDS:
        await stored(running, text)
    assert (await found(running, "what does edquot mean", mode="keyword")) == [key]


@pytest.mark.parametrize("text", ["it's a \\ 'quoted' & (odd) | <-> ! :* word", "the of and", "💥", "\\'"])
@pytest.mark.parametrize("mode", ["hybrid", "keyword", "semantic"])
async def test_any_text_can_be_sought(running: World, text: str, mode: str) -> None:
    await stored(running, "a quoted word")
    answer = await running.query("memory.search", {"text": text, "mode": mode})
    assert answer["ok"], answer


async def test_a_search_can_be_narrowed(running: World) -> None:
    one = await stored(
        running, "Take a lock first", task_type="fix_bug", memory_type="warning", success=False
    )
    two = await stored(running, "Take a lock at last", task_type="write_tests", ticket_id="T")
    await embedded(running, 2)
    for mode in ("hybrid", "keyword", "semantic"):
        narrowed = [
            await found(running, "take a lock", mode=mode, **filters)
            for filters in (
                {"memory_type": "warning"},
                {"task_type": "write_tests"},
                {"ticket_id": "T"},
                {"success": False},
                {"success": True},
                {"ticket_id": "T", "success": False},
            )
        ]
        assert narrowed == [[one], [two], [two], [one], [two], []], mode


async def test_a_ticket_with_few_memories_among_many_near_ones_is_found_whole(running: World) -> None:
    """Hardly any of them would be met on a walk through the graph."""
    async with a_store(running) as store:
        await store.pool.execute(
            "INSERT INTO memories SELECT 'many-' || n, 'learning', 'lock number ' || n, '', '', true, '{}', "
            "'{}', NULL, NULL, NULL, NULL, 'chore', 0.5, 0, true, false, now() FROM generate_series(1, 600) n"
        )
    far = [await stored(running, f"Bake bread {n}", ticket_id="T", task_type="bake") for n in range(3)]
    await embedded(running, 603)
    for filters in ({"ticket_id": "T"}, {"task_type": "bake"}):
        narrowed = await found(running, "lock number 7", mode="semantic", limit=10, **filters)
        assert sorted(narrowed) == sorted(far), filters
    chores = await found(running, "lock number 7", mode="semantic", task_type="chore", limit=1)
    assert chores == ["many-7"]


async def test_a_memory_without_a_vector_yet_is_found_by_its_words(empty: World) -> None:
    async with model_server(fails(503)) as server, empty.running(using(server)):
        key = await stored(empty, "Locks are leases")
        answer = await query(empty, "search", text="what are locks")
    assert [match["memory_id"] for match in answer["memories"]] == [key]
    assert (answer["mode"], answer["memories"][0]["similarity"]) == ("keyword", None)
    assert "503" in answer["degraded"]


@pytest.mark.parametrize("reply", [fails(401), Reply("{", after_seconds=30)])
async def test_a_search_by_meaning_degrades_in_words_and_never_fails(empty: World, reply: Reply) -> None:
    async with model_server(reply) as server, empty.running(using(server)):
        await stored(empty, "Locks are leases")
        answer = await query(empty, "search", text="locks", mode="semantic")
    assert len(answer["memories"]) == 1
    assert answer["degraded"].startswith("Searched by words only")


def synonyms(text: str) -> Sequence[float]:
    """A model that knows which words mean the same, and nothing else."""
    words = {"login": 0, "sign-in": 0, "password": 1, "credentials": 1, "memory": 2, "oom": 2, "expired": 3}
    vector = [0.0] * 4 + [0.01]
    for word, place in words.items():
        vector[place] += word in text.casefold()
    return vector


async def test_a_paraphrase_is_found_by_meaning_where_no_word_is_shared(empty: World) -> None:
    async with model_server(vector_of=synonyms) as server, empty.running(using(server)):
        key = await stored(empty, "The sign-in page rejects valid passwords")
        other = await stored(empty, "The certificate has expired")
        await embedded(empty, 2)
        asked = "users cannot login although credentials are right"
        assert await found(empty, asked, mode="keyword") == []
        assert await found(empty, asked, min_similarity=0.5) == [key]
        assert await found(empty, "certificate", mode="hybrid") == [other, key]


async def test_vectors_of_two_models_never_meet(empty: World) -> None:
    async with model_server(vector_of=lambda _: [1.0, 0.0]) as server, empty.running(using(server, "one")):
        await stored(empty, "Made by the first model")
        await embedded(empty, 1)
    async with model_server(vector_of=lambda _: [1.0, 0.0]) as server:
        two = ModelName("openai", "two", "1536")
        made = embedder(
            Settings(embedding_provider="openai", embedding_url=server.url, embedding_model="two")
        )
        assert made.name == two
        async with a_store(empty) as store:
            reading = StoreReading(store)
            query_two = Search(text="Made by the first model", mode="semantic")
            before = await Searching(lambda: made).search(query_two, reading)
            assert (before.mode, before.memories[0].similarity) == ("keyword", None)
            await use_model(reading, two)
            none = await Searching(lambda: made).search(query_two, reading)
            assert none.memories == ()
        async with empty.running(using(server, "two")):
            await embedded(empty, 2)
            assert len(await found(empty, "Made by the first model", mode="semantic")) == 1
    models = await empty.fetch("SELECT model_id, count(*) FROM memory.embeddings GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in models] == [(1, 1), (2, 1)]


async def test_one_text_that_the_model_refuses_does_not_keep_the_others_from_it(empty: World) -> None:
    def vector_of(text: str) -> Sequence[float]:
        return [] if "bad" in text else [1.0]

    async with model_server(vector_of=vector_of) as server, empty.running(using(server)):
        bad = await stored(empty, "A bad text")
        good = await stored(empty, "A good text")
        await embedded(empty, 2)
        assert await found(empty, "text", mode="semantic") == [good]
        shown = await query(empty, "get_memory", memory_id=bad)
    assert (shown["embedding"], "vectors of 0" in shown["embedding_problem"]) == (None, True)


async def test_a_wrong_key_is_no_fault_of_the_texts(empty: World) -> None:
    async with model_server(fails(401)) as server, empty.running(using(server)):
        await stored(empty, "Locks are leases")

        async def asked_twice() -> bool:
            return len(server.asked) >= 2

        await until(asked_twice, SECONDS)
        [row] = await empty.fetch("SELECT count(*) FROM memory.embeddings")
    assert row["count"] == 0
    assert await empty.fetch("SELECT 1 FROM memory.unembedded") != []


async def test_vectors_that_are_lost_are_made_again_by_the_next_process(empty: World) -> None:
    async with empty.running(declared()):
        await stored(empty, "Locks are leases")
        await embedded(empty, 1)
    await empty.execute("DELETE FROM memory.embeddings")
    async with empty.running(declared()):
        await embedded(empty, 1)
        assert len(await found(empty, "locks", mode="semantic")) == 1


async def test_searching_and_suggesting_write_nothing(empty: World) -> None:
    async with empty.running(memory):
        await stored(empty, "Locks are leases")
        await embedded(empty, 1)
    database = urlsplit(empty.database_url).path.removeprefix("/")
    await empty.execute(f'ALTER DATABASE "{database}" SET default_transaction_read_only = on')
    searching = Searching(Hashing)
    modes: tuple[SearchMode, ...] = ("hybrid", "semantic", "keyword")
    async with a_store(empty) as store:
        reading = StoreReading(store)
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await use_model(reading, ModelName("a", "new", "one"))
        for mode in modes:
            assert (await searching.search(Search(text="locks", mode=mode), reading)).memories
        assert (await searching.suggest_context(SuggestContext(text="locks"), reading)).memories


async def test_what_a_process_leaves_half_done_is_embedded_by_the_next(empty: World) -> None:
    async with model_server(Reply("{}", after_seconds=60)) as slow, empty.running(using(slow)):
        await stored(empty, "Locks are leases")

        async def asked() -> bool:
            return bool(slow.asked)

        await until(asked, SECONDS)
    async with model_server(vector_of=lambda _: [1.0]) as quick, empty.running(using(quick)):
        await embedded(empty, 1)
        assert len(await found(empty, "locks", mode="semantic")) == 1


async def test_a_text_forgotten_while_it_is_embedded_gets_no_vector(empty: World) -> None:
    async with model_server(vector_of=lambda _: [1.0]) as server, empty.running(using(server)):
        gone, kept = await stored(empty, "Forgotten"), await stored(empty, "Kept")
        await embedded(empty, 2)
        assert (await empty.ask("memory.forget", {"memory_id": gone}, actor="ann"))["ok"]
        async with a_store(empty) as store:
            reading = StoreReading(store)
            model = await use_model(reading, ModelName("openai", "text-embedding-3-small", "1536"))
            await keep_vectors(reading, model, {gone: filled_up([1.0]), kept: filled_up([0.0, 1.0])})
    rows = await empty.fetch("SELECT memory_id FROM memory.embeddings")
    assert [row["memory_id"] for row in rows] == [kept]
