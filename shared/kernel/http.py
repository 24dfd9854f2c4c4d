"""Health, metrics and AsyncAPI pages of the services in a process, over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared.kernel.asyncapi import document
from shared.kernel.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared.kernel.runtime import Runtime

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
JSON = "application/json"


class Pages:
    """The ASGI application: `/livez`, `/readyz`, `/metrics`, `/asyncapi/SERVICE`."""

    def __init__(self, runtimes: Sequence["Runtime"], metrics: Metrics) -> None:
        self._runtimes = {runtime.service.name: runtime for runtime in runtimes}
        self._metrics = metrics

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, kind, body = await self._page(scope["path"])
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode())]}
        )
        await send({"type": "http.response.body", "body": body})

    async def _page(self, path: str) -> tuple[int, str, bytes]:
        if path == "/livez":
            lost = any(runtime.vitals.is_lost() for runtime in self._runtimes.values())
            return (503 if lost else 200), JSON, orjson.dumps({"alive": not lost})
        if path == "/readyz":
            health = [runtime.health() for runtime in self._runtimes.values()]
            ready = all(one["ready"] for one in health)
            return (200 if ready else 503), JSON, orjson.dumps({"ready": ready, "services": health})
        if path == "/metrics":
            await asyncio.gather(*(runtime.vitals.read() for runtime in self._runtimes.values()))
            return 200, CONTENT_TYPE_LATEST, generate_latest(self._metrics.registry)
        runtime = self._runtimes.get(path.removeprefix("/asyncapi/"))
        if runtime is not None:
            return 200, JSON, orjson.dumps(document(runtime.service))
        pages = ["/livez", "/readyz", "/metrics", *(f"/asyncapi/{name}" for name in self._runtimes)]
        return 404, JSON, orjson.dumps({"pages": pages})


@asynccontextmanager
async def serving(pages: Pages, host: str, port: int) -> "AsyncIterator[None]":
    """Serve the pages while the block runs."""
    server = uvicorn.Server(uvicorn.Config(pages, host=host, port=port, log_level="warning", lifespan="off"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # the owner of the process decides
    task = asyncio.create_task(server._serve())
    try:
        yield
    finally:
        server.should_exit = True
        await task
