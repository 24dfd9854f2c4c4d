"""Asking a model through the OpenAI-compatible API that the settings name."""

from typing import TypeVar

from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from pydantic import BaseModel, ValidationError

from shared.kernel.settings import Settings
from shared.model.api import ModelAway as ModelAway  # noqa: PLC0414 - who asks a model finds them here
from shared.model.api import ModelUnusable as ModelUnusable  # noqa: PLC0414
from shared.model.api import Server, asking, shown

A = TypeVar("A", bound=BaseModel)

TIMEOUT_SECONDS = 60.0


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
    server = Server(settings.model, settings.model_url, settings.model_key, timeout_seconds)
    async with asking(server) as client:
        completion = await client.chat.completions.create(
            model=settings.model,
            messages=messages,
            response_format={"type": "json_object"},
            max_completion_tokens=max_tokens,
        )
    return _read(completion, answer)


def _read(completion: ChatCompletion, answer: type[A]) -> A:
    choices = getattr(completion, "choices", None)
    message = choices[0].message if choices else None
    if message is None:
        raise ModelUnusable("The model gave no answer.")
    if message.refusal:
        raise ModelUnusable(f"The model refused: {shown(message.refusal)}")
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
