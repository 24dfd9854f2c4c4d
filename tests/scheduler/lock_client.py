"""A client of locks as a process of its own, for tests that kill it: lock_client.py NATS_URL NAME SECONDS."""

import asyncio
import sys
from random import Random
from time import monotonic
from typing import Any
from uuid import uuid4

import nats
import orjson
from nats.aio.client import Client
from nats.errors import Error

from shared.kernel import wire

KEYS = ("src/a.py", "src/b.py", "src/c.py")
FINAL = {"lock_held", "lock_deadlock", "not_lock_owner"}
PATIENCE_SECONDS = 20


async def ask(client: Client, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """The final answer; the same command is asked again while the scheduler is away."""
    command_id, until = str(uuid4()), monotonic() + PATIENCE_SECONDS * 2
    while monotonic() < until:
        try:
            reply = await client.request(
                f"ask.scheduler.{name}", orjson.dumps(body), timeout=8, headers={wire.CE_ID: command_id}
            )
        except Error:
            await asyncio.sleep(0.2)
            continue
        answer: dict[str, Any] = orjson.loads(reply.data)
        if answer["ok"] or answer["code"] in FINAL:
            return answer
        await asyncio.sleep(0.2)
    raise RuntimeError(f"no answer to {name} {body}")


async def work(client: Client, name: str, seconds: float) -> None:
    """Acquire, hold, extend and release, again and again; says what came of each request."""
    chance, until, number = Random(name), monotonic() + seconds, 0
    while monotonic() < until:
        number += 1
        keys = chance.sample(KEYS, chance.choice([1, 1, 2]))
        mode = chance.choice(["shared", "exclusive", "exclusive"])
        task = {"task_id": f"{name}-{number}", "agent_id": name}
        wishes = [{"resource_key": key, "mode": mode} for key in keys]
        patience = {"ttl_seconds": 5, "wait_seconds": chance.choice([0, 1, 6])}
        answer = await ask(client, "acquire_locks", {**task, **patience, "resources": wishes})
        said(f"{task['task_id']} {'granted' if answer['ok'] else answer['code']}")
        if answer["ok"]:
            await asyncio.sleep(chance.uniform(0, 0.03))
            for key in keys:
                if chance.random() < 0.3:
                    await ask(client, "extend_lock", {**task, "resource_key": key, "ttl_seconds": 5})
                await ask(client, "release_lock", {**task, "resource_key": key})


def said(line: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(nats_url: str, name: str, seconds: str) -> None:
    """Work for so long."""
    client = await nats.connect(nats_url)
    said("ready")
    await work(client, name, float(seconds))
    said("done")
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
