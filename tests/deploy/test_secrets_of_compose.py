"""Each container is given the passwords of its own users, and nobody else may read them."""

from pathlib import Path

import pytest

from deploy import credentials
from omoi.credentials import read
from omoi.services import service_names


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    credentials.write(folder)
    return folder


def test_only_its_owner_enters_the_folder(folder: Path) -> None:
    assert folder.stat().st_mode & 0o077 == 0
    open_to_others = {file.name for file in folder.iterdir() if file.stat().st_mode & 0o077}
    assert open_to_others == {"nats.conf"}


def test_a_service_is_told_its_own_passwords_only(folder: Path) -> None:
    held = read(folder / "credentials.json")
    for service in (*service_names(), credentials.AGENT):
        told = (folder / f"{service}.env").read_text("utf-8")
        own = {held.nats[service], held.postgres.get(service, held.nats[service])}
        every = {*held.nats.values(), *held.postgres.values()}
        assert {password for password in every if password in told} == own


def test_the_brokers_configuration_names_every_user_and_no_password(folder: Path) -> None:
    text = (folder / "nats.conf").read_text("utf-8")
    held = read(folder / "credentials.json")
    assert all(f'user: "{service}"' in text for service in service_names())
    assert not [user for user in service_names() if held.nats[user] in text]


def test_writing_again_changes_no_password(folder: Path) -> None:
    before = {file.name: file.read_text("utf-8") for file in folder.glob("*.env")}
    credentials.write(folder)
    assert {file.name: file.read_text("utf-8") for file in folder.glob("*.env")} == before
