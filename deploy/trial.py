"""Try the system in containers: a ticket to DONE, then every container killed in turn, and nothing is lost.

`python -m deploy.trial COMPOSE...` with the words that start compose here, such as `docker compose`. It uses
a project, networks and a port of its own and takes everything away again, but for the images.
"""

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from uuid import uuid4

from deploy import credentials
from deploy.containers import PROJECT, Containers, docker, free_port
from deploy.requirements import ROOT
from omoi.services import service_names
from omoi.ticket_file import read_ticket
from shared.client import Client
from shared.contracts.phase import GetTicket, OpenTicket, Transition
from shared.stack import OPERATOR

DONE = "PHASE_DONE"
START_SECONDS = 420.0
TICKET_SECONDS = 600.0
SETTLE_SECONDS = 180.0
TICKETS = ("examples/ticket.md", "examples/second-ticket.md")

LOG = """
SELECT '{0}', count(*), coalesce(max(position), 0),
       coalesce(md5(string_agg(id::text || data::text, ',' ORDER BY position)), '')
FROM {0}.events WHERE position <= {1}"""


@dataclass(frozen=True)
class Log:
    """What a service has committed, up to a position."""

    events: int
    position: int
    digest: str


class Trial:
    """One run, told line by line."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._began = monotonic()
        self._opened: dict[str, int] = {}

    async def run(self) -> None:
        """Everything, in order; the first thing that is wrong raises."""
        self._build()
        self._containers.compose("up", "--detach", "--no-build", seconds=START_SECONDS)
        names = self._containers.names()
        self._containers.until_healthy(names, START_SECONDS)
        self._tell(f"{len(names)} containers are up and well")
        url = credentials.operator_url(self._containers.secrets, f"127.0.0.1:{self._containers.port}")
        async with await Client.connect(url, OPERATOR) as client:
            await self._take_through(client, TICKETS[0])
            for name in names:
                await self._outlive(client, name)
            await self._take_through(client, TICKETS[1])
            await self._every_ticket_once(client)
        self._stop(names)

    def _build(self) -> None:
        self._containers.compose("build", "--quiet", seconds=1800)
        self._tell("images built without network")
        sizes = docker("image", "ls", "--format", "{{.Repository}} {{.Size}}", "omoios/*")
        for line in sorted(sizes.splitlines()):
            self._tell(f"  {line}")

    async def _take_through(self, client: Client, file: str) -> None:
        """A ticket from opening to DONE; the worker in its container does the work."""
        began = monotonic()
        opened = await client.ask(read_ticket(ROOT / file))
        ticket_id = opened.accepted().result["ticket_id"]
        (await client.ask(Transition(ticket_id=ticket_id, to_phase="PHASE_REQUIREMENTS"))).accepted()
        phase = ""
        while phase != DONE:
            if monotonic() - began > TICKET_SECONDS:
                logs = self._containers.compose("logs", "--tail", "60", "worker")
                raise TimeoutError(f"{file} is in {phase} after {TICKET_SECONDS:g} s\n{logs}")
            await asyncio.sleep(0.5)
            phase = (await client.query(GetTicket(ticket_id=ticket_id)))["phase_id"]
        self._tell(f"{file} is DONE, {monotonic() - began:.0f} s after it was opened")

    async def _outlive(self, client: Client, name: str) -> None:
        """Kill a container while commands come, start it again: what was said before is still so."""
        before = self._logs()
        asked, command_id = self._ticket(f"Asked before {name} was killed"), str(uuid4())
        answer = (await client.ask(asked, command_id=command_id)).accepted()
        container = self._containers.id(name)
        docker("kill", "--signal", "KILL", container)
        began = monotonic()
        if name != "nats":  # which alone promises to keep a command
            await client.send(self._ticket(f"Sent while {name} was dead"))
        docker("start", container)
        # Beside the loop, in which the client has to notice that its connection is gone.
        await asyncio.to_thread(self._containers.until_healthy, [name], SETTLE_SECONDS)
        well_after = monotonic() - began
        again = await client.ask(asked, command_id=command_id)
        assert again.raw == answer.raw, f"the answered command is answered otherwise now: {again.raw}"
        after = self._logs({service: log.position for service, log in before.items()})
        assert after == before, f"killing {name} changed what was committed: {before} is now {after}"
        await self._until_published(client)
        events = sum(log.events for log in self._logs().values())
        self._tell(f"{name:<14} killed, well again after {well_after:4.1f} s; {events} events, none lost")

    async def _every_ticket_once(self, client: Client) -> None:
        """Each ticket that was asked for or sent was opened once, also in the read model."""
        titles = await self._until_opened()
        assert titles == self._opened, f"opened: {titles}; asked for: {self._opened}"
        read = self._containers.sql("SELECT count(*) FROM projection.tickets")
        expected = len(self._opened) + len(TICKETS)
        assert read == [[str(expected)]], f"the projection has {read} tickets, there are {expected}"
        self._tell(f"{len(titles)} tickets asked for or sent around the kills, each opened once")

    async def _until_opened(self) -> Mapping[str, int]:
        deadline = monotonic() + SETTLE_SECONDS
        while True:
            rows = self._containers.sql(
                "SELECT data->>'title', count(*) FROM phase.events WHERE type = 'phase.ticket_opened'"
                " AND data->>'title' ~ 'killed$|dead$' GROUP BY 1"
            )
            titles = {title: int(count) for title, count in rows}
            if len(titles) >= len(self._opened) or monotonic() > deadline:
                return titles
            await asyncio.sleep(0.5)

    async def _until_published(self, client: Client) -> None:
        """The broker holds every event that is committed, and none twice."""
        deadline = monotonic() + SETTLE_SECONDS
        while True:
            held = (await client.connection.jetstream().stream_info("EVENTS")).state.messages
            committed = sum(log.events for log in self._logs().values())
            if held == committed:
                return
            assert monotonic() < deadline, f"{committed} events are committed, the broker holds {held}"
            await asyncio.sleep(0.5)

    def _ticket(self, title: str) -> OpenTicket:
        self._opened[title] = 1
        return OpenTicket(title=title)

    def _logs(self, positions: Mapping[str, int] | None = None) -> dict[str, Log]:
        """The log of every service, whole or up to a position."""
        last = str(2**62)
        parts = [LOG.format(name, (positions or {}).get(name, last)) for name in service_names()]
        rows = self._containers.sql(" UNION ALL ".join(parts))
        return {name: Log(int(count), int(position), digest) for name, count, position, digest in rows}

    def _stop(self, names: list[str]) -> None:
        """SIGTERM reaches every process of ours, and each ends in order while the servers still run."""
        ours = [name for name in names if name not in ("nats", "postgres")]
        self._containers.compose("stop", *ours, seconds=180)
        codes = {name: self._containers.state(name)["ExitCode"] for name in ours}
        wrong = {name: code for name, code in codes.items() if code != 0}
        assert not wrong, f"ended otherwise than in order: {wrong}"
        self._tell("stopped in order")

    def _tell(self, line: str) -> None:
        sys.stdout.write(f"{monotonic() - self._began:6.0f} s  {line}\n")
        sys.stdout.flush()


def main(command: list[str]) -> None:
    """Make a project of its own, try it, take it away."""
    with tempfile.TemporaryDirectory(prefix=f"{PROJECT}-") as folder:
        containers = Containers(command, Path(folder), free_port())
        credentials.write(containers.secrets)
        try:
            asyncio.run(Trial(containers).run())
        except BaseException:
            sys.stdout.write(containers.compose("logs", "--no-color", "--tail", "15"))
            raise
        finally:
            containers.compose("down", "--volumes", "--remove-orphans", "--timeout", "10")


if __name__ == "__main__":
    main(sys.argv[1:])
