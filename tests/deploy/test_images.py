"""What the images promise: no root, a process that hears SIGTERM, and its own word on its health."""

import json
import re

import pytest

from deploy.requirements import ROOT

DOCKERFILE = re.sub(r"\\\n", " ", (ROOT / "deploy" / "Dockerfile").read_text("utf-8"))
STAGES = {stage.split("\n")[0].split()[-1]: stage for stage in re.split(r"\nFROM ", DOCKERFILE)[1:]}
IMAGES = ("service", "migrate", "worker")


def instruction(stage: str, name: str) -> str:
    """What stands behind an instruction of a stage, the last time it is given."""
    found = re.findall(rf"^{name} (.+)$", STAGES[stage], re.MULTILINE)
    assert found, f"{stage} has no {name}"
    last: str = found[-1]
    return last


@pytest.mark.parametrize("stage", IMAGES)
def test_an_image_runs_under_a_number_that_is_not_root(stage: str) -> None:
    user, _, group = instruction(stage, "USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0


@pytest.mark.parametrize("stage", IMAGES)
def test_no_shell_stands_between_docker_and_the_process(stage: str) -> None:
    assert json.loads(instruction(stage, "ENTRYPOINT"))


def test_the_example_worker_becomes_the_worker() -> None:
    script = (ROOT / "deploy" / "example-worker").read_text("utf-8")
    assert script.rstrip().rpartition("\n")[2].startswith("exec omoi worker ")


def test_a_service_is_asked_whether_it_is_ready() -> None:
    command = json.loads(instruction("service", "HEALTHCHECK").partition("CMD ")[2])
    assert command[-1] == "/opt/ready.py"
    assert '"/readyz"' in (ROOT / "deploy" / "ready.py").read_text("utf-8")


def test_base_images_are_arguments_and_name_no_registry() -> None:
    bases = re.findall(r"^ARG (?:WORKER_)?BASE_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert bases
    assert not [base for base in bases if "/" in base]
    assert all(
        re.match(r"\$\{(WORKER_)?BASE_IMAGE\}|own|process", stage.split()[0]) for stage in STAGES.values()
    )
