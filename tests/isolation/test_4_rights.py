"""What the app role cannot do, because all tenants are it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tenants import ENDPOINTS, Site, outcome, unbound

pytest_plugins = ["tenants"]
pytestmark = pytest.mark.usefixtures("untouched")

REPLACED = "CREATE OR REPLACE FUNCTION {schema}.tenant_id() RETURNS {type} LANGUAGE sql AS 'SELECT NULL::{type}'"
DENIED = {
    "create a table": "CREATE TABLE public.stash (t text)",
    "create a table as a copy": "CREATE TABLE public.stash AS SELECT * FROM parents",
    "create a temporary table": "CREATE TEMP TABLE parents (id int)",
    "plant a function that a superuser would call": "CREATE FUNCTION public.md5(varchar) RETURNS text LANGUAGE sql"
    " AS 'SELECT 1::text'",
    "create a schema": "CREATE SCHEMA mine",
    "create in the schema of the functions": "CREATE FUNCTION {schema}.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "truncate": "TRUNCATE parents",
    "make a foreign key": "ALTER TABLE children ADD FOREIGN KEY (id) REFERENCES parents (id)",
    "make a trigger": "CREATE TRIGGER t BEFORE INSERT ON parents EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "switch row-level security off": "SET LOCAL row_security = off; SELECT * FROM parents",
    "disable it for the table": "ALTER TABLE parents DISABLE ROW LEVEL SECURITY",
    "drop the policy": "DROP POLICY {policy} ON parents",
    "add a policy": "CREATE POLICY hole ON parents USING (true)",
    "drop the guard": "DROP EVENT TRIGGER pgstead_guard",
    "replace the reader": REPLACED,
    "call the guard's own function": "SELECT {schema}.protect('parents'::regclass)",
    "list what is unprotected": "SELECT * FROM {schema}.tenant_tables",
    "see the other sessions": "SELECT query FROM pg_stat_activity",
    "see them by function": "SELECT pg_stat_get_activity(NULL)",
    "see them one by one": "SELECT pg_stat_get_backend_activity(1)",
    "end a session": "SELECT pg_terminate_backend(1)",
    "cancel a query": "SELECT pg_cancel_backend(1)",
    "become the owner": "SET ROLE {owner}",
    "become the migrator": "SET ROLE {migrator}",
    "become superuser": "SET ROLE postgres",
    "take triggers and policies out of force": "SET session_replication_role = replica",
    "read password hashes": "SELECT rolpassword FROM pg_authid",
    "read files": "SELECT pg_read_file('/etc/passwd')",
    "run programs": "COPY (SELECT 1) TO PROGRAM 'true'",
    "make a large object": "SELECT lo_create(0)",
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("statement", DENIED.values(), ids=DENIED)
def test_is_denied(site: Site, statement: str, endpoint: str) -> None:
    values = {"schema": site.schema, "policy": site.policy("parents"), "type": site.type, "owner": site.owner,
              "migrator": site.migrator}  # fmt: skip
    with site.client(endpoint) as cursor:
        cursor.execute("BEGIN")
        cursor.execute(site.set_tenant(site.a))
        state, message = outcome(cursor, statement.format(**values))
        cursor.execute("ROLLBACK")
    assert state == "42501", message


def test_statistics_of_statements_are_not_for_tenants(site: Site, superuser: object) -> None:
    with site.client() as cursor:
        state, message = outcome(cursor, "SELECT query FROM pg_stat_statements")
    assert state in ("42501", "42P01"), message  # denied, or the database has no such extension


def test_the_owner_cannot_take_the_guard_away(site: Site) -> None:
    for statement in (
        "DROP EVENT TRIGGER pgstead_guard",
        "ALTER EVENT TRIGGER pgstead_guard DISABLE",
        f"DROP SCHEMA {site.schema} CASCADE",
        f"DROP FUNCTION {site.schema}.tenant_id() CASCADE",
        f"ALTER FUNCTION {site.schema}.guard() OWNER TO {site.owner}",
        REPLACED.format(schema=site.schema, type=site.type),
        "SET session_replication_role = replica",
    ):
        with site.client("direct", site.migrator) as cursor:
            state, message = outcome(cursor, statement)
            assert state == "42501", (statement, message)


def test_probes_in_a_query_see_ones_own_rows_alone(site: Site) -> None:
    """A condition that is computed before the policy would divide by zero on the other tenant's rows."""
    with site.tenant(site.a) as cursor:
        cursor.execute("SELECT id FROM parents WHERE 1 / (id - 101) IS NOT NULL ORDER BY id")
        assert [row[0] for row in cursor.fetchall()] == [1, 2, 3]
        cursor.execute("SELECT count(*) FROM parents WHERE label LIKE 'of %'")
        assert cursor.fetchone()[0] == 3
        cursor.execute("SELECT most_common_vals FROM pg_stats WHERE tablename = 'parents'")
        assert cursor.fetchall() == []


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_readonly_role_reaches_what_is_declared_and_writes_nothing(site: Site, endpoint: str) -> None:
    with site.client(endpoint, site.reports) as cursor:
        unbound(cursor, "SELECT * FROM parents")
    with site.tenant(site.a, endpoint, site.reports) as cursor:
        cursor.execute("SELECT id FROM parents ORDER BY id")
        assert cursor.fetchall() == [(1,), (2,), (3,)]
    with site.client(endpoint, site.reader) as cursor:
        cursor.execute("SELECT count(*) FROM parents")
        assert cursor.fetchone()[0] == 8
    for role in (site.reports, site.reader):
        with site.client(endpoint, role) as cursor:
            for statement in ("DELETE FROM parents", f"INSERT INTO empties VALUES ('{site.a}')"):
                cursor.execute(f"BEGIN READ WRITE; {site.set_tenant(site.a)}")
                assert outcome(cursor, statement)[0] == "42501"
                cursor.execute("ROLLBACK")


def test_roles_keep_their_settings(site: Site) -> None:
    with site.client() as cursor:
        for name, value in (("plan_cache_mode", "force_custom_plan"), ("statement_timeout", "30s"),
                            ("lock_timeout", "5s"),
                            ("idle_in_transaction_session_timeout", "1min"), ("search_path", "public")):  # fmt: skip
            cursor.execute(f"SHOW {name}")
            assert cursor.fetchone()[0] == value
