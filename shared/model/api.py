"""Reaching an OpenAI-compatible API, and saying in two words how it may fail."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncOpenAI,
    DefaultAsyncHttpxClient,
    InternalServerError,
    RateLimitError,
)
from pydantic import SecretStr

DEFAULT_URL = "https://api.openai.com/v1"
RETRY_SECONDS, RETRY_CAP_SECONDS = 5.0, 300.0
_SHOWN = 300


class ModelAway(Exception):
    """The model cannot be asked now: unreachable, too slow, too busy. Try again after `seconds`."""

    def __init__(self, reason: str, seconds: float = RETRY_SECONDS) -> None:
        super().__init__(reason)
        self.seconds = seconds


class ModelUnusable(Exception):
    """The model, or the service in front of it, gave an answer that asking again would not better."""


@dataclass(frozen=True)
class Server:
    """A model and the API that serves it."""

    model: str
    url: str | None
    key: SecretStr | None
    timeout_seconds: float


@asynccontextmanager
async def asking(server: Server) -> AsyncIterator[AsyncOpenAI]:
    """A client of the API; whatever goes wrong within becomes `ModelAway` or `ModelUnusable`."""
    async with AsyncOpenAI(
        base_url=server.url or DEFAULT_URL,
        api_key=server.key.get_secret_value() if server.key else "none",
        timeout=server.timeout_seconds,
        max_retries=0,
        http_client=DefaultAsyncHttpxClient(),
    ) as client:
        try:
            yield client
        except (RateLimitError, InternalServerError) as busy:
            raise ModelAway(_said(busy), _retry_after(busy)) from busy
        except APIConnectionError as away:
            raise ModelAway(f"{server.model} cannot be reached: {away}") from away
        except APIError as error:
            raise ModelUnusable(_said(error)) from error
        except ValueError as error:
            raise ModelUnusable(f"The answer is no JSON: {shown(str(error))}") from error


def shown(text: str) -> str:
    """Words of a stranger on one line, and not too many."""
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _retry_after(error: APIStatusError) -> float:
    try:
        seconds = float(error.response.headers.get("retry-after", RETRY_SECONDS))
    except ValueError:
        return RETRY_SECONDS
    return min(max(seconds, 0.0), RETRY_CAP_SECONDS)


def _said(error: APIError) -> str:
    status = f"{error.status_code} " if isinstance(error, APIStatusError) else ""
    return f"The model's service answered {status}{shown(error.message)}"
