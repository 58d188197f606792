"""psycopg 3, with its own pool."""

# docs: begin
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

# prepare_threshold=0 prepares every statement at its first use; PgBouncer knows it on each of its own connections.
pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=50, kwargs={"prepare_threshold": 0}, open=True)


@contextmanager
def as_tenant(tenant: Any) -> Iterator[psycopg.Connection]:
    """One transaction that sees and writes the rows of this tenant, and no others."""
    with pool.connection() as connection:  # commits at its end, rolls back on an error
        connection.execute("SELECT app.set_tenant(%s)", [tenant])
        yield connection


def list_tags(tenant: Any) -> list[tuple[str, str]]:
    with as_tenant(tenant) as connection:
        return connection.execute(
            "SELECT n.body, t.label FROM client_notes AS n JOIN client_tags AS t ON t.note_id = n.id"
        ).fetchall()


# docs: end

from load import ADD_NOTE, ADD_TAG, FOREIGN, NOTES, load


def work(tenant: Any, body: str) -> Any:
    with as_tenant(tenant) as connection:
        (note,) = connection.execute(ADD_NOTE, [tenant, body]).fetchone()
        connection.execute(ADD_TAG, [tenant, note, "new"])
        notes = connection.execute(NOTES).fetchall()
        return notes, connection.execute(FOREIGN, [tenant]).fetchone()[0]


def raw(*statements: str) -> None:
    with pool.connection() as connection:
        for statement in statements:
            connection.execute(statement)


load(work, list_tags, raw)
pool.close()
