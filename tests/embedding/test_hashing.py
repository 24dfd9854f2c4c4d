"""Vectors without a model."""

import hashlib
import json
import math
import subprocess
import sys

import pytest

from shared.embedding.embedder import DIMENSIONS, Calibration, Vector
from shared.embedding.hashing import CALIBRATION, Hashing, hashed
from tests.embedding.pairs import OTHER_WORDS, SHARED_WORDS, UNRELATED

Pair = tuple[str, str]


def likeness(pair: Pair) -> float:
    return CALIBRATION.similarity(cosine(*map(hashed, pair)))


def cosine(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("pair", SHARED_WORDS)
def test_texts_that_share_stems_are_alike(pair: Pair) -> None:
    assert likeness(pair) > 0.5


@pytest.mark.parametrize("pair", UNRELATED)
def test_texts_about_different_things_are_not(pair: Pair) -> None:
    assert likeness(pair) < 0.25


@pytest.mark.parametrize("pair", OTHER_WORDS)
def test_it_knows_no_synonyms(pair: Pair) -> None:
    assert likeness(pair) < 0.5


def test_a_vector_is_of_length_one_and_the_text_itself_is_most_alike() -> None:
    vector = hashed("ConnectionRefusedError in lockTimeout_seconds, Überprüfung läuft")
    assert len(vector) == DIMENSIONS
    assert math.isclose(cosine(vector, vector), 1)
    assert math.isclose(likeness(("retry uploads", "retry uploads")), 1)


@pytest.mark.parametrize("text", ["", "the of and", "\ud800 ", "…"])
def test_a_text_without_words_has_a_vector_too(text: str) -> None:
    assert len(hashed(text)) == DIMENSIONS


def test_a_name_is_found_by_its_words() -> None:
    assert likeness(("def parseDuration(text)", "parse_duration")) > 0.5


async def test_several_texts_have_the_vectors_they_have_alone() -> None:
    assert await Hashing().embed(["one lock", "two locks"]) == [hashed("one lock"), hashed("two locks")]


def test_the_vector_is_the_same_in_every_process() -> None:
    """Python salts its own hashes; ours must not depend on them."""
    code = "import sys; from shared.embedding.hashing import hashed; print(hashed(sys.argv[1]))"
    text = "Fix the flaky login test"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code, text], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert [json.loads(one) for one in seen] == [hashed(text)]


def test_the_vector_is_the_same_on_every_machine() -> None:
    """Stored vectors were made by this very algorithm: whoever changes it gives it another version."""
    vector = hashed("Fix the flaky login test by waiting for the session cookie: TimeoutError after 30 s")
    rounded = ",".join(f"{value:.6f}" for value in vector)
    assert hashlib.sha256(rounded.encode()).hexdigest()[:16] == "5ef24394c4396730"


def test_a_similarity_grows_with_the_cosine_between_zero_and_one() -> None:
    calibration = Calibration(unrelated=0.1, even=0.3)
    read = [calibration.similarity(cosine) for cosine in (-1, 0.1, 0.2, 0.3, 0.65, 1)]
    assert read == pytest.approx([0, 0, 0.25, 0.5, 0.75, 1])
