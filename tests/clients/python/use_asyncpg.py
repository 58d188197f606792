"""asyncpg: prepares every statement, and has its own placeholders."""

# docs: begin
import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg


async def no_reset(connection: asyncpg.Connection) -> None:
    """Through the pooler there is no session of yours to reset; asyncpg's own would cost a round trip each time."""


def make_pool() -> asyncpg.Pool:
    return asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=50, reset=no_reset)


@asynccontextmanager
async def as_tenant(pool: asyncpg.Pool, tenant: Any) -> AsyncIterator[asyncpg.Connection]:
    """One transaction that sees and writes the rows of this tenant, and no others."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT app.set_tenant($1)", tenant)
        yield connection


async def list_tags(pool: asyncpg.Pool, tenant: Any) -> list[asyncpg.Record]:
    async with as_tenant(pool, tenant) as connection:
        return await connection.fetch(
            "SELECT n.body, t.label FROM client_notes AS n JOIN client_tags AS t ON t.note_id = n.id"
        )


# docs: end

import re

from load import ADD_NOTE, ADD_TAG, FOREIGN, NOTES, load_async


def numbered(statement: str) -> str:
    numbers = iter(range(1, 9))
    return re.sub("%s", lambda _: f"${next(numbers)}", statement)


async def main() -> None:
    async with make_pool() as pool:

        async def work(tenant: Any, body: str) -> Any:
            async with as_tenant(pool, tenant) as connection:
                note = await connection.fetchval(numbered(ADD_NOTE), tenant, body)
                await connection.execute(numbered(ADD_TAG), tenant, note, "new")
                notes = await connection.fetch(NOTES)
                return [tuple(row) for row in notes], await connection.fetchval(numbered(FOREIGN), tenant)

        async def raw(*statements: str) -> None:
            async with pool.acquire() as connection, connection.transaction():
                for statement in statements:
                    await connection.execute(statement)

        await load_async(work, lambda tenant: list_tags(pool, tenant), raw)


asyncio.run(main())
