"""Commands over the wire, against the real database and the real broker."""

from shared.testing.world import World
from tests.kernel import till


async def test_an_asked_command_is_answered_with_its_events(a_world: World) -> None:
    await a_world.install(till.till, tables=[till.metadata])
    async with a_world.running(till.till):
        answer = await a_world.ask("till.open_till", {"till_id": "t1"}, command_id="c1")
        assert answer == {
            "ok": True,
            "command_id": "c1",
            "result": {"till_id": "t1", "coins": 0},
            "events": [{"type": "till.opened", "stream": "till-t1", "version": 1, "position": 1}],
        }
        assert (await a_world.query("till.get_till", {"till_id": "t1"}))["result"] == {
            "till_id": "t1",
            "coins": 0,
        }
        [message] = await a_world.events(1)
        assert message.subject == "evt.till.opened.t1"
