"""What every embedding provider offers: vectors of one length, their model's name, a measure of likeness."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

DIMENSIONS = 1536
"""Of every stored vector. A model with fewer is filled up with zeros, which changes no cosine."""

Vector = list[float]


@dataclass(frozen=True)
class ModelName:
    """Which model made a vector; vectors are compared only where all three are the same."""

    provider: str
    model: str
    version: str


@dataclass(frozen=True)
class Calibration:
    """Turns a model's cosine into a similarity that means the same whatever the model.

    0 is what two texts have that are about different things, 0.5 where it is as likely as not that they are
    about the same, 1 is the same text; straight lines between.
    """

    unrelated: float
    even: float

    def similarity(self, cosine: float) -> float:
        """0 to 1; grows with the cosine."""
        if cosine <= self.even:
            found = 0.5 * (cosine - self.unrelated) / (self.even - self.unrelated)
        else:
            found = 0.5 + 0.5 * (cosine - self.even) / (1 - self.even)
        return min(max(found, 0.0), 1.0)


class Embedder(Protocol):
    """One provider with its model."""

    @property
    def name(self) -> ModelName:
        """The model that makes the vectors."""

    @property
    def calibration(self) -> Calibration:
        """How its cosines are to be read."""

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """A vector of `DIMENSIONS` for each text, of length 1, or all zeros where there is nothing to go by.

        Raises `ModelAway` when it cannot be asked now, and `ModelUnusable` when asking again is of no use.
        """


def filled_up(values: Sequence[float]) -> Vector:
    """A vector of length 1 with zeros behind."""
    length = sum(value * value for value in values) ** 0.5
    scale = 1 / length if length else 0.0
    return [value * scale for value in values] + [0.0] * (DIMENSIONS - len(values))
