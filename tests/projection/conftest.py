"""Databases with the projection's schema, each a copy of one that its migrations have made."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest

from shared.kernel.database import open_pool
from shared.kernel.schema import migrate
from shared.stack import Stack
from tests.projection.records import Records


@pytest.fixture(scope="session")
async def template(stack: Stack) -> str:
    """Name of the database that is copied."""
    name = f"projection_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(stack.database_url)
    await admin.execute(f'CREATE DATABASE "{name}"')
    await admin.close()
    await migrate(stack.database_url.replace("/omoi", f"/{name}", 1), ["projection"])
    return name


@asynccontextmanager
async def fresh(stack: Stack, template: str) -> AsyncIterator[Records]:
    """A projection that has heard nothing yet."""
    name = f"test_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(stack.database_url)
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    url = stack.database_url.replace("/omoi", f"/{name}", 1)
    try:
        async with await open_pool(url, "projection") as pool:
            yield Records(url, pool)
    finally:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()


@pytest.fixture
async def records(stack: Stack, template: str) -> AsyncIterator[Records]:
    """A projection that has heard nothing yet."""
    async with fresh(stack, template) as made:
        yield made


@pytest.fixture
async def others(stack: Stack, template: str) -> AsyncIterator[Records]:
    """Another one, to compare with."""
    async with fresh(stack, template) as made:
        yield made
