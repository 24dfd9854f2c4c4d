"""An agent in Python: it does the tasks that need a greeting, says how far it is, and prints what happens.

In the folder of OmoiOS start `omoi up` in one terminal, this in a second one (`python examples/greeter.py`),
and type in a third one:

    omoi workflow load examples/greeting.yaml
    omoi ticket open 'Ann' --workflow greeting

The agent prints how it greets Ann, and the ticket goes on to PHASE_DONE. Ctrl-C ends it.
"""

import asyncio
from pathlib import Path

from omoi import Agent, Brief, Permanent

agent = Agent("greeter-1", capabilities=["greeting"], concurrency=2)


@agent.task("greet")
async def greet(brief: Brief) -> dict[str, object]:
    """Greet whom the ticket names."""
    name = brief.ticket.title.strip()
    if not name:
        raise Permanent("A ticket without a title cannot be greeted.")
    for percent in (0, 50, 100):
        print(f"Greeting {name}: {percent} %", flush=True)
        brief.work.progress(f"greeting {name}", percent)
        await asyncio.sleep(0.01)
    if brief.work.worktree:
        Path(brief.work.worktree, "GREETING.md").write_text(f"Hello, {name}!\n")
    brief.work.submit("greeting", f"Hello, {name}!", path="GREETING.md")
    print(f"Hello, {name}! ({brief.task.phase_id} of ticket {brief.ticket.ticket_id})", flush=True)
    return {"summary": f"Greeted {name} in {brief.task.phase_id}."}


if __name__ == "__main__":
    print("greeter-1 waits for tasks that need a greeting.", flush=True)
    agent.run_forever()
