"""Where the servers of a test run come from: embedded ones, containers, or ones that run already."""

import os
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from shared.stack import Stack

Kind = Literal["embedded", "containers", "external"]
POSTGRES_IMAGE = os.environ.get("OMOI_TEST_POSTGRES_IMAGE", "pgvector/pgvector:pg18")
NATS_IMAGE = os.environ.get("OMOI_TEST_NATS_IMAGE", "nats:2.12")


class Servers(Protocol):
    """A Postgres whose user may make databases and roles, and a NATS with JetStream."""

    @property
    def database_url(self) -> str:
        """Address of a database."""

    def nats_url(self, user: str = "operator") -> str:
        """Address of the broker, with the credentials of a user."""


@dataclass(frozen=True)
class Named:
    """Servers that somebody else runs."""

    database_url: str
    nats: str

    def nats_url(self, _: str = "operator") -> str:
        """The one address there is."""
        return self.nats


@asynccontextmanager
async def servers(kind: Kind, folder: Path) -> AsyncIterator[Servers]:
    """The servers of a run; those it started are gone afterwards."""
    match kind:
        case "embedded":
            async with await Stack.start(folder / "home") as stack:
                yield stack
        case "containers":
            async with _containers() as started:
                yield started
        case "external":
            yield Named(os.environ["OMOI_DATABASE_URL"], os.environ["OMOI_NATS_URL"])


@asynccontextmanager
async def _containers() -> AsyncIterator[Named]:
    """Postgres with pgvector and NATS in containers; needs a Docker engine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # testcontainers uses what it has deprecated itself
        from testcontainers.community.nats import NatsContainer
        from testcontainers.community.postgres import PostgresContainer

    with (
        PostgresContainer(POSTGRES_IMAGE, driver=None) as postgres,
        NatsContainer(NATS_IMAGE, jetstream=True) as broker,
    ):
        yield Named(postgres.get_connection_url(), broker.nats_uri())
