"""Own the stack of a home until killed; Ctrl-C is ignored, so that only the servers can fall for it."""

import asyncio
import signal
import sys
from pathlib import Path

from shared.stack import Stack


async def own(home: Path) -> None:
    """Run the stack and say when it answers."""
    async with await Stack.start(home):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(own(Path(sys.argv[1])))
