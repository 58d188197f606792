"""Whatever an ORM or the owner does to tables, they are isolated when the statement is through."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tenants import Site, node, outcome, site, superuser, unbound, untouched


@pytest.fixture
def owner(site: Site, superuser: Any) -> Iterator[Any]:
    """A cursor of the migrator, as any ORM's; its schema `ddl` goes afterwards."""
    with site.client("direct", site.migrator) as cursor:
        cursor.execute("CREATE SCHEMA ddl; SET search_path = ddl, public")
        yield cursor
        cursor.execute("RESET search_path")
    superuser("DROP SCHEMA ddl CASCADE", site.name)


def isolated(site: Site, superuser: Any, table: str) -> None:
    """Asserts that a table in schema ddl shows a tenant its own rows and nobody else anything, whatever it held."""
    superuser(f"GRANT USAGE ON SCHEMA ddl TO {site.app}; GRANT ALL ON {table} TO {site.app}", site.name)
    rows = superuser(f"SELECT count(*) FROM {table}", site.name)
    own = superuser(f"SELECT count(*) FROM {table} WHERE {site.column} = '{site.a}'", site.name)
    with site.client() as cursor:
        unbound(cursor, f"SELECT * FROM {table}")
    with site.tenant(site.a) as cursor:
        cursor.execute(f"SELECT count(*), count(*) FILTER (WHERE {site.column} = '{site.a}') FROM {table}")
        assert [str(n) for n in cursor.fetchone()] == [own, own], f"of {rows} rows"
    with site.client() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(site.set_tenant(site.a))
        state, message = outcome(cursor, f"INSERT INTO {table} ({site.column}) VALUES ('{site.b}')")
        cursor.execute("ROLLBACK")
        assert state == "42501" and "row-level security" in message, message
    superuser(f"REVOKE ALL ON {table} FROM {site.app}", site.name)


NEW = "CREATE TABLE ddl.t ({column} {type}, n int)"
FILL = "SELECT {set_a}; INSERT INTO ddl.t VALUES ('{a}', 1); SELECT {set_b}; INSERT INTO ddl.t VALUES ('{b}', 2)"
MADE = {
    "CREATE TABLE": [NEW],
    "CREATE TABLE AS": ["SELECT {set_a}", "CREATE TABLE ddl.t AS SELECT {column}, 1 AS n FROM parents"],
    "SELECT INTO": ["SELECT {set_a}", "SELECT {column}, 1 AS n INTO ddl.t FROM parents"],
    "LIKE": ["CREATE TABLE ddl.t (LIKE parents)"],
    "INHERITS": ["CREATE TABLE ddl.t () INHERITS (parents)"],
    "ADD COLUMN": ["CREATE TABLE ddl.t (n int)", "ALTER TABLE ddl.t ADD COLUMN {column} {type}"],
    "RENAME COLUMN": ["CREATE TABLE ddl.t (x {type})", "ALTER TABLE ddl.t RENAME COLUMN x TO {column}"],
    "CREATE SCHEMA with a table": ["CREATE SCHEMA other", "ALTER SCHEMA other RENAME TO other2", "DROP SCHEMA other2", NEW],
    "PARTITION OF": [
        "CREATE TABLE ddl.p ({column} {type} NOT NULL, n int) PARTITION BY LIST (n)",
        "CREATE TABLE ddl.t PARTITION OF ddl.p FOR VALUES IN (1)",
    ],
    "ATTACH PARTITION": [
        "CREATE TABLE ddl.p ({column} {type} NOT NULL, n int) PARTITION BY LIST (n)",
        "CREATE TABLE ddl.t ({column} {type} NOT NULL, n int)",
        "ALTER TABLE ddl.p ATTACH PARTITION ddl.t FOR VALUES IN (1)",
    ],
    "RENAME TABLE": [NEW.replace("ddl.t", "ddl.u"), "ALTER TABLE ddl.u RENAME TO t"],
    "SET SCHEMA": [NEW.replace("ddl.t", "public.t"), "ALTER TABLE public.t SET SCHEMA ddl"],
    "DISABLE": [NEW, "ALTER TABLE ddl.t DISABLE ROW LEVEL SECURITY"],
    "NO FORCE": [NEW, "ALTER TABLE ddl.t NO FORCE ROW LEVEL SECURITY"],
    "DISABLE and NO FORCE at once": [NEW, "ALTER TABLE ddl.t DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY"],
    "DROP POLICY": [NEW, "DROP POLICY {prefix}t ON ddl.t"],
    "DROP of both policies": [NEW, "DROP POLICY {prefix}t ON ddl.t", "DROP POLICY tenant_access ON ddl.t"],
    "ALTER POLICY": [NEW, "ALTER POLICY {prefix}t ON ddl.t USING (true) WITH CHECK (true)"],
    "ALTER POLICY for a role": [NEW, "ALTER POLICY {prefix}t ON ddl.t TO {owner}"],
    "RENAME POLICY": [NEW, "ALTER POLICY {prefix}t ON ddl.t RENAME TO gone"],
    "a permissive hole": [NEW, "CREATE POLICY hole ON ddl.t USING (true)"],
    "DROP COLUMN and ADD COLUMN": [NEW, "ALTER TABLE ddl.t DROP COLUMN {column} CASCADE", "ALTER TABLE ddl.t ADD {column} {type}"],
    "several in one string": [NEW + "; ALTER TABLE ddl.t DISABLE ROW LEVEL SECURITY; CREATE TABLE ddl.v (n int)"],
}


