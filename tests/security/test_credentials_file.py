"""The file of passwords, and what is made of it on the command line."""

import json
import re
import subprocess
from pathlib import Path

import bcrypt
import pytest
from typer.testing import CliRunner, Result

from omoi.cli import app
from omoi.services import service_names
from shared.stack import stable_passwords
from shared.stack.binaries import nats_server


def omoi(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "secrets" / "credentials.json"
    assert omoi("credentials", "create", made, "--agent", "ann").exit_code == 0
    return made


def held(file: Path) -> dict[str, dict[str, str]]:
    told: dict[str, dict[str, str]] = json.loads(file.read_text())
    return told


def test_it_has_a_password_for_everybody_and_is_its_owners_only(file: Path) -> None:
    assert set(held(file)["nats"]) >= {"operator", "ann", *service_names()}
    assert set(held(file)["postgres"]) == set(service_names())
    passwords = [*held(file)["nats"].values(), *held(file)["postgres"].values()]
    assert len(set(passwords)) == len(passwords)
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_is_there_stays_and_what_is_missing_comes(file: Path) -> None:
    before = held(file)
    assert omoi("credentials", "create", file, "--agent", "bob").exit_code == 0
    after = held(file)
    assert after["nats"].pop("bob")
    assert after == before
    assert "nothing was missing" in omoi("credentials", "create", file).output


def test_one_password_is_renewed_at_a_time(file: Path) -> None:
    before = held(file)
    assert omoi("credentials", "create", file, "--rotate", "phase").exit_code == 0
    after = held(file)
    changed = {name for name, password in after["nats"].items() if password != before["nats"][name]}
    assert changed == {"phase"}
    assert after["postgres"]["phase"] != before["postgres"]["phase"]
    assert after["postgres"]["board"] == before["postgres"]["board"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--agent", "phase"), "phase is taken"),
        (("--agent", "operator"), "operator is taken"),
        (("--agent", "with.dots"), "1 to 64 letters"),
        (("--rotate", "nobody"), "names no nobody"),
    ],
)
def test_names_that_cannot_be_are_refused(file: Path, arguments: tuple[str, ...], said: str) -> None:
    before = held(file)
    refused = omoi("credentials", "create", file, *arguments)
    assert (refused.exit_code, held(file)) == (1, before)
    assert said in refused.output


def test_urls_carry_the_credentials_of_one_user(file: Path) -> None:
    nats, postgres = held(file)["nats"], held(file)["postgres"]
    where = (
        "--credentials",
        file,
        "--nats",
        "one:4222,two:4222",
        "--database",
        "db:5432/omoi?sslmode=require",
    )
    assert omoi("credentials", "url", "phase", *where).output.splitlines() == [
        f"OMOI_NATS_URL=nats://phase:{nats['phase']}@one:4222,nats://phase:{nats['phase']}@two:4222",
        f"OMOI_DATABASE_URL=postgresql://omoi_phase:{postgres['phase']}@db:5432/omoi?sslmode=require",
    ]
    assert omoi("credentials", "url", "ann", *where[:4]).output.startswith("OMOI_NATS_URL=nats://ann:")
    unknown = omoi("credentials", "url", "bob", *where)
    assert (unknown.exit_code, "--agent bob" in unknown.output) == (1, True)


def test_the_configuration_holds_hashes_and_no_passwords(file: Path) -> None:
    printed = omoi("nats-config", "--credentials", file).output
    for user, password in held(file)["nats"].items():
        assert password not in printed, user
    hashes = dict(re.findall(r'user: "([\w-]+)", password: "([^"]+)"', printed))
    assert bcrypt.checkpw(held(file)["nats"]["phase"].encode(), hashes["phase"].encode())
    assert set(hashes) == {"operator", "ann", *service_names()}


@pytest.mark.parametrize("content", ["", "[]", '{"nats": {}}', '{"nats": 1, "postgres": {}}'])
def test_a_file_that_holds_no_credentials_is_told_from_one_that_does(tmp_path: Path, content: str) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text(content)
    refused = omoi("nats-config", "--credentials", broken)
    assert refused.exit_code == 1
    assert "is no file of credentials" in refused.output


def test_without_a_file_the_configuration_names_variables_for_the_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMOI_HOME", str(tmp_path))
    printed = omoi("nats-config")
    assert printed.exit_code == 0
    for name in ("operator", *service_names()):
        assert f'user: "{name}", password: $OMOI_NATS_PASSWORD_{name.upper()}' in printed.output
    configuration = tmp_path / "nats.conf"
    configuration.write_text(printed.output)
    passwords = {f"OMOI_NATS_PASSWORD_{name.upper()}": f"secret-{name}" for name in service_names()}
    checked = subprocess.run(
        [nats_server(), "-t", "-c", str(configuration)],
        env=passwords | {"OMOI_NATS_PASSWORD_OPERATOR": "secret"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_without_a_file_the_users_of_the_home_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMOI_HOME", str(tmp_path))
    passwords = stable_passwords(tmp_path, ["operator", "anonymous", *service_names()])
    printed = omoi("nats-config").output
    assert [name for name in passwords if f'user: "{name}"' in printed] == ["operator", *service_names()]
    assert not [password for password in passwords.values() if password in printed]


@pytest.mark.parametrize("name", ["*", "ann.>", ">", ""])
def test_a_name_in_the_file_that_would_be_every_name_is_refused(file: Path, name: str) -> None:
    told = held(file)
    told["nats"][name] = "secret"
    file.write_text(json.dumps(told))
    refused = omoi("nats-config", "--credentials", file)
    assert refused.exit_code == 1
    assert "can be nobody's name" in " ".join(refused.output.split())


def test_a_file_from_before_a_service_came_says_so(file: Path) -> None:
    told = held(file)
    del told["nats"]["guardian"]
    file.write_text(json.dumps(told))
    refused = omoi("nats-config", "--credentials", file)
    assert refused.exit_code == 1
    assert "lack guardian" in refused.output
    missing = omoi("nats-config", "--credentials", file.with_name("nowhere.json"))
    assert "omoi credentials create" in missing.output
