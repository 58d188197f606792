"""Nothing that an owner can define is evaluated with a superuser's rights: by the guard, or by any verb of pgstead."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import DECLARED, INVENTORY, deploy, pgstead
from tenants import SITES, Site, outcome

pytest_plugins = ["tenants"]

# Whoever evaluates this is written down in the server's log, also where the transaction is rolled back or may not
# write; and whether that was a superuser, or could become one.
SPY = """
    CREATE SCHEMA spy;
    GRANT USAGE ON SCHEMA spy TO PUBLIC;
    CREATE FUNCTION spy.look() RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE
      before CONSTANT text := pg_catalog.current_setting('role');
    BEGIN
      BEGIN
        SET ROLE NONE;
      EXCEPTION WHEN OTHERS THEN
        NULL;
      END;
      IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) current_user) THEN
        RAISE LOG 'spied in % as a superuser', pg_catalog.current_database();
      ELSE
        RAISE LOG 'spied in % as nobody', pg_catalog.current_database();
      END IF;
      BEGIN
        PERFORM pg_catalog.set_config('role', before, false);
      EXCEPTION WHEN OTHERS THEN
        NULL;
      END;
      RETURN true;
    END $$;
    GRANT EXECUTE ON FUNCTION spy.look() TO PUBLIC;
"""
# Functions and operators that are found instead of the server's own where public comes first.
IMPOSTORS = """
    CREATE FUNCTION public.quote_ident(name) RETURNS text LANGUAGE plpgsql AS
      $$ BEGIN PERFORM spy.look(); RETURN pg_catalog.quote_ident($1::text); END $$;
    CREATE FUNCTION public.quote_ident(text) RETURNS text LANGUAGE plpgsql AS
      $$ BEGIN PERFORM spy.look(); RETURN pg_catalog.quote_ident($1); END $$;
    CREATE FUNCTION public.format(text, text) RETURNS text LANGUAGE plpgsql AS
      $$ BEGIN PERFORM spy.look(); RETURN pg_catalog.format($1, $2); END $$;
    CREATE FUNCTION public.format(text, name, name) RETURNS text LANGUAGE plpgsql AS
      $$ BEGIN PERFORM spy.look(); RETURN pg_catalog.format($1, $2, $3); END $$;
    CREATE FUNCTION public.to_regproc(text) RETURNS regproc LANGUAGE plpgsql AS
      $$ BEGIN PERFORM spy.look(); RETURN pg_catalog.to_regproc($1); END $$;
    CREATE FUNCTION public.pg_get_userbyid(oid) RETURNS name LANGUAGE plpgsql AS
      $$ BEGIN PERFORM spy.look(); RETURN pg_catalog.pg_get_userbyid($1); END $$;
    CREATE FUNCTION public.same(name, name) RETURNS boolean LANGUAGE plpgsql AS
      $$ BEGIN PERFORM spy.look(); RETURN $1 OPERATOR(pg_catalog.=) $2; END $$;
    CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = name, PROCEDURE = public.same);
    CREATE FUNCTION public.same(oid, oid) RETURNS boolean LANGUAGE plpgsql AS
      $$ BEGIN PERFORM spy.look(); RETURN $1 OPERATOR(pg_catalog.=) $2; END $$;
    CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = oid, PROCEDURE = public.same);
    CREATE VIEW public.pg_roles AS SELECT r.*, spy.look() FROM pg_catalog.pg_roles AS r;
"""
# A foreign key over a type that is compared by a cast of its owner's, and a parent that is looked up by it.
KEY = """
    CREATE TYPE spy.k AS ENUM ('x');
    CREATE FUNCTION spy.as_text(spy.k) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM spy.look(); RETURN 'x'; END $$;
    CREATE CAST (spy.k AS text) WITH FUNCTION spy.as_text(spy.k) AS IMPLICIT;
    CREATE TABLE spy.p (id text PRIMARY KEY);
    CREATE TABLE spy.c (id spy.k);
    INSERT INTO spy.p VALUES ('x');
    INSERT INTO spy.c VALUES ('x');
