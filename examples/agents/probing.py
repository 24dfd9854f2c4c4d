"""Trying what nobody wrote down: texts that are no quantity, given to the functions that read quantities."""

import json
import os
import subprocess
import sys

from desk import Desk, GiveUp

NONSENSE = {
    "parse_duration": (
        "",
        "h",
        "1h 1h",
        "1h -5m",
        "1h 5",
        "1h!",
        "1h,",
        "1h 30m,",
        ", 1h",
        "1h,, 5m",
        "1 h 5 x",
    ),
    "parse_size": ("", "MiB", "1 MiB 1", "1 MiB!", "1 MiB,", "1 GiB, 512 MiB,", ", 1 MiB", "-1 MiB", "1 XB"),
}
"""None of these may be read; each function promises a ValueError for them."""

_TRY = """
import json, sys, textkit
function, read = getattr(textkit, sys.argv[1]), []
for text in json.loads(sys.argv[2]):
    try:
        function(text)
    except ValueError:
        continue
    read.append(text)
print(json.dumps(read))
"""


def misread(desk: Desk, function: str) -> list[str]:
    """The texts that a function of the worktree reads although it should not."""
    texts = json.dumps(NONSENSE[function])
    command = [sys.executable, "-B", "-c", _TRY, function, texts]
    env = {**os.environ, "PYTHONPATH": str(desk.tree / "src")}
    done = subprocess.run(command, cwd=desk.tree, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GiveUp(f"{function} could not be tried: {done.stderr.strip()}")
    return list(json.loads(done.stdout))
