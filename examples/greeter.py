"""An agent in Python: it answers every documentation task with a greeting, and says how far it is.

Start `omoi up`, then this, then `omoi ticket open 'Say hello' --workflow documentation`.
"""

import asyncio
from pathlib import Path

from omoi import Agent, Brief, Permanent

agent = Agent("greeter-1", concurrency=2)


@agent.task()
async def anything(brief: Brief) -> dict[str, object]:
    """Do what no other function is for."""
    name = brief.ticket.title.strip()
    if not name:
        raise Permanent("A ticket without a title cannot be greeted.")
    for percent in (0, 50, 100):
        brief.work.progress(f"greeting {name}", percent)
        await asyncio.sleep(0.01)
    if brief.work.worktree:
        Path(brief.work.worktree, "GREETING.md").write_text(f"Hello, {name}!\n")
    brief.work.submit("greeting", f"Hello, {name}!", path="GREETING.md")
    return {"summary": f"Greeted {name} in {brief.task.phase_id}."}


if __name__ == "__main__":
    agent.run_forever()
