"""Asking other services over the broker."""

from collections.abc import Sequence
from typing import Any

import nats.errors
import orjson
from nats.aio.client import Client

from shared.contracts.messages import Query
from shared.kernel import wire
from shared.kernel.asking import Asking, QueryRefused
from shared.kernel.decider import Unavailable

ANSWER_SECONDS = 10.0
AWAY = frozenset({"unavailable", "internal_error"})


class Questions(Asking):
    """The questions of one activity or answer; one that it has not declared is a fault of ours."""

    def __init__(self, client: Client, asks: Sequence[type[Query]]) -> None:
        self._client = client
        self._asks = frozenset(asks)

    async def query(self, query: Query) -> dict[str, Any]:
        """The result; raises `QueryRefused`, and `Unavailable` while the service is away."""
        if type(query) not in self._asks:
            raise TypeError(f"{type(query).__name__} is not among what is declared to be asked")
        subject = wire.query_subject(query.owner(), query.wire_name())
        body = query.model_dump_json(exclude_defaults=True).encode()
        try:
            reply = await self._client.request(subject, body, timeout=ANSWER_SECONDS)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise Unavailable(f"{query.owner()} does not answer {subject}: {error!r}") from error
        return _result(orjson.loads(reply.data), subject)


def _result(answer: dict[str, Any], subject: str) -> dict[str, Any]:
    if answer["ok"]:
        result: dict[str, Any] = answer["result"]
        return result
    if answer["code"] in AWAY:
        raise Unavailable(f"{subject} cannot be answered now: {answer['message']}")
    raise QueryRefused(answer["code"], answer["message"], **answer["details"])
