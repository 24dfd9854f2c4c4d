"""Which packages an image needs, in the versions and with the hashes of the lock file.

What an image needs follows from what it imports, so nobody keeps a list: the imports of its code, the
packages that carry these, and whatever the lock file says that those need in turn.
"""

import platform
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import grimp
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from omoi.services import service_names

ROOT = Path(__file__).parents[1]
OURS = ("services", "shared", "omoi", "deploy")
TOOLS = ("migrate", "worker")
"""Images that carry the command line; the others carry one service."""
PROCESS = "process"
"""What all images have in common."""
PYTHON = "3.11"
ARCHITECTURES = {"arm64": "aarch64", "AMD64": "x86_64"}
ARCHITECTURE = ARCHITECTURES.get(platform.machine(), platform.machine())


def images() -> list[str]:
    """Names of all images."""
    return [*service_names(), *TOOLS]


@cache
def requirements(image: str) -> tuple[str, ...]:
    """A pinned and hashed line a package: all that `process` needs; of an image, what it needs beyond."""
    needed = _closure(_imported(image))
    if image != PROCESS:
        needed -= _closure(_imported(PROCESS))
    return tuple(line for name, line in _locked().items() if name in needed)


def _imported(image: str) -> set[str]:
    """The project's direct dependencies that the code of an image imports, at the top or in a function."""
    graph = _graph()
    roots = {
        PROCESS: {"omoi.process"},
        "migrate": {"omoi.cli"} | {name for name in graph.modules if name.startswith("services.")},
        "worker": {"omoi.cli"},
    }.get(image, {"omoi.process", f"services.{image}.service"})
    modules = {name.partition(".")[0] for name in _reached(roots)}
    carried = {
        canonicalize_name(distribution)
        for module in modules - set(OURS) - sys.stdlib_module_names
        for distribution in packages_distributions().get(module, ())
    }
    grouped = {"pytest", "coverage"} if image == "worker" else set()
    return carried & _direct().keys() | grouped


def _reached(roots: Iterable[str]) -> set[str]:
    """The modules that are imported when the roots are; a package, too, is run when a module of it is wanted.

    Not so the topmost ones: `omoi` imports the agents' kit, but only when somebody asks it for that.
    """
    graph = _graph()
    waiting = list(roots)
    found: set[str] = set()
    while waiting:
        if (module := waiting.pop()) not in found:
            found.add(module)
            package = module.rpartition(".")[0]
            waiting += graph.find_modules_directly_imported_by(module)
            waiting += [package] if "." in package else []
    return found


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(
        "services", "shared", "omoi",
        include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None,
    )  # fmt: skip


@cache
def _direct() -> Mapping[str, Requirement]:
    """The project's dependencies by name."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    return {canonicalize_name(one.name): one for one in map(Requirement, declared)}


def _closure(names: Iterable[str]) -> set[str]:
    """Packages, and all that the lock file says they need."""
    edges = _edges()
    waiting = [(name, extra) for name in names for extra in ("", *sorted(_extras(name)))]
    found: set[tuple[str, str]] = set()
    while waiting:
        if (package := waiting.pop()) not in found:
            found.add(package)
            waiting += edges.get(package, ())
    return {name for name, _ in found}


def _extras(name: str) -> set[str]:
    return _direct()[name].extras if name in _direct() else set()


@cache
def _edges() -> dict[tuple[str, str], list[tuple[str, str]]]:
    """What each package, or an extra of one, needs: packages and extras of them."""
    edges: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]:
        parts: dict[str, list[dict[str, Any]]] = {
            "": package.get("dependencies", []),
            **package.get("optional-dependencies", {}),
        }
        for extra, needs in parts.items():
            edges.setdefault((package["name"], extra), []).extend(
                (need["name"], part) for need in needs for part in ("", *need.get("extra", ()))
            )
    return edges


@cache
def _locked() -> dict[str, str]:
    """Every package that fits the images' Python -> its line with version and hashes."""
    exported = subprocess.run(
        [str(Path(sys.executable).with_name("uv")), "export", "--frozen", "--quiet", "--group", "examples",
         "--no-default-groups", "--no-emit-project", "--no-header", "--no-annotate"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    lines: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", exported.strip()):
        pinned, *hashes = entry.replace("\\\n", "\n").split("\n")
        requirement = Requirement(pinned.strip())
        if requirement.marker is None or requirement.marker.evaluate(_image_environment()):
            fixed = f"{requirement.name}{requirement.specifier}"
            lines[canonicalize_name(requirement.name)] = " ".join([fixed, *(line.strip() for line in hashes)])
    return lines


def _image_environment() -> dict[str, str]:
    """What the markers of the lock file are told of the images, whatever the machine that asks is."""
    return {
        "python_version": PYTHON,
        "python_full_version": f"{PYTHON}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": ARCHITECTURE,
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
