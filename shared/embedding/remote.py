"""Vectors from an OpenAI-compatible API."""

from collections.abc import Sequence

from shared.embedding.embedder import DIMENSIONS, Calibration, ModelName, Vector, filled_up
from shared.kernel.settings import Settings
from shared.model.api import ModelUnusable, Server, asking

DEFAULT_MODEL = "text-embedding-3-small"
CALIBRATION = Calibration(unrelated=0.15, even=0.4)
"""For text-embedding-3-small, from what is known of it; other models of the API are read alike."""
SHORTENED = "text-embedding-3"
"""Models that give vectors of the length one asks for."""
TIMEOUT_SECONDS = 20.0
TEXT_CHARACTERS = 24_000
"""Of one text: about 8,000 tokens, the most that the API takes."""


class Remote:
    """The provider `openai`."""

    calibration = CALIBRATION

    def __init__(self, settings: Settings) -> None:
        model = settings.embedding_model or DEFAULT_MODEL
        self.name = ModelName("openai", model, str(DIMENSIONS))
        self._server = Server(
            model,
            settings.embedding_url or settings.model_url,
            settings.embedding_key or settings.model_key,
            TIMEOUT_SECONDS,
        )

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One call for all texts."""
        wanted = {"dimensions": DIMENSIONS} if self.name.model.startswith(SHORTENED) else {}
        async with asking(self._server) as client:
            found = await client.embeddings.create(
                model=self.name.model,
                input=[text[:TEXT_CHARACTERS] or " " for text in texts],
                encoding_format="float",
                **wanted,  # type: ignore[arg-type]
            )
        rows = sorted(found.data or (), key=lambda row: row.index)
        if len(rows) != len(texts):
            raise ModelUnusable(f"The API gave {len(rows)} vectors for {len(texts)} texts.")
        return [self._checked(row.embedding) for row in rows]

    def _checked(self, values: Sequence[float]) -> Vector:
        if not 0 < len(values) <= DIMENSIONS:
            raise ModelUnusable(
                f"{self.name.model} gives vectors of {len(values)} numbers; at most {DIMENSIONS} are kept. "
                "Name a smaller model with OMOI_EMBEDDING_MODEL."
            )
        return filled_up(values)