def values(site: Site) -> dict[str, Any]:
    return {
        "column": site.column, "type": site.type, "a": site.a, "b": site.b, "prefix": site.tenancy["policy_prefix"],
        "owner": site.owner, "set_a": site.set_tenant(site.a).removeprefix("SELECT "),
        "set_b": site.set_tenant(site.b).removeprefix("SELECT "),
    }  # fmt: skip


@pytest.mark.parametrize("statements", MADE.values(), ids=MADE)
def test_is_isolated_afterwards(site: Site, owner: Any, superuser: Any, statements: list[str]) -> None:
    owner.execute("BEGIN")
    for statement in statements:
        owner.execute(statement.format(**values(site)))
    owner.execute("COMMIT")
    for number, tenant in enumerate((site.a, site.b)):
        columns = f"({site.column}, id) VALUES ('{tenant}', 2 * {number})" if "id" in columns_of(superuser, site) else (
            f"({site.column}) VALUES ('{tenant}')" if "n" not in columns_of(superuser, site)
            else f"({site.column}, n) VALUES ('{tenant}', 1)")  # fmt: skip
        superuser(f"INSERT INTO ddl.t {columns}", site.name)
    isolated(site, superuser, "ddl.t")


def columns_of(superuser: Any, site: Site) -> list[str]:
    query = "SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = 'ddl.t'::regclass AND attnum > 0 AND NOT attisdropped"
    return str(superuser(query, site.name)).split()


def test_a_new_tables_column_is_not_null(site: Site, owner: Any, superuser: Any) -> None:
    owner.execute(NEW.format(**values(site)))
    query = f"SELECT attnotnull FROM pg_attribute WHERE attrelid = 'ddl.t'::regclass AND attname = '{site.column}'"
    assert superuser(query, site.name) == "t"


def test_a_table_that_loses_its_column_shows_nothing_any_more(site: Site, owner: Any, superuser: Any) -> None:
    owner.execute(NEW.format(**values(site)))
    superuser(f"INSERT INTO ddl.t VALUES ('{site.b}', 7)", site.name)
    owner.execute(f"ALTER TABLE ddl.t DROP COLUMN {site.column} CASCADE")
    superuser(f"GRANT USAGE ON SCHEMA ddl TO {site.app}; GRANT SELECT ON ddl.t TO {site.app}", site.name)
    with site.tenant(site.a) as cursor:
        cursor.execute("SELECT * FROM ddl.t")
        assert cursor.fetchall() == []


def test_a_table_whose_column_is_renamed_away_stays_isolated(site: Site, owner: Any, superuser: Any) -> None:
    owner.execute(NEW.format(**values(site)))
    superuser(f"INSERT INTO ddl.t VALUES ('{site.b}', 7)", site.name)
    owner.execute(f"ALTER TABLE ddl.t RENAME COLUMN {site.column} TO elsewhere")
    superuser(f"GRANT USAGE ON SCHEMA ddl TO {site.app}; GRANT SELECT ON ddl.t TO {site.app}", site.name)
    with site.tenant(site.a) as cursor:
        cursor.execute("SELECT * FROM ddl.t")
        assert cursor.fetchall() == []


def test_an_applications_own_policy_narrows_what_a_tenant_sees(site: Site, owner: Any, superuser: Any) -> None:
    owner.execute(NEW.format(**values(site)))
    owner.execute("CREATE POLICY small ON ddl.t USING (n < 5)")
    superuser(f"INSERT INTO ddl.t VALUES ('{site.a}', 1), ('{site.a}', 9), ('{site.b}', 1)", site.name)
    superuser(f"GRANT USAGE ON SCHEMA ddl TO {site.app}; GRANT SELECT ON ddl.t TO {site.app}", site.name)
    with site.tenant(site.a) as cursor:
        cursor.execute("SELECT n FROM ddl.t")
        assert cursor.fetchall() == [(1,)]
    owner.execute("DROP POLICY small ON ddl.t")
    with site.tenant(site.a) as cursor:
        cursor.execute("SELECT n FROM ddl.t ORDER BY n")
        assert cursor.fetchall() == [(1,), (9,)]


