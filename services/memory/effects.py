"""Making the vectors of memories that have none yet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import structlog

from services.memory.queries import vector as vectors
from shared.contracts.messages import Command
from shared.embedding.embedder import Embedder, Vector
from shared.kernel.asking import Asking
from shared.kernel.declaration import Activity, NotNow
from shared.kernel.reading import Reading
from shared.model.api import ModelAway, ModelUnusable

log = structlog.get_logger()

AT_A_TIME = 64
TEXT_CHARACTERS = 8000
AGAIN_SECONDS = 60.0
PROBE = "A word to see whether the model answers at all."


@dataclass(frozen=True)
class Unembedded:
    """Memories that wait for their vectors."""

    memory_ids: tuple[str, ...]

    @property
    def key(self) -> str:
        """They are in line: the first one tells them apart from those that come later."""
        return self.memory_ids[0]


def embedding(embedder: Callable[[], Embedder]) -> Activity:
    """Makes the vectors of what today's model has not seen; vectors are no facts, so it gives no command."""
    models: WeakKeyDictionary[Reading, int] = WeakKeyDictionary()

    async def pending(reading: Reading, _: int) -> Sequence[Unembedded]:
        if reading not in models:
            models[reading] = await vectors.use_model(reading, embedder().name)
        found = await vectors.unembedded(reading, AT_A_TIME)
        return [Unembedded(found)] if found else []

    async def perform(item: Unembedded, reading: Reading, _: Asking) -> Sequence[Command]:
        texts = await vectors.texts_of(reading, item.memory_ids)
        if texts:
            short = {memory_id: text[:TEXT_CHARACTERS] for memory_id, text in texts.items()}
            await vectors.keep_vectors(reading, models[reading], await made(embedder(), short))
        return []

    return Activity("embedding", pending, perform, at_once=1)


async def made(embedder: Embedder, texts: dict[str, str]) -> dict[str, Vector | str]:
    """A vector of each text, or why there is none of it. Raises `NotNow` while there are none at all."""
    try:
        vectors_ = await embedder.embed(list(texts.values()))
        return dict(zip(texts, vectors_, strict=True))
    except ModelAway as away:
        raise NotNow(str(away), away.seconds) from away
    except ModelUnusable as unusable:
        log.warning("embedding_one_by_one", reason=str(unusable))
        return await _one_by_one(embedder, texts)


async def _one_by_one(embedder: Embedder, texts: dict[str, str]) -> dict[str, Vector | str]:
    """One text that the model does not take must not keep the others from it."""
    kept: dict[str, Vector | str] = {}
    try:
        await embedder.embed([PROBE])
    except (ModelAway, ModelUnusable) as away:  # it is not the texts: a wrong key, a wrong name
        raise NotNow(str(away), AGAIN_SECONDS) from away
    for memory_id, text in texts.items():
        try:
            [kept[memory_id]] = await embedder.embed([text])
        except ModelAway as away:
            raise NotNow(str(away), away.seconds) from away
        except ModelUnusable as unusable:
            kept[memory_id] = str(unusable)
    return kept
