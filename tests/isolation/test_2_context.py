"""Without a context set in this very transaction nothing is read or written, on filled and on empty tables."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tenants import ENDPOINTS, Site, outcome, unbound

pytest_plugins = ["tenants"]
pytestmark = pytest.mark.usefixtures("untouched")

CONTEXTS = {
    "never set": [],
    "empty": ["SET LOCAL {setting} = ''"],
    "garbage": ["SET LOCAL {setting} = 'garbage'"],
    "a tenant's id": ["SET LOCAL {setting} = '{a}'"],
    "the nil uuid": ["SET LOCAL {setting} = '00000000-0000-0000-0000-000000000000'"],
    "zero": ["SET LOCAL {setting} = '0'"],
    "a bar": ["SET LOCAL {setting} = '|{a}'"],
    "replayed": ["SET LOCAL {setting} = '{replayed}'"],
}
STATEMENTS = {
    "select": "SELECT * FROM parents",
    "select from an empty table": "SELECT * FROM empties",
    "count": "SELECT count(*) FROM parents",
    "join": "SELECT * FROM parents JOIN children USING (id)",
    "insert": "INSERT INTO parents VALUES ('{a}', 99, 'x')",
    "insert into an empty table": "INSERT INTO empties VALUES ('{a}')",
    "update": "UPDATE parents SET label = 'x'",
    "update of an empty table": "UPDATE empties SET {column} = '{a}'",
    "delete": "DELETE FROM parents",
    "delete from an empty table": "DELETE FROM empties",
    "upsert": "INSERT INTO parents VALUES ('{a}', 1, 'x') ON CONFLICT DO NOTHING",
    "copy": "COPY (SELECT * FROM parents) TO STDOUT",
    "explain": "EXPLAIN ANALYZE SELECT * FROM parents",
}


@pytest.mark.parametrize("role", ["app", "migrator"])
@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
def test_everything_is_refused(site: Site, context: list[str], role: str) -> None:
    with site.tenant(site.a) as cursor:
        cursor.execute(f"SELECT current_setting('{site.setting}', true)")
        replayed = cursor.fetchone()[0]
    values = {"setting": site.setting, "a": site.a, "column": site.column, "replayed": replayed}
    for endpoint in ENDPOINTS if role == "app" else ["direct"]:
        with site.client(endpoint, getattr(site, role)) as cursor:
            for statement in STATEMENTS.values():
                cursor.execute("BEGIN")
                for part in context:
                    cursor.execute(part.format(**values))
                unbound(cursor, statement.format(**values))
                cursor.execute("ROLLBACK")


def test_a_context_set_outside_of_a_transaction_holds_for_its_own_statement_alone(site: Site) -> None:
    for endpoint in ENDPOINTS:
        with site.client(endpoint) as cursor:
            cursor.execute(site.set_tenant(site.a))
            unbound(cursor, "SELECT * FROM parents")


def test_a_tenant_must_be_said(site: Site) -> None:
    with site.client() as cursor:
        state, message = outcome(cursor, f"SELECT {site.schema}.set_tenant(NULL)")
        assert state == "42501" and ("not valid" if site.key else "null") in message


def test_a_context_ends_with_a_savepoint_it_was_set_in(site: Site) -> None:
    with site.client() as cursor:
        for statement in ("BEGIN", "SAVEPOINT s", site.set_tenant(site.a), "ROLLBACK TO s"):
            cursor.execute(statement)
        unbound(cursor, "SELECT * FROM parents")
        cursor.execute("ROLLBACK")


def test_a_tenant_sees_its_rows_and_no_others(site: Site) -> None:
    for endpoint in ENDPOINTS:
        for tenant, ids in ((site.a, [1, 2, 3]), (site.b, [101, 102, 103, 104, 105]), (site.new_tenant(), [])):
            with site.tenant(tenant, endpoint) as cursor:
                cursor.execute("SELECT id FROM parents ORDER BY id")
                assert [row[0] for row in cursor.fetchall()] == ids
                cursor.execute("SELECT count(*) FROM children JOIN parents USING (id)")
                assert cursor.fetchone()[0] == len(ids)


def test_parallel_workers_know_the_tenant(site: Site) -> None:
    with site.tenant(site.a, "direct") as cursor:
        for setting in ("parallel_setup_cost = 0", "parallel_tuple_cost = 0", "min_parallel_table_scan_size = 0",
                        "enable_indexscan = off", "enable_bitmapscan = off", "debug_parallel_query = on"):  # fmt: skip
            cursor.execute(f"SET LOCAL {setting}")
        cursor.execute("EXPLAIN SELECT count(*) FROM parents")
        assert "Workers Planned" in "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("SELECT count(*) FROM parents")
        assert cursor.fetchone()[0] == 3


def test_the_owner_moves_data_tenant_by_tenant(site: Site) -> None:
    """What docs/how-to says of data migrations."""
    with site.client("direct", site.migrator) as cursor:
        cursor.execute("BEGIN")
        for tenant, count in ((site.a, 3), (site.b, 5)):
            cursor.execute(site.set_tenant(tenant))
            cursor.execute("UPDATE parents SET label = label || ''")
            assert cursor.rowcount == count
        cursor.execute("COMMIT")