"""
# What a planner, or a statement that looks through a table, evaluates of it.
TABLE = """
    CREATE TABLE spy.t ({column} {type}, n int DEFAULT (spy.look())::int, CHECK (spy.quiet(1)));
    CREATE INDEX ON spy.t (n) WHERE spy.quiet(2);
    CREATE INDEX ON spy.t ((spy.quiet(3)));
    CREATE STATISTICS spy.s ON (spy.quiet(4)), n FROM spy.t;
    ALTER TABLE spy.t ALTER {column} DROP NOT NULL;
    CREATE TABLE spy.parted ({column} {type}, n int) PARTITION BY HASH (n);
    CREATE TABLE spy.part PARTITION OF spy.parted (CHECK (spy.quiet(7))) FOR VALUES WITH (MODULUS 1, REMAINDER 0);
    ALTER TABLE spy.parted ALTER {column} DROP NOT NULL;
    ALTER TABLE sqitch.changes RENAME TO kept;
    CREATE VIEW sqitch.changes AS SELECT * FROM sqitch.kept WHERE spy.look();
    CREATE FUNCTION spy.note() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM spy.look(); RETURN NEW; END $$;
    CREATE TRIGGER spied BEFORE INSERT ON {tenants} FOR EACH ROW EXECUTE FUNCTION spy.note();
    CREATE CONSTRAINT TRIGGER spied_late AFTER INSERT ON {tenants} DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION spy.note();
    DO $$
    DECLARE
      one record;
    BEGIN
      FOR one IN SELECT name FROM {schema}.tenant_tables WHERE kind = 'r' AND name !~ '^spy' LOOP
        EXECUTE pg_catalog.format('CREATE INDEX ON %s ((spy.quiet(5)))', one.name);
        EXECUTE pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT spied CHECK (spy.quiet(6))', one.name);
      END LOOP;
    END $$;
