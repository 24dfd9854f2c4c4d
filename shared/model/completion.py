"""Asking a model through the OpenAI-compatible API that the settings name."""

from typing import TypeVar

from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncOpenAI,
    DefaultAsyncHttpxClient,
    InternalServerError,
    RateLimitError,
)
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from pydantic import BaseModel, ValidationError

from shared.kernel.settings import Settings

A = TypeVar("A", bound=BaseModel)

DEFAULT_URL = "https://api.openai.com/v1"
TIMEOUT_SECONDS = 60.0
RETRY_SECONDS, RETRY_CAP_SECONDS = 5.0, 300.0
_SHOWN = 300


class ModelAway(Exception):
    """The model cannot be asked now: unreachable, too slow, too busy. Try again after `seconds`."""

    def __init__(self, reason: str, seconds: float = RETRY_SECONDS) -> None:
        super().__init__(reason)
        self.seconds = seconds


class ModelUnusable(Exception):
    """The model, or the service in front of it, gave an answer that asking again would not better."""


def model_configured(settings: Settings) -> bool:
    """Whether a model is named; without OMOI_MODEL nothing is ever sent."""
    return bool(settings.model)


async def complete_json(
    settings: Settings,
    *,
    instructions: str,
    material: str,
    answer: type[A],
    max_tokens: int = 4000,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> A:
    """What the model answers, as an `answer`.

    `instructions` say what is wanted and in which JSON; `material` is what it is wanted of, and goes into a
    message of its own, so that words in it are not taken for instructions. Raises `ModelAway` and
    `ModelUnusable`; asking again is left to the caller.
    """
    assert settings.model, "ask model_configured first"
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": instructions},
        {"role": "user", "content": material},
    ]
    async with _client(settings, timeout_seconds) as client:
        try:
            completion = await client.chat.completions.create(
                model=settings.model,
                messages=messages,
                response_format={"type": "json_object"},
                max_completion_tokens=max_tokens,
            )
        except (RateLimitError, InternalServerError) as busy:
            raise ModelAway(_said(busy), _retry_after(busy)) from busy
        except APIConnectionError as away:
            raise ModelAway(f"{settings.model} cannot be reached: {away}") from away
        except APIError as error:
            raise ModelUnusable(_said(error)) from error
        except ValueError as error:
            raise ModelUnusable(f"The answer is no JSON: {_shown(str(error))}") from error
    return _read(completion, answer)


def _client(settings: Settings, timeout_seconds: float) -> AsyncOpenAI:
    return AsyncOpenAI(
        base_url=settings.model_url or DEFAULT_URL,
        api_key=settings.model_key.get_secret_value() if settings.model_key else "none",
        timeout=timeout_seconds,
        max_retries=0,
        http_client=DefaultAsyncHttpxClient(),
    )


def _read(completion: ChatCompletion, answer: type[A]) -> A:
    choices = getattr(completion, "choices", None)
    message = choices[0].message if choices else None
    if message is None:
        raise ModelUnusable("The model gave no answer.")
    if message.refusal:
        raise ModelUnusable(f"The model refused: {_shown(message.refusal)}")
    if choices and choices[0].finish_reason == "length":
        raise ModelUnusable("The model's answer was cut off: it is longer than was asked for.")
    try:
        return answer.model_validate_json(_bare(message.content or ""))
    except ValidationError as error:
        raise ModelUnusable(f"The model's answer cannot be read: {error.errors()[0]['msg']}") from error


def _bare(text: str) -> str:
    """JSON without the fence that some models put around it."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        return text.removesuffix("```").partition("\n")[2]
    return text


def _retry_after(error: APIStatusError) -> float:
    try:
        seconds = float(error.response.headers.get("retry-after", RETRY_SECONDS))
    except ValueError:
        return RETRY_SECONDS
    return min(max(seconds, 0.0), RETRY_CAP_SECONDS)


def _said(error: APIError) -> str:
    status = f"{error.status_code} " if isinstance(error, APIStatusError) else ""
    return f"The model's service answered {status}{_shown(error.message)}"


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
