"""Tenancy declared for a database that is full of data: what is in the way is said first, the rest is done in steps."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from conftest import DECLARED, connect, playbook

pytest_plugins = ["tenants"]

TENANCY = {"table": "shops", "column": "shop_id", "type": "integer"}
PASSWORDS = {"secret": "autolytiq_app"}  # the vault's; these roles live for the length of a test
A, B = 1, 2


def deploy(verb: str = "site", more: dict[str, Any] | None = None, **database: Any) -> dict[str, Any]:
    """A deploy of the declared databases and of `adopted`, with something more said of it; or another playbook."""
    adopted = {"name": "adopted", "pool": {"size": 2, "reserve": 0}, "roles": [
        {"name": "adopted_app"} | PASSWORDS, {"name": "adopted_migrator", "kind": "migrator"} | PASSWORDS]}  # fmt: skip
    databases = [*DECLARED.variables["databases"], adopted | database]
    said = {"databases": databases, "tenancy_lock_timeout": 1, "tenancy_lock_attempts": 1} | (more or {})
    return playbook(verb, "-e", json.dumps(said))


def session(role: str) -> Any:
    return closing(connect(role, "direct" if role == "adopted_migrator" else "pooled", "adopted",
                           DECLARED.secrets["autolytiq_app"]))  # fmt: skip


@pytest.fixture(scope="module")
def database(superuser: Any) -> Iterator[None]:
    """A database as an application without tenancy filled it: two shops, and what is wrong with their goods."""
    assert deploy()["rc"] == 0
    with session("adopted_migrator") as connection, connection.cursor() as cursor:
        cursor.execute(f"""
            CREATE TABLE shops (id integer PRIMARY KEY, name text);
            CREATE TABLE goods (id bigint PRIMARY KEY, shop_id integer REFERENCES shops (id), label text);
            CREATE TABLE notes (id bigint PRIMARY KEY, shop_id text);
            CREATE TABLE countries (code text PRIMARY KEY);
            CREATE TABLE restored (shop_id integer);
            CREATE VIEW labels AS SELECT label FROM goods;
            INSERT INTO shops VALUES ({A}, 'a'), ({B}, 'b');
            INSERT INTO goods SELECT i, CASE i % 2 WHEN 0 THEN {A} ELSE {B} END, 'g'
              FROM generate_series(1, 20000) AS i;
            INSERT INTO goods VALUES (0, NULL, 'of nobody');
            INSERT INTO notes VALUES (1, '{A}');
            INSERT INTO restored VALUES ({A}), (NULL);
        """)
    superuser("ALTER TABLE restored OWNER TO postgres", "adopted")
    yield
    assert playbook("site")["rc"] == 0
    superuser("DROP DATABASE adopted WITH (FORCE)")
    superuser("DROP ROLE adopted_app, adopted_migrator, adopted_owner, pgstead_guard_adopted")


def isolated(superuser: Any) -> str:
    query = (
        "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relrowsecurity AND relforcerowsecurity"
    )
    return str(superuser(query, "adopted"))


@pytest.mark.usefixtures("database")
def test_everything_in_the_way_is_listed_and_nothing_changed(superuser: Any) -> None:
    done = deploy(tenancy=TENANCY)
    assert done["rc"] != 0
    assert "column shop_id of public.notes is text, declared is integer" in done["stdout"]
    for table in ("goods", "restored"):
        assert f"1 rows of public.{table} have no shop_id" in done["stdout"]
    assert isolated(superuser) == ""
    assert superuser("SELECT to_regnamespace('app') IS NULL", "adopted") == "t"


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("ask", "said"), [("verify", "are isolated: no schema app"), ("tenant", "isolates no tenants")]
)
def test_what_an_owner_put_in_place_of_pgsteads_own_is_not_run(superuser: Any, ask: str, said: str) -> None:
    with session("adopted_migrator") as connection, connection.cursor() as cursor:
        cursor.execute("""
            CREATE SCHEMA app; CREATE SEQUENCE app.ran;
            CREATE FUNCTION app.isolation_problems(oid[]) RETURNS TABLE (kind text, object text, problem text)
              LANGUAGE sql AS $$ SELECT nextval('app.ran')::text, '', '' $$;
            CREATE VIEW app.tenant_tables AS SELECT 0::oid AS relation, 'r' AS kind, false AS partition, true AS fits,
              nextval('app.ran')::text AS name, 'shop_id' AS "column";
        """)
        try:
            chosen = {"tenant_action": "show", "tenant_database": "adopted", "tenant_key": "1"}
            done = deploy(ask, chosen, tenancy=TENANCY)
            assert done["rc"] != 0 and said in done["stdout"], done["stdout"]
            cursor.execute("SELECT is_called FROM app.ran")
            assert cursor.fetchone() == (False,)
        finally:
            cursor.execute("DROP SCHEMA app CASCADE")


@pytest.mark.usefixtures("database")
def test_a_table_that_is_not_there_is_said(superuser: Any) -> None:
    done = deploy(tenancy=TENANCY | {"table": "shop"})
    assert (
        done["rc"] != 0
        and "there is no table public.shop" in done["stdout"]
        and "did you mean shops?" in done["stdout"]
    )
    assert isolated(superuser) == ""


@pytest.mark.usefixtures("database")
def test_a_table_in_use_stops_nobody_for_long_and_a_later_deploy_goes_on(superuser: Any) -> None:
    with session("adopted_migrator") as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM goods WHERE shop_id IS NULL; DROP TABLE notes")
    superuser("DROP TABLE restored", "adopted")
    with session("adopted_app") as reader, reader.cursor() as cursor:
        cursor.execute("BEGIN; SELECT count(*) FROM goods")
        done = deploy(tenancy=TENANCY)
        assert done["rc"] != 0
        assert "isolate public.goods" in done["stdout"] and "a later deploy goes on here" in done["stdout"]
        cursor.execute("SELECT count(*) FROM goods")  # who was there first goes on as before
        assert cursor.fetchone()[0] == 20000
        cursor.execute("ROLLBACK")
    assert "goods" not in isolated(superuser)
    done = deploy(tenancy=TENANCY)
    assert done["rc"] == 0, done["stdout"]
    for step in ("isolate public.goods", "NOT NULL for"):
        assert step in done["stdout"], step
    assert "public.goods no index leads with shop_id" in done["stdout"]
    assert isolated(superuser) == "goods shops"
    with session("adopted_app") as connection, connection.cursor() as cursor:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="tenant context is not set"):
            cursor.execute("SELECT * FROM labels")
        cursor.execute(f"BEGIN; SELECT app.set_tenant({A})")
        cursor.execute(
            "SELECT (SELECT count(*) FROM goods), (SELECT count(*) FROM labels), (SELECT max(name) FROM shops)"
        )
        assert cursor.fetchone() == (10000, 10000, "a")
        cursor.execute("COMMIT")


@pytest.mark.usefixtures("database")
def test_indexes_are_made_on_request_and_then_there_is_nothing_left_to_do(superuser: Any) -> None:
    wanted = TENANCY | {"indexes": "create"}
    assert deploy(tenancy=wanted)["changed"] == 1
    assert (
        superuser("SELECT count(*) FROM pg_index WHERE indrelid = 'goods'::regclass AND indisvalid", "adopted") == "2"
    )
    assert deploy(tenancy=wanted)["changed"] == 0


@pytest.mark.usefixtures("database")
def test_what_the_guard_would_refuse_is_let_by_with_a_warning_where_that_is_declared() -> None:
    made = "CREATE TABLE tags (shop_id integer, goods bigint REFERENCES goods)"
    with session("adopted_migrator") as connection, connection.cursor() as cursor:
        with pytest.raises(psycopg2.errors.InvalidObjectDefinition, match="does not carry the tenant"):
            cursor.execute(made)
        assert deploy(tenancy=TENANCY | {"indexes": "create", "guard": "report"})["rc"] == 0
        cursor.execute(made)
        assert "does not carry the tenant" in connection.notices[-1]
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):  # what can be isolated is, all the same
            cursor.execute("SELECT * FROM tags")
        cursor.execute(f"BEGIN; SELECT app.set_tenant({A}); INSERT INTO tags VALUES ({A}); COMMIT")
        cursor.execute("ALTER TABLE tags DROP COLUMN shop_id CASCADE")
        assert "was isolated by a column that it no longer has" in "".join(connection.notices)
        cursor.execute("SELECT * FROM tags")
        assert cursor.fetchall() == []
