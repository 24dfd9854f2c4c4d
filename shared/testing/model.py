"""A server with the API of a model, whose answers a test lays down."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer over HTTP."""

    body: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    after_seconds: float = 0


def says(content: str | None, *, refusal: str | None = None, finish_reason: str = "stop") -> Reply:
    """A completion with this content."""
    message = {"role": "assistant", "content": content, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
    completion = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    return Reply(json.dumps(completion))


def fails(status: int, **headers: str) -> Reply:
    """A refusal by the service in front of the model."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(json.dumps({"error": {"message": f"no: {status}", "type": "error"}}), status, named)


def embeds(*vectors: Sequence[float]) -> Reply:
    """Vectors for as many texts."""
    rows = [{"object": "embedding", "index": n, "embedding": list(v)} for n, v in enumerate(vectors)]
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    return Reply(json.dumps({"object": "list", "model": "m", "data": rows, "usage": usage}))


@dataclass
class ModelServer:
    """Gives `replies` one after the other, the last one for ever, and keeps what it was asked.

    What comes to `/embeddings` is answered by `vector_of` each text, where there is one.
    """

    replies: list[Reply]
    vector_of: Callable[[str], Sequence[float]] | None = None
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which is closed after one answer."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            named = {name.lower(): value for name, value in fields.items()}
            body = await reader.readexactly(int(named.get("content-length", 0)))
            self.asked.append(json.loads(body))
            self.keys.append(named.get("authorization", ""))
            reply = self._reply(head.split(" ", 2)[1], self.asked[-1])
            await asyncio.sleep(reply.after_seconds)
            writer.write(_encoded(reply))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def _reply(self, path: str, asked: dict[str, Any]) -> Reply:
        if path.endswith("/embeddings") and self.vector_of is not None:
            return embeds(*map(self.vector_of, asked["input"]))
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def _encoded(reply: Reply) -> bytes:
    body = reply.body.encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        **reply.headers,
    }
    lines = [f"HTTP/1.1 {reply.status} .", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def model_server(
    *replies: Reply, vector_of: Callable[[str], Sequence[float]] | None = None
) -> AsyncIterator[ModelServer]:
    """A model on a free port of this machine."""
    made = ModelServer(list(replies), vector_of)
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server:
        yield made
