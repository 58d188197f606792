"""A prepared statement of the pooler's cannot be exchanged for another one, for the next tenant to run.

PgBouncer keeps clients' statements on its server connections as PGBOUNCER_1, PGBOUNCER_2 and so on; whoever can run SQL
there can drop one and prepare another under its name.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import DECLARED, console
from tenants import Site, outcome, pool_of, unbound

from ansible_collections.pgstead.platform.plugins.module_utils import token

pytest_plugins = ["tenants"]
pytestmark = pytest.mark.usefixtures("untouched")

# Does what the other one does, and keeps what it was given where anybody can look for it.
SWAPPED = """PREPARE "{name}" (text) AS SELECT {schema}.set_tenant(set_config('stolen.token', $1, false){cast})"""
# What makes DISCARD ALL wait until it is ended by the timeout, as long as a SERIALIZABLE transaction is open elsewhere.
DEFERRABLE = (
    "SET default_transaction_isolation = serializable; SET default_transaction_read_only = on;"
    " SET default_transaction_deferrable = on; SET statement_timeout = 300"
)


def psycopg3(site: Site) -> psycopg.Connection[Any]:
    """A client as the page about psycopg 3 makes it: every statement is prepared."""
    return psycopg.connect(
        host=DECLARED.address, port=DECLARED.ports["pooled"], dbname=site.name, user=site.app,
        password=DECLARED.secrets[site.app], sslmode="require", prepare_threshold=0,
    )  # fmt: skip


def work(client: psycopg.Connection[Any], site: Site) -> tuple[int, str]:
    """How many rows tenant b sees in a transaction, and what a swapped statement took."""
    given = token.sign(site.key, site.b) if site.key else str(site.b)
    with client.transaction():
        client.execute(f"SELECT {site.schema}.set_tenant(%s)", [given])
        (rows,) = client.execute("SELECT count(*) FROM parents").fetchone() or (0,)
        (stolen,) = client.execute("SELECT coalesce(current_setting('stolen.token', true), '')").fetchone() or ("",)
    return rows, stolen


def swap(site: Site, more: str = "") -> list[str]:
    """What injected SQL does in a transaction of tenant a; names of the statements that it exchanged.

    It cannot see which there are. So it tries those that there may be: the one that sets a tenant answers with it.
    """
    cast = "" if site.key else f"::{site.type}"
    with site.tenant(site.a) as cursor:
        names = [f"PGBOUNCER_{number}" for number in range(1, 100)]
        given, found = token.sign(site.key, site.a, 300) if site.key else site.a, []
        for name in names:
            cursor.execute("SAVEPOINT before")
            if outcome(cursor, f"""EXECUTE "{name}"('{given}')""") == ("", [(site.a,)]):
                found.append(name)
            cursor.execute("ROLLBACK TO before")
        for name in found:
            cursor.execute(f'DEALLOCATE "{name}"')
        for name in found or names:
            cursor.execute(SWAPPED.format(name=name, schema=site.schema, cast=cast))
        cursor.execute(more or "SELECT 1")
    return found


@pytest.fixture
def at_session(node: Any) -> Iterator[None]:
    """The pooler at the level `session`."""

    def reset(old: str, new: str) -> None:
        done = node.run(f"sed -i 's/; {old}/; {new}/' {ini} && systemctl reload pgbouncer")
        assert done.rc == 0 and f"; {new}" in node.file(ini).content_string, done.stderr

    ini = "/etc/pgbouncer/pgbouncer.ini"
    reset("DEALLOCATE ALL; RESET ALL", "RESET ALL")
    yield
    reset("RESET ALL", "DEALLOCATE ALL; RESET ALL")


def test_a_swapped_statement_is_gone_for_the_next_client(site: Site) -> None:
    with closing(psycopg3(site)) as client:
        for _ in range(3):
            assert work(client, site) == (5, "")
            assert swap(site) == []
        assert work(client, site) == (5, "")


def test_a_reset_cannot_be_made_to_fail(site: Site, node: Any) -> None:
    pool_of(node, 2)
    try:
        with closing(psycopg3(site)) as client:
            with site.client() as other:
                other.execute("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM pg_class")
                assert work(client, site) == (5, "")
                swap(site, DEFERRABLE)
                time.sleep(0.6)
                other.execute("ROLLBACK")
            # On both server connections at a time, whichever it was.
            with site.client() as other:
                other.execute("BEGIN")
                assert work(client, site) == (5, "")
                other.execute("ROLLBACK")
            with client.transaction():
                client.execute("SELECT 1")
                with closing(psycopg3(site)) as another:
                    assert work(another, site) == (5, "")
    finally:
        pool_of(node, 1)


def test_a_connection_whose_reset_failed_is_given_to_nobody(
    site: Site, node: Any, superuser: Any, console: Any
) -> None:
    right = "EXECUTE ON FUNCTION pg_advisory_unlock_all()"
    superuser(f"REVOKE {right} FROM PUBLIC", site.name)
    try:
        with site.client() as cursor:
            cursor.execute("SET search_path = nowhere; SELECT pg_backend_pid()")
            (left,) = cursor.fetchone()
        time.sleep(0.5)
        state = superuser(f"SELECT state FROM pg_stat_activity WHERE pid = {left}")
        assert state == "idle in transaction (aborted)"
        servers = [row["state"] for row in console("SHOW SERVERS") if row["database"] == site.name]
        assert servers == ["tested"], "neither idle nor active"
        superuser(f"SELECT pg_terminate_backend({left})")
        with site.client() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            assert cursor.fetchone() != (left,)
    finally:
        superuser(f"GRANT {right} TO PUBLIC", site.name)
        pool_of(node, 1)


@pytest.mark.usefixtures("at_session")
def test_at_the_level_session_it_is_swapped(site: Site) -> None:
    """Why tokens need the level `full`, and that what is tried above is an attack."""
    with closing(psycopg3(site)) as client:
        assert work(client, site) == (5, "")
        assert len(swap(site)) == 1
        rows, stolen = work(client, site)
        assert rows == 5 and str(site.b) in stolen


@pytest.mark.usefixtures("at_session")
def test_a_statement_left_behind_shows_the_next_client_its_own_rows(site: Site) -> None:
    with site.client() as cursor:
        cursor.execute("PREPARE whose AS SELECT id FROM parents ORDER BY id")
    with site.tenant(site.b) as cursor:
        cursor.execute("EXECUTE whose")
        assert [row[0] for row in cursor.fetchall()] == list(range(101, 106))
    with site.client() as cursor:
        unbound(cursor, "EXECUTE whose")


def test_statements_that_clients_prepare_work_on_every_server_connection(site: Site, node: Any) -> None:
    pool_of(node, 2)
    try:
        with closing(psycopg3(site)) as one, closing(psycopg3(site)) as two:
            for _ in range(20):
                with one.transaction():
                    one.execute("SELECT 1")
                    assert work(two, site) == (5, "")
                assert work(one, site) == (5, "")
    finally:
        pool_of(node, 1)
