"""The provider that the settings name."""

from collections.abc import Callable
from functools import cache

from shared.embedding.embedder import Embedder
from shared.embedding.hashing import Hashing
from shared.embedding.local import Local
from shared.embedding.remote import Remote
from shared.kernel.settings import Settings


def embedder(settings: Settings) -> Embedder:
    """`EMBEDDING_PROVIDER`: hashing unless another one is named."""
    match settings.embedding_provider:
        case "hashing":
            return Hashing()
        case "local":
            return Local(settings)
        case "openai":
            return Remote(settings)


def chosen(settings: Callable[[], Settings]) -> Callable[[], Embedder]:
    """The provider, made when it is first asked for, and then always the same."""
    return cache(lambda: embedder(settings()))
