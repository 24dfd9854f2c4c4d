"""Giving commands on either lane."""

from typing import Any, Literal

import nats.js.errors

from shared.testing.world import World

Lane = Literal["ask", "cmd"]
LANES: tuple[Lane, ...] = ("ask", "cmd")


async def give(world: World, lane: Lane, name: str, body: Any = None, **how: Any) -> dict[str, Any]:
    """Send a command on a lane and wait for its answer."""
    return await (world.ask if lane == "ask" else world.tell)(name, body, **how)


async def last_dead(world: World) -> Any:
    """The newest dead letter, if there is one."""
    try:
        return await world.client.jetstream().get_last_msg("DEAD", "dead.>")
    except nats.js.errors.NotFoundError:
        return None


async def queue_is_empty(world: World) -> bool:
    """Whether every durable command is settled."""
    return (await world.client.jetstream().stream_info("COMMANDS")).state.messages == 0
