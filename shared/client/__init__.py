"""The client of OmoiOS."""

from shared.client.client import (
    Answer,
    Client,
    ClientError,
    Forbidden,
    RefusedByService,
    TooLarge,
    Unreachable,
)
from shared.client.locks import acquire

__all__ = [
    "Answer",
    "Client",
    "ClientError",
    "Forbidden",
    "RefusedByService",
    "TooLarge",
    "Unreachable",
    "acquire",
]
