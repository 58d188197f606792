"""Whatever an ORM or the owner does to tables, they are isolated when the statement is through."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tenants import Site, outcome, unbound

pytest_plugins = ["tenants"]
pytestmark = pytest.mark.usefixtures("untouched")


class Owner:
    """The migrator's session, as any ORM's.

    Args:
        site: the database.
        cursor: its cursor, in autocommit mode.
    """

    def __init__(self, site: Site, cursor: Any) -> None:
        self.site, self.cursor = site, cursor

    def execute(self, statement: str) -> None:
        self.cursor.execute(statement)

    def one(self, query: str) -> Any:
        """The first value that a query answers."""
        self.cursor.execute(query)
        return self.cursor.fetchone()[0]

    def insert(self, tenant: Any, table: str = "ddl.t", **values: Any) -> None:
        """Inserts a row of a tenant, as an owner must: in its context."""
        columns = ", ".join([self.site.column, *values])
        row = ", ".join(f"'{value}'" for value in [tenant, *values.values()])
        self.execute(f"BEGIN; {self.site.set_tenant(tenant)}; INSERT INTO {table} ({columns}) VALUES ({row}); COMMIT")

    def opens(self) -> None:
        """Gives the app role every right on what is in schema ddl."""
        self.execute(
            f"GRANT USAGE ON SCHEMA ddl TO {self.site.app}; GRANT ALL ON ALL TABLES IN SCHEMA ddl TO {self.site.app}"
        )


@pytest.fixture
def owner(site: Site) -> Iterator[Owner]:
    """A migrator with a schema `ddl` that goes afterwards."""
    with site.client("direct", site.migrator) as cursor:
        cursor.execute("CREATE SCHEMA ddl; SET search_path = ddl, public")
        yield Owner(site, cursor)
        cursor.execute("ROLLBACK; DROP SCHEMA ddl CASCADE")


def isolated(owner: Owner, rows: int) -> None:
    """Asserts that ddl.t shows tenant a its own `rows` rows, takes none of another's, and shows nothing else."""
    site = owner.site
    owner.opens()
    with site.client() as cursor:
        unbound(cursor, "SELECT * FROM ddl.t")
    with site.tenant(site.a) as cursor:
        cursor.execute(f"SELECT count(*), count(*) FILTER (WHERE {site.column} = '{site.a}') FROM ddl.t")
        assert cursor.fetchone() == (rows, rows)
    with site.client() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(site.set_tenant(site.a))
        state, message = outcome(cursor, f"INSERT INTO ddl.t ({site.column}) VALUES ('{site.b}')")
        cursor.execute("ROLLBACK")
        assert state == "42501" and "row-level security" in message, message


NEW = "CREATE TABLE ddl.t ({column} {type}, n int)"
MADE = {
    "CREATE TABLE": [NEW],
    "CREATE TABLE AS": ["SELECT {set_a}", "CREATE TABLE ddl.t AS SELECT {column}, 1 AS n FROM parents"],
    "SELECT INTO": ["SELECT {set_a}", "SELECT {column}, 1 AS n INTO ddl.t FROM parents"],
    "LIKE": ["CREATE TABLE ddl.t (LIKE parents)"],
    "INHERITS": ["CREATE TABLE ddl.t () INHERITS (parents)"],
    "ADD COLUMN": ["CREATE TABLE ddl.t (n int)", "ALTER TABLE ddl.t ADD COLUMN {column} {type}"],
    "RENAME COLUMN": ["CREATE TABLE ddl.t (x {type})", "ALTER TABLE ddl.t RENAME COLUMN x TO {column}"],
    "CREATE SCHEMA with a table": [
        "CREATE SCHEMA other",
        "ALTER SCHEMA other RENAME TO other2",
        "DROP SCHEMA other2",
        NEW,
    ],
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
    "made an extension's": [
        NEW,
        "CREATE EXTENSION tcn SCHEMA ddl",
        "ALTER EXTENSION tcn ADD TABLE ddl.t",
        "ALTER TABLE ddl.t DISABLE ROW LEVEL SECURITY",
    ],
    "several in one string": [NEW + "; ALTER TABLE ddl.t DISABLE ROW LEVEL SECURITY; CREATE TABLE ddl.v (n int)"],
}


