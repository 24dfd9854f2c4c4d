"""Every service gets its own credentials and nobody else's."""

from pathlib import Path
from urllib.parse import urlsplit

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
from typer.testing import CliRunner

from deploy.k8s.__main__ import app
from deploy.k8s.secrets import secrets
from deploy.k8s.workload import workloads
from omoi.credentials import Credentials, CredentialsProblem, complete, read
from omoi.permissions import users
from omoi.services import service_names
from shared.kernel.database import role_of
from tests.deploy.rendered import documents
from tests.deploy.test_rendering import KUBERNETES

NAMES = service_names()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Credentials of all services, and of an agent."""
    made = tmp_path / "credentials.json"
    complete(made, [*NAMES, "ann"], NAMES)
    return made


def test_each_secret_names_the_user_and_the_role_of_its_service(file: Path) -> None:
    found = {secret["metadata"]["name"]: secret["stringData"] for secret in secrets(workloads(), read(file))}
    assert set(found) == {f"omoi-{name}" for name in NAMES}
    for name in NAMES:
        mine = found[f"omoi-{name}"]
        assert urlsplit(mine["nats-url"]).username == name
        assert urlsplit(mine["database-url"]).username == mine["username"] == role_of(name)
        assert urlsplit(mine["database-url"]).password == mine["password"]
    assert {user.name for user in users(read(file).nats)} >= set(NAMES)


def test_no_secret_holds_the_password_of_another_service(file: Path) -> None:
    held = read(file)
    for secret in secrets(workloads(), held):
        name = secret["metadata"]["name"].removeprefix("omoi-")
        others = {password for passwords in (held.nats, held.postgres) for password in passwords.values()}
        others -= {held.nats[name], held.postgres[name]}
        assert not [password for password in others if password in str(secret)]


def test_credentials_without_a_service_are_refused(file: Path) -> None:
    held = read(file)
    lacking = Credentials(held.nats, {name: held.postgres[name] for name in NAMES if name != "phase"})
    with pytest.raises(CredentialsProblem, match="phase"):
        list(secrets(workloads(), lacking))


def test_what_is_printed_can_be_applied(file: Path) -> None:
    found = documents(CliRunner().invoke(app, ["secrets", str(file)]).stdout)
    assert len(found) == len(NAMES)
    for secret in found:
        kubernetes_validate.validate(secret, KUBERNETES, strict=True)