"""
QUIET = """
    CREATE FUNCTION spy.quiet(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
      $$ BEGIN PERFORM spy.look(); RETURN true; END $$;
"""

Counts = Callable[[Site], tuple[int, int]]


@pytest.fixture
def spied(node: Any, superuser: Any) -> Iterator[Counts]:
    """Databases whose migrator has planted a spy; how often it ran, and how often as a superuser."""
    log = f"/var/log/postgresql/postgresql-{DECLARED.instance}.log"
    begin = int(node.check_output("stat -c %%s %s", log))

    def counts(one: Site) -> tuple[int, int]:
        lines = node.run("tail -c +%s %s | grep -F %s", str(begin + 1), log, f"LOG:  spied in {one.name} as ")
        found = lines.stdout.splitlines()
        return len(found), sum(line.endswith("superuser") for line in found)

    for one in SITES:
        with one.client("direct", one.migrator) as cursor:
            cursor.execute(SPY + QUIET)
    yield counts
    for one in SITES:
        superuser(f"ALTER DATABASE {one.name} RESET ALL", one.name)
        superuser(
            "SET client_min_messages = error; SET session_replication_role = replica; DROP SCHEMA spy CASCADE;"
            f"DELETE FROM {one.tenancy['namespace']}.{one.tenancy['table']} WHERE name = 'made by a spy'",
            one.name,
        )


@pytest.mark.parametrize("one", SITES, ids=[site.name for site in SITES])
def test_a_foreign_key_is_checked_without_a_superusers_rights(one: Site, spied: Counts, superuser: Any) -> None:
    with one.client("direct", one.migrator) as cursor:
        cursor.execute(KEY)
        cursor.execute("ALTER TABLE spy.c ADD FOREIGN KEY (id) REFERENCES spy.p (id)")
        ran, high = spied(one)
        assert ran > 0
        assert high == 0
        # The check itself is there all the same.
        cursor.execute("ALTER TABLE spy.c DROP CONSTRAINT c_id_fkey; DELETE FROM spy.p")
        assert outcome(cursor, "ALTER TABLE spy.c ADD FOREIGN KEY (id) REFERENCES spy.p (id)")[0] == "23503"
    assert superuser(f"SELECT rolsuper FROM pg_roles WHERE rolname = '{one.migrator}'") == "f"
    assert spied(one)[1] == 0


@pytest.mark.parametrize("one", SITES, ids=[site.name for site in SITES])
def test_the_guards_own_role_is_out_of_reach(one: Site, superuser: Any) -> None:
    role = f"pgstead_guard_{one.name}"
    asked = f"SELECT rolcanlogin, rolsuper, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = '{role}'"
    assert superuser(asked) == "f|f|f|t"
    for name in (one.migrator, one.app):
        with one.client("direct", name) as cursor:
            assert outcome(cursor, f"SET ROLE {role}")[0] == "42501"
            assert outcome(cursor, f"ALTER FUNCTION {one.schema}.refers_to_none(oid) SECURITY INVOKER")[0] == "42501"
    with one.client("direct", one.app) as cursor:
        assert outcome(cursor, f"SELECT {one.schema}.refers_to_none(1)")[0] == "42501"


@pytest.mark.parametrize("one", SITES, ids=[site.name for site in SITES])
def test_a_name_of_pgsteads_that_is_the_owners_is_refused(one: Site) -> None:
    with one.client("direct", one.migrator) as cursor:
        cursor.execute(f"CREATE FUNCTION {one.schema}.protect(relation int) RETURNS void LANGUAGE sql AS ''")
        try:
            done = deploy("--check", check=False)
        finally:
            cursor.execute(f"DROP FUNCTION {one.schema}.protect(int)")
    assert done.returncode != 0
    assert f"{one.schema}.protect(integer) belongs to {one.owner}, and its name is one of pgstead's" in done.stderr


@pytest.mark.parametrize("one", SITES, ids=[site.name for site in SITES])
def test_the_guard_takes_no_function_of_an_owners_for_its_own(one: Site, spied: Counts, superuser: Any) -> None:
    with one.client("direct", one.migrator) as cursor:
        cursor.execute(f"""
            CREATE TABLE spy.gone ({one.column} {one.type});
            CREATE FUNCTION {one.schema}.remember(text) RETURNS void LANGUAGE sql AS 'SELECT spy.look()'
        """)
        try:
            superuser("DROP TABLE spy.gone", one.name)
        finally:
            cursor.execute(f"DROP FUNCTION {one.schema}.remember(text)")
    assert spied(one) == (0, 0)


@pytest.mark.parametrize("one", SITES, ids=[site.name for site in SITES])
def test_what_the_guards_role_was_made_to_leave_behind_is_told(one: Site, superuser: Any) -> None:
    superuser(
        f"SET ROLE pgstead_guard_{one.name}; CREATE SCHEMA door; COMMENT ON SCHEMA door IS 'pgstead: nothing to see';"
        "CREATE FUNCTION door.rows() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        one.name,
    )
    try:
        told = superuser(f"SELECT object FROM {one.schema}.isolation_problems() WHERE kind = 'function'", one.name)
        assert told == "door.rows()"
    finally:
        superuser("DROP SCHEMA door CASCADE", one.name)


@pytest.mark.parametrize("one", SITES, ids=[site.name for site in SITES])
def test_a_parents_key_cannot_leave_children_alone(one: Site, spied: Counts) -> None:
    tenant = one.new_tenant()
    with one.client("direct", one.migrator) as cursor:
        cursor.execute(f"""
            CREATE TABLE spy.p ({one.column} {one.type}, id int, PRIMARY KEY ({one.column}, id));
            CREATE TABLE spy.c ({one.column} {one.type}, p int, FOREIGN KEY ({one.column}, p) REFERENCES spy.p);
            BEGIN;
            {one.set_tenant(tenant)};
            INSERT INTO spy.p VALUES ('{tenant}', 1);
            INSERT INTO spy.c VALUES ('{tenant}', 1);
            COMMIT
        """)
        assert outcome(cursor, "ALTER TABLE spy.p ALTER id TYPE bigint USING id + 1000")[0] == "23503"
        assert outcome(cursor, "ALTER TABLE spy.p ALTER id TYPE bigint")[0] == ""


@pytest.mark.parametrize("one", SITES, ids=[site.name for site in SITES])
def test_a_table_of_a_type_is_isolated_when_the_type_gets_the_tenant(one: Site, spied: Counts, superuser: Any) -> None:
    with one.client("direct", one.migrator) as cursor:
        cursor.execute("CREATE TYPE spy.row AS (n int); CREATE TABLE spy.typed OF spy.row")
        cursor.execute(f"ALTER TYPE spy.row ADD ATTRIBUTE {one.column} {one.type} CASCADE")
        assert outcome(cursor, "SELECT FROM spy.typed")[0] == "42501"


def test_another_role_that_may_create_tables_does(superuser: Any) -> None:
    one = SITES[0]
    superuser("CREATE ROLE maker; CREATE SCHEMA made AUTHORIZATION maker", one.name)
    try:
        deploy()
        superuser(
            "SET ROLE maker; CREATE TABLE made.p (id int PRIMARY KEY); CREATE TABLE made.c (p int);"
            f"ALTER TABLE made.c ADD FOREIGN KEY (p) REFERENCES made.p; CREATE TABLE made.t ({one.column} {one.type})",
            one.name,
        )
        assert superuser("SELECT relforcerowsecurity FROM pg_class WHERE oid = 'made.t'::regclass", one.name) == "t"
    finally:
        superuser("DROP SCHEMA made CASCADE; DROP OWNED BY maker; DROP ROLE maker", one.name)


@pytest.mark.parametrize("one", SITES, ids=[site.name for site in SITES])
def test_an_owner_cannot_pretend_to_be_altering(one: Site, spied: Counts) -> None:
    forged = (
        "SET pgstead.altering = 'x'",
        f"SET {one.setting} = 'altering_'",
        "SET backtrace_functions = 'altering_'",
        "SELECT set_config('backtrace_functions', 'altering_', true)",
        f"SELECT {one.schema}.altering()",
    )
    with one.client("direct", one.migrator) as cursor:
        cursor.execute(f"CREATE TABLE spy.own ({one.column} {one.type})")
        for statement in forged:
            cursor.execute("BEGIN")
            refused, _ = outcome(cursor, statement)
            if refused:
                cursor.execute("ROLLBACK; BEGIN")
            assert outcome(cursor, "SELECT FROM spy.own")[0] == "42501", statement
            cursor.execute("ROLLBACK")


def test_every_verb_keeps_an_owners_code_from_superusers(spied: Counts, superuser: Any) -> None:
    for one in SITES:
        tenants = f"{one.tenancy['namespace']}.{one.tenancy['table']}"
        with one.client("direct", one.migrator) as cursor:
            cursor.execute(IMPOSTORS)
            cursor.execute(TABLE.format(column=one.column, type=one.type, schema=one.schema, tenants=tenants))
            cursor.execute(f"ALTER DATABASE {one.name} SET search_path = public, pg_catalog")
            cursor.execute(f"ALTER DATABASE {one.name} SET role = '{one.owner}'")
    try:
        assert all(spied(one)[0] for one in SITES)  # tried by their maker
        deploy()
        verified = pgstead("verify", "-i", str(INVENTORY), "--json", check=False)
        assert len(json.loads(verified.stdout)["hosts"]["db1"]["lines"]) > 50
        pgstead("tune", "vectors", "-i", str(INVENTORY))
        for one in SITES:
            which = ("-i", str(INVENTORY), "--database", one.name)
            ran = spied(one)[0]
            key = ("--key", one.new_tenant()) if one.key else ()  # with tokens, and no key that the table makes
            new = pgstead("tenant", "add", *which, *key, "--set", "name=made by a spy").stdout.strip()
            assert spied(one)[0] >= ran + 2  # both triggers
            assert new in pgstead("tenant", "list", *which).stderr
            pgstead("tenant", "show", new, *which)
        assert [one.name for one in SITES if spied(one)[1]] == []
    finally:
        for one in SITES:
            with one.client("direct", one.migrator) as cursor:
                cursor.execute(f"ALTER DATABASE {one.name} RESET search_path; ALTER DATABASE {one.name} RESET role")
                cursor.execute("""
                    SET search_path = pg_catalog;
                    DROP VIEW sqitch.changes;
                    ALTER TABLE sqitch.kept RENAME TO changes;
                    DROP VIEW public.pg_roles;
                    DROP OPERATOR public.= (name, name), public.= (oid, oid);
                    DROP FUNCTION public.quote_ident(name), public.quote_ident(text), public.format(text, text),
                      public.format(text, name, name), public.to_regproc(text), public.pg_get_userbyid(oid),
                      public.same(name, name), public.same(oid, oid)
                """)