def values(site: Site) -> dict[str, Any]:
    return {
        "column": site.column, "type": site.type, "a": site.a, "b": site.b, "prefix": site.tenancy["policy_prefix"],
        "owner": site.owner, "set_a": site.set_tenant(site.a).removeprefix("SELECT "),
        "set_b": site.set_tenant(site.b).removeprefix("SELECT "), "app": site.app,
        "table": site.tenancy["table"], "key": site.tenancy["key"],
    }  # fmt: skip


@pytest.mark.parametrize("statements", MADE.values(), ids=MADE)
def test_is_isolated_afterwards(site: Site, owner: Owner, statements: list[str]) -> None:
    owner.execute("BEGIN")
    for statement in statements:
        owner.execute(statement.format(**values(site)))
    owner.execute("COMMIT")
    columns = owner.one(
        "SELECT array_agg(attname::text) FROM pg_attribute"
        " WHERE attrelid = 'ddl.t'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    for number, tenant in enumerate((site.a, site.b)):
        owner.insert(tenant, **({"n": 1} if "n" in columns else {}), **({"id": 50 + number} if "id" in columns else {}))
    copied = 3 if statements[0] == "SELECT {set_a}" else 0  # the parents of tenant a
    isolated(owner, 1 + copied)


def test_a_new_tables_column_is_not_null(site: Site, owner: Owner) -> None:
    owner.execute(NEW.format(**values(site)))
    assert owner.one(
        f"SELECT attnotnull FROM pg_attribute WHERE attrelid = 'ddl.t'::regclass AND attname = '{site.column}'"
    )


GRANTED = {
    "ALL": [NEW, "GRANT ALL ON ddl.t TO {app}"],
    "to everybody": [NEW, "GRANT SELECT, TRUNCATE ON ALL TABLES IN SCHEMA ddl TO PUBLIC"],
    "a column": [NEW, "GRANT SELECT, REFERENCES (n) ON ddl.t TO {app}"],
    "by default": ["ALTER DEFAULT PRIVILEGES IN SCHEMA ddl GRANT ALL ON TABLES TO {app}", NEW],
    "before it was a tenant's": ["CREATE TABLE ddl.t (n int)", "GRANT ALL ON ddl.t TO {app}",
                                 "ALTER TABLE ddl.t ADD {column} {type}"],
}  # fmt: skip


@pytest.mark.parametrize("statements", GRANTED.values(), ids=GRANTED)
def test_a_grant_gives_no_right_that_goes_around_policies(
    site: Site, owner: Owner, superuser: Any, statements: list[str]
) -> None:
    for statement in statements:
        owner.execute(statement.format(**values(site)))
    asked = [f"has_any_column_privilege('{site.app}', 'ddl.t', '{right}')" for right in ("SELECT", "REFERENCES")]
    asked += [f"has_table_privilege('{site.app}', 'ddl.t', '{right}')" for right in ("TRUNCATE", "TRIGGER")]
    assert superuser(f"SELECT {', '.join(asked)}", site.name) == "t|f|f|f"


def test_an_applications_own_policy_narrows_what_a_tenant_sees(site: Site, owner: Owner) -> None:
    owner.execute(NEW.format(**values(site)))
    for tenant, n in ((site.a, 1), (site.a, 9), (site.b, 1)):
        owner.insert(tenant, n=n)
    owner.execute("CREATE POLICY small ON ddl.t USING (n < 5)")
    owner.opens()
    for seen, after in (([(1,)], "DROP POLICY small ON ddl.t"), ([(1,), (9,)], "SELECT 1")):
        with site.tenant(site.a) as cursor:
            cursor.execute("SELECT n FROM ddl.t ORDER BY n")
            assert cursor.fetchall() == seen
        owner.execute(after)


@pytest.mark.parametrize("make", [
    "CREATE VIEW ddl.v AS SELECT * FROM parents",
    "CREATE VIEW ddl.v WITH (security_invoker = off) AS SELECT * FROM parents",
    "CREATE VIEW ddl.u AS SELECT * FROM parents; CREATE VIEW ddl.v AS SELECT * FROM ddl.u",
    "CREATE VIEW ddl.v AS SELECT * FROM parents; ALTER VIEW ddl.v SET (security_invoker = off)",
    "CREATE VIEW ddl.v AS SELECT * FROM parents; ALTER VIEW ddl.v RESET (security_invoker)",
    "CREATE OR REPLACE VIEW ddl.v AS SELECT p.* FROM parents p JOIN children c USING (id)",
])  # fmt: skip
def test_a_view_shows_what_its_reader_may_see(site: Site, owner: Owner, make: str) -> None:
    owner.execute(make)
    owner.opens()
    with site.client() as cursor:
        unbound(cursor, "SELECT * FROM ddl.v")
    with site.tenant(site.a) as cursor:
        cursor.execute("SELECT id FROM ddl.v ORDER BY id")
        assert cursor.fetchall() == [(1,), (2,), (3,)]


def test_a_view_over_a_table_that_becomes_a_tenants_is_bound_as_well(site: Site, owner: Owner) -> None:
    owner.execute("CREATE TABLE ddl.t (n int); CREATE VIEW ddl.v AS SELECT n FROM ddl.t")
    owner.execute(f"ALTER TABLE ddl.t ADD {site.column} {site.type}")
    owner.opens()
    with site.client() as cursor:
        unbound(cursor, "SELECT * FROM ddl.v")


BARE = "CREATE TABLE ddl.p (n int)"
READS = (
    "CREATE FUNCTION ddl.f(int DEFAULT 0) RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM public.parents';"
)
U = "CREATE TABLE ddl.u (id bigint PRIMARY KEY, {column} {type} NOT NULL)"
REFUSED = {
    "a materialized view": "CREATE MATERIALIZED VIEW ddl.m AS SELECT 1 FROM parents",
    "one over a view": "CREATE VIEW ddl.v AS TABLE parents; CREATE MATERIALIZED VIEW ddl.m AS TABLE ddl.v WITH NO DATA",
    "a foreign key between tenants": f"{U}; CREATE TABLE ddl.t ({{column}} {{type}}, u bigint REFERENCES ddl.u)",
    "one that is added": f"{U}; CREATE TABLE ddl.t ({{column}} {{type}}, u bigint);"
    " ALTER TABLE ddl.t ADD FOREIGN KEY (u) REFERENCES ddl.u",
    "a reference from a table without tenants": f"{U}; CREATE TABLE ddl.x (u bigint REFERENCES ddl.u)",
    "a column of another type": "CREATE TABLE ddl.t ({column} point)",
    "a materialized view, later by the view under it": "CREATE VIEW ddl.v AS SELECT 1::bigint AS id;"
    " CREATE MATERIALIZED VIEW ddl.m AS TABLE ddl.v; CREATE OR REPLACE VIEW ddl.v AS SELECT id FROM parents",
    "one of a table that becomes a tenant's": "CREATE TABLE ddl.t (n int);"
    " CREATE MATERIALIZED VIEW ddl.m AS TABLE ddl.t; ALTER TABLE ddl.t ADD {column} {type}",
    "one by a function": f"{READS} CREATE MATERIALIZED VIEW ddl.m AS SELECT ddl.f() WITH NO DATA",
    "one by an operator's function": f"{READS} CREATE OPERATOR ddl.! (RIGHTARG = int, FUNCTION = ddl.f);"
    " CREATE VIEW ddl.v AS SELECT OPERATOR(ddl.!) 1 AS n; CREATE MATERIALIZED VIEW ddl.m AS TABLE ddl.v WITH NO DATA",
    "a parent without tenants": f"{BARE}; CREATE TABLE ddl.t ({{column}} {{type}}) INHERITS (ddl.p)",
    "such a parent of one that is there": f"{BARE}; {NEW}; ALTER TABLE ddl.t INHERIT ddl.p",
    "such a parent of one that gets the column": f"{BARE}; CREATE TABLE ddl.t () INHERITS (ddl.p);"
    " ALTER TABLE ddl.t ADD {column} {type}",
    "such a parent of a parent": f"{BARE}; CREATE TABLE ddl.t ({{column}} {{type}}, n int);"
    " CREATE TABLE ddl.u () INHERITS (ddl.t); ALTER TABLE ddl.t INHERIT ddl.p",
    "a parent that loses the column": f"{NEW}; CREATE TABLE ddl.u () INHERITS (ddl.t);"
    " ALTER TABLE ONLY ddl.t DROP COLUMN {column} CASCADE",
    "the loss of the column": f"{NEW}; ALTER TABLE ddl.t DROP COLUMN {{column}} CASCADE",
    "the loss of the column with its type": "CREATE DOMAIN ddl.d AS {type}; CREATE TABLE ddl.t ({column} ddl.d, n int);"
    " DROP DOMAIN ddl.d CASCADE",
    "another column in its place": f"{NEW}; ALTER TABLE ddl.t DROP COLUMN {{column}} CASCADE, ADD {{column}} {{type}}",
    "another name of the column": f"{NEW}; ALTER TABLE ddl.t RENAME {{column}} TO elsewhere",
    "a child of the tenant table": "CREATE TABLE ddl.t () INHERITS ({table})",
    "another name of the tenant table": "ALTER TABLE {table} RENAME TO elsewhere",
    "another name of its key": "ALTER TABLE {table} RENAME {key} TO elsewhere",
    "another schema of it": "ALTER TABLE {table} SET SCHEMA ddl",
    "another name of its schema": "ALTER SCHEMA public RENAME TO elsewhere",
    "a whole that it becomes a part of": "CREATE TABLE ddl.t (LIKE {table}) PARTITION BY LIST ({key});"
    " ALTER TABLE ddl.t ATTACH PARTITION {table} DEFAULT",
}


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_isolated_is_refused(site: Site, owner: Owner, statement: str) -> None:
    owner.execute("BEGIN")
    owner.execute(site.set_tenant(site.a))  # a materialized view reads when it is made
    state, message = outcome(owner.cursor, statement.format(**values(site)))
    owner.execute("ROLLBACK")
    assert state == "42P17", message
    assert owner.one("SELECT count(*) FROM pg_class WHERE relnamespace = 'ddl'::regnamespace") == 0


KEYED = "CREATE TABLE ddl.t ({column} {type} NOT NULL, id bigint, parent bigint)"
KEY = "ALTER TABLE ddl.t ADD FOREIGN KEY ({column}, parent) REFERENCES parents ({column}, id)"


def test_an_orm_adds_a_foreign_key_without_a_tenant(site: Site, owner: Owner) -> None:
    """ALTER TABLE checks it by a query as the owner, which sees nothing; the guard checks it for all tenants."""
    owner.execute(KEYED.format(**values(site)))
    owner.insert(site.a, id=1, parent=1)
    owner.insert(site.b, id=1, parent=101)
    owner.execute("BEGIN")
    owner.execute(KEY.format(**values(site)))
    unbound(owner.cursor, "SELECT * FROM ddl.t")  # what was let by was that one statement
    owner.execute("ROLLBACK")
    owner.execute(KEY.format(**values(site)))
    assert owner.one("SELECT convalidated FROM pg_constraint WHERE conrelid = 'ddl.t'::regclass AND contype = 'f'")
    unbound(owner.cursor, "SELECT * FROM ddl.t")
    owner.execute("BEGIN")
    owner.execute(site.set_tenant(site.a))
    assert outcome(owner.cursor, f"INSERT INTO ddl.t VALUES ('{site.a}', 2, 101)")[0] == "23503"
    owner.execute("ROLLBACK")


@pytest.mark.parametrize("context", [False, True], ids=["without a tenant", "in another tenant's context"])
@pytest.mark.parametrize("later", [False, True], ids=["at once", "validated later"])
def test_a_foreign_key_that_rows_break_is_refused(site: Site, owner: Owner, later: bool, context: bool) -> None:
    owner.execute(KEYED.format(**values(site)))
    owner.insert(site.b, id=1, parent=1)  # there is one, but it is tenant a's
    owner.execute("BEGIN")
    if context:
        owner.execute(site.set_tenant(site.a))
    if later:
        owner.execute(KEY.format(**values(site)).replace("ADD FOREIGN", "ADD CONSTRAINT k FOREIGN") + " NOT VALID")
    last = "ALTER TABLE ddl.t VALIDATE CONSTRAINT k" if later else KEY.format(**values(site))
    assert outcome(owner.cursor, last)[0] == "23503"
    owner.execute("ROLLBACK")


def test_another_change_of_a_table_is_not_refused_for_what_was_there_before(
    site: Site, owner: Owner, superuser: Any
) -> None:
    superuser(
        "SET session_replication_role = replica; CREATE TABLE ddl.u (id bigint PRIMARY KEY, {column} {type});"
        " CREATE TABLE ddl.t ({column} {type}, u bigint REFERENCES ddl.u (id));"
        " ALTER TABLE ddl.u OWNER TO {owner}; ALTER TABLE ddl.t OWNER TO {owner}".format(**values(site)),
        site.name,
    )
    owner.execute("ALTER TABLE ddl.t ADD note text")
    owner.insert(site.a)
    owner.insert(site.b)
    isolated(owner, 1)


def test_what_a_dump_says_of_another_database_is_no_reason_either(site: Site, owner: Owner, superuser: Any) -> None:
    owner.execute("CREATE TABLE ddl.t (n int)")
    superuser(  # as it is restored: tables have other oids, and those that it brings are other tables'
        f"INSERT INTO {site.schema}.isolated_tables"
        " SELECT 'ddl.t'::regclass, 1, replace(declared, tableoid::text, '1')"
        f" FROM {site.schema}.isolated_tables LIMIT 1",
        site.name,
    )
    owner.execute("ALTER TABLE ddl.t ADD note text")
    superuser(f"SELECT {site.schema}.remember(NULL::oid[])", site.name)
    assert superuser(f"SELECT count(*) FROM {site.schema}.isolated_tables WHERE declared LIKE '1 %'", site.name) == "0"


def test_an_index_is_made_whatever_else_is_wrong(site: Site, owner: Owner, superuser: Any) -> None:
    owner.execute(NEW.format(**values(site)))
    superuser(
        "SET session_replication_role = replica; CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
        " CREATE FOREIGN TABLE ddl.f ({column} {type}) SERVER s".format(**values(site)),
        site.name,
    )
    owner.execute("CREATE INDEX i ON ddl.t (n)")
    assert owner.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ddl.i'::regclass")
    superuser("DROP FOREIGN DATA WRAPPER w CASCADE", site.name)


def test_a_table_without_the_column_is_left_alone(site: Site, owner: Owner) -> None:
    owner.execute("CREATE TABLE ddl.t (n int); CREATE TABLE ddl.u () INHERITS (ddl.t); ALTER TABLE ddl.t RENAME n TO m")
    owner.execute("CREATE MATERIALIZED VIEW ddl.m AS SELECT upper('x'), m FROM ddl.t; ALTER TABLE ddl.t ADD o int")
    assert owner.one("SELECT relrowsecurity FROM pg_class WHERE oid = 'ddl.t'::regclass") is False
