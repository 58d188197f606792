"""Rights that nobody declared: PUBLIC has none to write with, and what was given by hand is seen and taken away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from conftest import DECLARED, ask, connect, refused

from ansible_collections.pgstead.platform.plugins.module_utils import login

DENIED = "42501"
MIGRATOR, APP, READONLY = (DECLARED.role(kind) for kind in ("migrator", "app", "readonly"))
DATABASE = APP["database"]
READ_BY = READONLY["endpoints"][-1]
OWNER = next(db["owner"] for db in DECLARED.model["databases"] if db["name"] == DATABASE)


def migrate(*statements: str) -> None:
    with closing(connect(MIGRATOR["name"], "direct", DATABASE)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture(scope="module", autouse=True)
def stock() -> Iterator[None]:
    """A table, a function that deletes its rows with the owner's rights, and a view that calls a function."""
    migrate(
        "CREATE TABLE stock (id int PRIMARY KEY)",
        "INSERT INTO stock VALUES (1)",
        "CREATE FUNCTION stock_clear() RETURNS void SECURITY DEFINER LANGUAGE sql AS 'DELETE FROM public.stock'",
        "CREATE FUNCTION stock_twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1'",
        "CREATE VIEW stock_doubled AS SELECT stock_twice(id) AS id FROM stock",
    )
    yield
    migrate("DROP VIEW stock_doubled", "DROP FUNCTION stock_twice(int), stock_clear()", "DROP TABLE stock")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT stock_clear()",
        "SELECT stock_twice(1)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT lo_creat(-1)",
        "SELECT lo_create(0)",
        "SELECT lo_unlink(1)",
        "SELECT lo_put(1, 0, 'x')",
        "SELECT lo_import('/etc/passwd')",
        *["SELECT pg_logical_emit_message(false, 'x', 'y')"] * (DECLARED.version >= 17),
    ],
)
def test_the_readonly_role_executes_nothing_that_writes(statement: str) -> None:
    with closing(connect(READONLY["name"], READ_BY, DATABASE)) as connection:
        assert login.refusal(connection, statement) == DENIED


@pytest.mark.parametrize(
    "role",
    [r for r in DECLARED.model["roles"] if r["endpoints"] and r["database"] in ("", DATABASE)],
    ids=lambda role: role["name"],
)
def test_every_role_executes_what_it_declares(role: dict[str, Any]) -> None:
    declares = any(item["schema"] == "public" and item["functions"] for item in role["privileges"])
    attempts = {
        "SELECT public.stock_twice(1)": declares or role["kind"] == "migrator",
        "SELECT lo_unlink(lo_create(0))": role["writers"] or role["kind"] == "migrator",
    }
    for statement, may in attempts.items():
        if may:
            assert len(ask(role["name"], role["endpoints"][0], DATABASE, statement)) == 1
        else:
            with closing(connect(role["name"], role["endpoints"][0], DATABASE)) as connection:
                assert login.refusal(connection, statement) == DENIED


def test_the_readonly_role_calculates_with_functions_of_postgresql_and_of_extensions() -> None:
    assert ask(READONLY["name"], READ_BY, DATABASE, "SELECT lower('A'), '[1,0]'::vector <=> '[0,1]'") == [("a", 1.0)]


def test_the_app_executes_the_owners_functions_and_keeps_large_objects() -> None:
    name = APP["name"]
    assert ask(name, "pooled", DATABASE, "SELECT id FROM stock_doubled") == [(2,)]
    ((number,),) = ask(name, "pooled", DATABASE, "SELECT lo_from_bytea(0, 'x')")
    assert ask(name, "pooled", DATABASE, f"SELECT lo_unlink({number})") == [(1,)]
    assert refused(name, "pooled", DATABASE, "SELECT lo_import('/etc/passwd')") == DENIED


def test_the_owner_restores_a_dump_of_its_database(superuser: Any, node: Any) -> None:
    """A dump carries the rights on PostgreSQL's own functions: whoever restores it must not fail over them."""
    superuser(f'CREATE DATABASE restored OWNER "{OWNER}" TEMPLATE template0')
    socket = f"-h /var/run/postgresql -p {DECLARED.ports['direct']}"
    script = f"""set -e; cd /tmp; pg_dump {socket} -N pgbouncer -Fc -f restored.dump '{DATABASE}'
        pg_restore -l restored.dump | grep -v ' EXTENSION ' > restored.list; grep -q ' FUNCTION lo_creat' restored.list
        pg_restore -e {socket} --role='{OWNER}' -L restored.list -d restored restored.dump
        rm restored.dump restored.list"""
    try:
        done = node.run("runuser -u postgres -- sh -c %s", script)
        assert done.rc == 0, done.stderr
        assert superuser("SELECT count(*) FROM stock", "restored") == "1"
    finally:
        superuser("DROP DATABASE restored")
