"""Lay ready in `deploy/wheelhouse` what the images are built from, so that a build needs no network.

`python -m deploy.wheels`: the wheels that the lock file names, for Linux whatever this machine is, a list of
requirements for each image, and OmoiOS itself as a wheel.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.requirements import ARCHITECTURE, PROCESS, PYTHON, ROOT, images, requirements

WHEELHOUSE = ROOT / "deploy" / "wheelhouse"
OLDEST_LIBC, NEWEST_LIBC = 5, 36
"""Of glibc 2.x; the base images are Debian 12 or newer."""


def fill(wheelhouse: Path) -> None:
    """Make the wheelhouse anew; what was downloaded before is taken from pip's cache.

    What all images share is a folder of its own: its layer stays the same as long as the lock file does.
    """
    shutil.rmtree(wheelhouse, ignore_errors=True)
    process, own = wheelhouse / "process", wheelhouse / "own"
    _pip("wheel", "--no-deps", "--wheel-dir", own, ROOT)
    (omoios,) = own.glob("*.whl")
    _download(process, {PROCESS: requirements(PROCESS)})
    _download(own, {image: (*requirements(image), _hashed(omoios)) for image in images()})


def _download(folder: Path, lists: Mapping[str, Sequence[str]]) -> None:
    folder.mkdir(exist_ok=True)
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    every = [option for name in lists for option in ("--requirement", folder / f"{name}.txt")]
    where = ("--find-links", folder, "--dest", folder)
    _pip("download", "--require-hashes", "--no-deps", *_for_linux(), *where, *every)


def _hashed(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


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
