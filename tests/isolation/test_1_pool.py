"""What one client leaves on a server connection is nothing to the next one, whatever the first one tried."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from conftest import connect
from tenants import ENDPOINTS, Site, outcome, unbound

pytest_plugins = ["tenants"]
pytestmark = pytest.mark.usefixtures("untouched")

# {a} is tenant a, {set_tenant} the call for it, {setting} the setting. Each is one round trip in autocommit mode.
LEFTOVERS = {
    "SET": ["SET {setting} = '{a}'"],
    "SET of a bound value": [
        "BEGIN",
        "{set_tenant}",
        "SELECT set_config('{setting}', current_setting('{setting}'), false)",
        "COMMIT",
    ],
    "SET LOCAL": ["BEGIN", "SET LOCAL {setting} = '{a}'", "COMMIT"],
    "SET LOCAL outside of a transaction": ["SET LOCAL {setting} = '{a}'"],
    "set_config": ["SELECT set_config('{setting}', '{a}', false)"],
    "SET in one string with a query": ["SET {setting} = '{a}'; SELECT 1"],
    "SET in a transaction that fails": ["BEGIN", "SET {setting} = '{a}'", "SELECT 1 / 0", "ROLLBACK"],
    "SET in a savepoint": ["BEGIN", "SAVEPOINT s", "SET {setting} = '{a}'", "RELEASE s", "COMMIT"],
    "set_tenant": ["BEGIN", "{set_tenant}", "SELECT count(*) FROM parents", "COMMIT"],
    "set_tenant outside of a transaction": ["{set_tenant}"],
    "set_tenant in a transaction that fails": ["BEGIN", "{set_tenant}", "SELECT 1 / 0", "ROLLBACK"],
    "set_tenant in a savepoint": ["BEGIN", "SAVEPOINT s", "{set_tenant}", "ROLLBACK TO s", "COMMIT"],
    "a prepared statement": [
        "BEGIN",
        "{set_tenant}",
        "PREPARE kept AS SELECT * FROM parents",
        "EXECUTE kept",
        "COMMIT",
    ],
    "an empty value": ["SET {setting} = ''"],
    "garbage": ["SET {setting} = 'garbage'"],
}


def leave(site: Site, statements: list[str], endpoint: str) -> int:
    """Tenant a's client does all this and goes; the process id of the server connection it had."""
    with site.client(endpoint) as cursor:
        for statement in statements:
            values = {"a": site.a, "setting": site.setting, "set_tenant": site.set_tenant(site.a)}
            try:
                cursor.execute(statement.format(**values))
            except psycopg2.Error:
                assert "1 / 0" in statement
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("statements", LEFTOVERS.values(), ids=LEFTOVERS)
def test_the_next_client_has_no_context(site: Site, statements: list[str]) -> None:
    before = leave(site, statements, "pooled")
    with site.client() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone()[0] == before, "the two clients must meet on one server connection"
        unbound(cursor, "SELECT * FROM parents")
        unbound(cursor, "SELECT * FROM empties")
        unbound(cursor, f"INSERT INTO parents VALUES ('{site.a}', 9, 'x')")
    with site.tenant(site.b) as cursor:
        cursor.execute("SELECT id FROM parents ORDER BY id")
        assert [row[0] for row in cursor.fetchall()] == list(range(101, 106))


@pytest.mark.parametrize("endpoint", ["pooled", "direct"])
@pytest.mark.parametrize("statements", LEFTOVERS.values(), ids=LEFTOVERS)
def test_neither_has_the_same_client_in_its_next_transaction(site: Site, statements: list[str], endpoint: str) -> None:
    with site.client(endpoint) as cursor:
        for statement in statements:
            values = {"a": site.a, "setting": site.setting, "set_tenant": site.set_tenant(site.a)}
            outcome(cursor, statement.format(**values))
        unbound(cursor, "SELECT * FROM parents")


def test_a_cursor_that_outlives_its_transaction_is_gone_for_the_next_client(site: Site) -> None:
    hold = "DECLARE left_open CURSOR WITH HOLD FOR SELECT * FROM parents"
    leave(site, ["BEGIN", "{set_tenant}", hold, "COMMIT"], "pooled")
    with site.client() as cursor:
        state, _ = outcome(cursor, "FETCH ALL FROM left_open")
        assert state == "34000"  # invalid_cursor_name


def test_clients_in_turns_on_one_connection_see_their_own(site: Site) -> None:
    with site.client() as one, site.client() as two:
        for _ in range(20):
            for cursor, tenant, ids in ((one, site.a, [1, 2, 3]), (two, site.b, [101, 102, 103, 104, 105])):
                cursor.execute("BEGIN")
                cursor.execute(site.set_tenant(tenant))
                cursor.execute("SELECT id FROM parents ORDER BY id")
                assert [row[0] for row in cursor.fetchall()] == ids
                cursor.execute("COMMIT")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_startup_options_carry_no_context(site: Site, endpoint: str) -> None:
    with closing(connect(site.app, endpoint, site.name, options=f"-c {site.setting}={site.a}")) as connection:
        unbound(connection.cursor(), "SELECT * FROM parents")
