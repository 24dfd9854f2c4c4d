"""Lay ready in `deploy/wheelhouse` what the images are built from, so that a build needs no network.

`python -m deploy.wheels`: the wheels that the lock file names, for Linux whatever this machine is, a list of
requirements for each image, and OmoiOS itself as a wheel.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.requirements import ARCHITECTURE, PROCESS, PYTHON, ROOT, images, requirements

WHEELHOUSE = ROOT / "deploy" / "wheelhouse"
OLDEST_LIBC, NEWEST_LIBC = 5, 36
"""Of glibc 2.x; the base images are Debian 12 or newer."""


def fill(wheelhouse: Path) -> None:
    """Make the wheelhouse anew; what was downloaded before is taken from pip's cache."""
    shutil.rmtree(wheelhouse, ignore_errors=True)
    wheelhouse.mkdir()
    lists = {name: requirements(name) for name in (PROCESS, *images())}
    for name, lines in lists.items():
        (wheelhouse / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    everything = wheelhouse / "everything.txt"
    everything.write_text(
        "".join(sorted({f"{line}\n" for lines in lists.values() for line in lines})), "utf-8"
    )
    _pip("download", "--require-hashes", "--no-deps", *_for_linux(), "--dest", wheelhouse, "-r", everything)
    everything.unlink()
    _pip("wheel", "--no-deps", "--wheel-dir", wheelhouse, ROOT)


def _for_linux() -> Sequence[str]:
    tags = [f"manylinux_2_{minor}_{ARCHITECTURE}" for minor in range(OLDEST_LIBC, NEWEST_LIBC + 1)]
    older = [f"manylinux{name}_{ARCHITECTURE}" for name in ("2014", "2010", "1")]
    platforms = [option for tag in (*tags, *older) for option in ("--platform", tag)]
    return ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}", *platforms]


def _pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    fill(WHEELHOUSE)
