"""psycopg2: puts parameters into the text itself, and prepares nothing."""

# docs: begin
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg2.extensions import cursor
from psycopg2.extras import register_uuid
from psycopg2.pool import ThreadedConnectionPool

register_uuid()
# It keeps as many connections open as the first number says, and closes what is given back above that.
pool = ThreadedConnectionPool(50, 50, os.environ["DATABASE_URL"])


@contextmanager
def as_tenant(tenant: Any) -> Iterator[cursor]:
    """One transaction that sees and writes the rows of this tenant, and no others."""
    connection = pool.getconn()
    try:
        with connection, connection.cursor() as cur:  # commits at its end, rolls back on an error
            cur.execute("SELECT app.set_tenant(%s)", [tenant])
            yield cur
    finally:
        pool.putconn(connection)


def list_tags(tenant: Any) -> list[tuple[str, str]]:
    with as_tenant(tenant) as cur:
        cur.execute("SELECT n.body, t.label FROM client_notes AS n JOIN client_tags AS t ON t.note_id = n.id")
        return cur.fetchall()


# docs: end

from load import ADD_NOTE, ADD_TAG, FOREIGN, NOTES, load


def work(tenant: Any, body: str) -> Any:
    with as_tenant(tenant) as cur:
        cur.execute(ADD_NOTE, [tenant, body])
        (note,) = cur.fetchone()
        cur.execute(ADD_TAG, [tenant, note, "new"])
        cur.execute(NOTES)
        notes = cur.fetchall()
        cur.execute(FOREIGN, [tenant])
        return notes, cur.fetchone()[0]


def raw(*statements: str) -> None:
    connection = pool.getconn()
    try:
        with connection, connection.cursor() as cur:
            for statement in statements:
                cur.execute(statement)
    finally:
        pool.putconn(connection)


load(work, list_tags, raw)
pool.closeall()