@pytest.mark.parametrize("make", [
    "CREATE VIEW ddl.v AS SELECT * FROM parents",
    "CREATE VIEW ddl.v WITH (security_invoker = off) AS SELECT * FROM parents",
    "CREATE VIEW ddl.u AS SELECT * FROM parents; CREATE VIEW ddl.v AS SELECT * FROM ddl.u",
    "CREATE VIEW ddl.v AS SELECT * FROM parents; ALTER VIEW ddl.v SET (security_invoker = off)",
    "CREATE VIEW ddl.v AS SELECT * FROM parents; ALTER VIEW ddl.v RESET (security_invoker)",
    "CREATE OR REPLACE VIEW ddl.v AS SELECT p.* FROM parents p JOIN children c USING (id)",
])  # fmt: skip
def test_a_view_shows_what_its_reader_may_see(site: Site, owner: Any, superuser: Any, make: str) -> None:
    owner.execute(make)
    superuser(f"GRANT USAGE ON SCHEMA ddl TO {site.app}; GRANT SELECT ON ALL TABLES IN SCHEMA ddl TO {site.app}", site.name)
    with site.client() as cursor:
        unbound(cursor, "SELECT * FROM ddl.v")
    with site.tenant(site.a) as cursor:
        cursor.execute("SELECT id FROM ddl.v ORDER BY id")
        assert cursor.fetchall() == [(1,), (2,), (3,)]


def test_a_view_over_a_table_that_becomes_a_tenants_is_bound_as_well(site: Site, owner: Any, superuser: Any) -> None:
    owner.execute("CREATE TABLE ddl.t (n int); CREATE VIEW ddl.v AS SELECT n FROM ddl.t")
    owner.execute(f"ALTER TABLE ddl.t ADD {site.column} {site.type}")
    superuser(f"GRANT USAGE ON SCHEMA ddl TO {site.app}; GRANT SELECT ON ALL TABLES IN SCHEMA ddl TO {site.app}", site.name)
    with site.client() as cursor:
        unbound(cursor, "SELECT * FROM ddl.v")


REFUSED = {
    "a materialized view": "CREATE MATERIALIZED VIEW ddl.m AS SELECT 1 FROM parents",
    "one over a view": "CREATE VIEW ddl.v AS SELECT * FROM parents; CREATE MATERIALIZED VIEW ddl.m AS SELECT * FROM ddl.v WITH NO DATA",
    "a foreign key between tenants": "CREATE TABLE ddl.u (id bigint PRIMARY KEY, {column} {type} NOT NULL);"
    " CREATE TABLE ddl.t ({column} {type} NOT NULL, u bigint REFERENCES ddl.u (id))",
    "one that is added": "CREATE TABLE ddl.u (id bigint PRIMARY KEY, {column} {type} NOT NULL);"
    " CREATE TABLE ddl.t ({column} {type} NOT NULL, u bigint); ALTER TABLE ddl.t ADD FOREIGN KEY (u) REFERENCES ddl.u (id)",
    "a reference from a table without tenants": "CREATE TABLE ddl.t ({column} {type}, id bigint,"
    " FOREIGN KEY ({column}, id) REFERENCES parents); CREATE TABLE ddl.u (id bigint PRIMARY KEY, {column} {type});"
    " CREATE TABLE ddl.x (u bigint REFERENCES ddl.u (id))",
    "a column of another type": "CREATE TABLE ddl.t ({column} point)",
}


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_isolated_is_refused(site: Site, owner: Any, superuser: Any, statement: str) -> None:
    owner.execute("BEGIN")
    owner.execute(site.set_tenant(site.a))  # a materialized view reads when it is made
    state, message = outcome(owner, statement.format(**values(site)))
    owner.execute("ROLLBACK")
    assert state == "42P17", message
    assert superuser("SELECT count(*) FROM pg_class WHERE relnamespace = 'ddl'::regnamespace", site.name) == "0"


def test_another_change_of_a_table_is_not_refused_for_what_was_there_before(site: Site, owner: Any, superuser: Any) -> None:
    superuser(
        "SET session_replication_role = replica; CREATE TABLE ddl.u (id bigint PRIMARY KEY, {column} {type});"
        f" CREATE TABLE ddl.t ({site.column} {site.type}, u bigint REFERENCES ddl.u (id));"
        f" ALTER TABLE ddl.u OWNER TO {site.owner}; ALTER TABLE ddl.t OWNER TO {site.owner}".format(**values(site)),
        site.name,
    )
    owner.execute("ALTER TABLE ddl.t ADD note text")
    isolated(site, superuser, "ddl.t")


def test_temporary_tables_and_plain_ones_are_left_alone(site: Site, owner: Any, superuser: Any) -> None:
    owner.execute("CREATE TABLE ddl.t (n int)")
    assert superuser("SELECT relrowsecurity FROM pg_class WHERE oid = 'ddl.t'::regclass", site.name) == "f"
