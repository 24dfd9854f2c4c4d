"""Vectors from a sentence-transformers model that runs in this process."""

import asyncio
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from shared.embedding.embedder import DIMENSIONS, Calibration, ModelName, Vector, filled_up
from shared.kernel.settings import Settings
from shared.model.api import ModelAway, ModelUnusable

DEFAULT_MODEL = "all-MiniLM-L6-v2"
CALIBRATION = Calibration(unrelated=0.12, even=0.32)
"""For all-MiniLM-L6-v2, measured on the pairs of tests/embedding/pairs.py."""
LIBRARY = "sentence_transformers"
AGAIN_SECONDS = 300.0


class Local:
    """The provider `local`. The model is loaded with the first text, in a thread of its own."""

    calibration = CALIBRATION

    def __init__(self, settings: Settings) -> None:
        self._model = settings.embedding_model or DEFAULT_MODEL
        folder = Path(self._model)
        name, version = (folder.name, weights_version(folder)) if folder.is_dir() else (self._model, "hub")
        self.name = ModelName("local", name, version)
        self._thread = ThreadPoolExecutor(1, "embedding")

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """In the thread, so that the event loop goes on."""
        if find_spec(LIBRARY) is None:
            raise ModelAway(
                "The embedding provider `local` needs sentence-transformers: pip install 'omoios[local]', "
                "or set EMBEDDING_PROVIDER to hashing or openai.",
                AGAIN_SECONDS,
            )
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._embedded, list(texts))

    def _embedded(self, texts: list[str]) -> list[Vector]:
        try:
            model = _loaded(self._model)
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelAway(f"{self._model} cannot be loaded: {error}", AGAIN_SECONDS) from error
        rows = model.encode(texts, show_progress_bar=False).tolist()
        if rows and len(rows[0]) > DIMENSIONS:
            raise ModelUnusable(
                f"{self._model} gives vectors of {len(rows[0])} numbers; at most {DIMENSIONS} are kept."
            )
        return [filled_up(row) for row in rows]


@cache
def _loaded(model: str) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(model)


def weights_version(folder: Path) -> str:
    """Tells weights in a folder from others that are called the same."""
    digest = hashlib.sha256()
    for file in sorted((*folder.glob("*.safetensors"), *folder.glob("*.bin"))):
        with file.open("rb") as weights:
            digest.update(hashlib.file_digest(weights, "sha256").digest())
    return digest.hexdigest()[:12]
