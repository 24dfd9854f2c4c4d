"""The provider that the settings name."""

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
