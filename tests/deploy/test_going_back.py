"""What docs/operations.md says to do when durable commands are lost brings back what reactions had sent."""

from pathlib import Path

from shared.kernel.ending import end_all
from shared.testing.world import World, until
from tests.kernel import ear, till
from tests.kernel.ledger import heard_all, log
from tests.kernel.load import final, open_all, payments, press

GUIDE = Path(__file__).parents[2] / "docs/operations.md"


async def go_back(world: World) -> None:
    """Run the statement of the guide as psql would: its rows are statements."""
    _, _, behind = GUIDE.read_text("utf-8").partition("    SELECT format(")
    query = "SELECT format(" + behind.partition("\\gexec")[0]
    for row in await world.fetch(query):
        await world.execute(row["format"])


async def test_commands_of_reactions_that_were_lost_are_sent_again_and_none_takes_effect_twice(
    a_world: World,
) -> None:
    await a_world.install(till.till, tables=[till.metadata])
    await a_world.install(ear.ear)

    async def all_heard() -> bool:
        return await heard_all(a_world)

    async def all_reacted() -> bool:
        [mark] = await a_world.fetch("SELECT position FROM ear.checkpoints WHERE consumer = 'reactions'")
        return bool(mark["position"] == len(await log(a_world)))

    async with a_world.running(till.till, ear.ear) as [_, hearing]:
        await open_all(a_world, ["a", "b"])
        final(await press(a_world, payments(20, ["a", "b"], "decided")))
        await until(all_heard, 30)
        [taking] = [task for task in hearing._tasks if task.get_name() == "durable"]
        await end_all([taking])
        final(await press(a_world, payments(20, ["a", "b"], "lost")))
        await until(all_reacted, 30)
        await a_world.client.jetstream().delete_stream("COMMANDS")
    assert not await all_heard()
    await go_back(a_world)
    async with a_world.running(till.till, ear.ear):
        await until(all_heard, 30)
