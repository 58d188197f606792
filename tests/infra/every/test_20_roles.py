"""What each role can, and for every "can" what it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from conftest import DECLARED, Declared, ask, connect, refused

DENIED = "42501"
MIGRATOR, APP, READONLY = (DECLARED.role(kind) for kind in ("migrator", "app", "readonly"))
DATABASE = APP["database"]
READ_BY = READONLY["endpoints"][-1]
OWNER = next(db["owner"] for db in DECLARED.model["databases"] if db["name"] == DATABASE)
LOGINS = [
    (role, endpoint, database["name"])
    for role in DECLARED.model["roles"]
    if role["login"]
    for database in DECLARED.model["databases"]
    if role["database"] in ("", database["name"])
    for endpoint in ("pooled", "direct")
]


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """A table with a sequence, a view and an identity column, made as an application's migration makes them."""
    statements = (
        "CREATE TABLE thing (id bigserial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, label text)",
        "CREATE VIEW thing_labels AS SELECT label FROM thing",
        "CREATE FUNCTION thing_count() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM thing'",
        "INSERT INTO thing (label) VALUES ('first')",
    )
    for statement in statements:
        ask(MIGRATOR["name"], "direct", DATABASE, statement)
    yield
    for statement in ("DROP FUNCTION thing_count()", "DROP VIEW thing_labels", "DROP TABLE thing"):
        ask(MIGRATOR["name"], "direct", DATABASE, statement)


@pytest.mark.parametrize(
    ("role", "endpoint", "database"), LOGINS, ids=lambda v: v["name"] if isinstance(v, dict) else v
)
def test_logs_in_by_its_declared_urls_alone(role: dict[str, Any], endpoint: str, database: str) -> None:
    if endpoint in role["endpoints"]:
        assert ask(role["name"], endpoint, database, "SELECT session_user::text") == [(role["name"],)]
        with pytest.raises(psycopg2.OperationalError):
            connect(role["name"], endpoint, database, password="not the password")
    else:
        with pytest.raises(psycopg2.OperationalError):
            connect(role["name"], endpoint, database)


def test_no_role_reaches_another_database() -> None:
    names = [database["name"] for database in DECLARED.model["databases"]] + ["postgres", "template1"]
    for role in DECLARED.model["roles"]:
        for endpoint in role["endpoints"]:
            for database in names:
                if role["database"] and database != role["database"]:
                    with pytest.raises(psycopg2.OperationalError):
                        connect(role["name"], endpoint, database)


def test_group_and_owner_roles_never_log_in(superuser: Any) -> None:
    for role in DECLARED.model["roles"]:
        if not role["login"]:
            found = superuser(
                f"SELECT rolcanlogin, rolpassword IS NULL FROM pg_authid WHERE rolname = '{role['name']}'"
            )
            assert found == "f|t"


def test_who_comes_through_the_pooler_alone_has_no_password_in_the_server(superuser: Any) -> None:
    for role in DECLARED.model["roles"]:
        if role["login"]:
            found = superuser(f"SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = '{role['name']}'")
            assert found == ("f" if "direct" in role["endpoints"] else "t")


def test_attributes_and_limits_are_the_declared_ones(superuser: Any) -> None:
    for role in DECLARED.model["roles"]:
        columns = "rolbypassrls, rolcreatedb, rolcreaterole, rolreplication, rolsuper, rolconnlimit"
        until = "coalesce(rolvaliduntil, 'infinity')::date"
        found = superuser(f"SELECT {columns}, {until} FROM pg_roles WHERE rolname = '{role['name']}'").split("|")
        names = ("BYPASSRLS", "CREATEDB", "CREATEROLE", "REPLICATION", "SUPERUSER")
        assert [name for name, has in zip(names, found, strict=False) if has == "t"] == role["attributes"]
        assert found[5:] == [str(role["connection_limit"]), role["valid_until"] or "infinity"]


def test_role_settings_apply_at_login() -> None:
    checked = 0
    for role in DECLARED.model["roles"]:
        for name, value in role["settings"].items():
            if name != "role" and role["endpoints"]:
                endpoint, database = role["endpoints"][0], role["database"] or DATABASE
                assert ask(role["name"], endpoint, database, f"SHOW {name}") == [(value,)]
                checked += 1
    assert checked


def test_memberships_are_the_declared_ones(superuser: Any) -> None:
    for role in DECLARED.model["roles"]:
        found = superuser(
            "SELECT coalesce(string_agg(pg_get_userbyid(roleid), ',' ORDER BY 1), '') FROM pg_auth_members"
            f" WHERE member = '\"{role['name']}\"'::regrole"
        )
        assert found == ",".join(sorted(item["role"] for item in role["memberships"]))
        if DECLARED.version >= 16:
            for item in role["memberships"]:
                options = superuser(
                    "SELECT admin_option, inherit_option, set_option FROM pg_auth_members"
                    f" WHERE member = '\"{role['name']}\"'::regrole AND roleid = '\"{item['role']}\"'::regrole"
                )
                assert options == "|".join("t" if item[key] else "f" for key in ("admin", "inherit", "set"))


def test_the_migrator_acts_as_the_owner_and_is_nobody_without_it() -> None:
    name = MIGRATOR["name"]
    assert ask(name, "direct", DATABASE, "SELECT current_user::text, session_user::text") == [(OWNER, name)]
    owners = ask(name, "direct", DATABASE, "SELECT tableowner FROM pg_tables WHERE tablename = 'thing'")
    assert owners == [(OWNER,)]
    with closing(connect(name, "direct", DATABASE)) as connection, connection.cursor() as cursor:
        cursor.execute("RESET ROLE; SET ROLE NONE")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("CREATE TABLE mine ()")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("SELECT * FROM thing")


def test_the_app_works_with_rows_of_a_table_it_was_never_granted_by_hand() -> None:
    name = APP["name"]
    assert ask(name, "pooled", DATABASE, "INSERT INTO thing (label) VALUES ('app') RETURNING label") == [("app",)]
    assert ask(name, "pooled", DATABASE, "UPDATE thing SET label = 'App' WHERE label = 'app' RETURNING label") == [
        ("App",)
    ]
    assert ask(name, "pooled", DATABASE, "SELECT count(*) FROM thing_labels") == [(2,)]
    assert ask(name, "pooled", DATABASE, "SELECT thing_count()") == [(2,)]
    assert ask(name, "pooled", DATABASE, "DELETE FROM thing WHERE label = 'App' RETURNING label") == [("App",)]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE t ()",
        "CREATE TEMP TABLE t ()",
        "CREATE SCHEMA s",
        "CREATE ROLE r",
        "CREATE DATABASE d",
        "CREATE FUNCTION public.md5(varchar) RETURNS text LANGUAGE sql AS 'SELECT NULL'",
        "CREATE EXTENSION hstore",
        "TRUNCATE thing",
        "DROP TABLE thing",
        "ALTER TABLE thing ADD COLUMN x int",
        "CREATE TRIGGER t BEFORE INSERT ON thing EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE INDEX ON thing (label)",
        f'SET ROLE "{OWNER}"',
        "SET ROLE postgres",
        "SELECT * FROM pg_authid",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY thing TO '/tmp/x'",
        "SELECT last_value FROM thing_id_seq",
        "SELECT setval('thing_id_seq', 1)",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "SELECT pg_reload_conf()",
    ],
)
def test_the_app_is_denied(statement: str) -> None:
    assert refused(APP["name"], "pooled", DATABASE, statement) == DENIED


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO thing (label) VALUES ('x')",
        "UPDATE thing SET label = 'x'",
        "DELETE FROM thing",
        "CREATE TABLE t ()",
        "CREATE TEMP TABLE t ()",
        "TRUNCATE thing",
        "SELECT nextval('thing_id_seq')",
        f'SET ROLE "{OWNER}"',
    ],
)
def test_the_readonly_role_is_denied_even_in_a_writing_transaction(statement: str) -> None:
    with closing(connect(READONLY["name"], READ_BY, DATABASE)) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN READ WRITE")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(statement)


def test_the_readonly_role_reads_every_table_and_starts_read_only() -> None:
    assert ask(READONLY["name"], READ_BY, DATABASE, "SELECT label FROM thing ORDER BY id LIMIT 1") == [("first",)]
    assert refused(READONLY["name"], READ_BY, DATABASE, "INSERT INTO thing (label) VALUES ('x')") == "25006"


def test_custom_rights_are_exactly_the_declared_ones(superuser: Any, declared: Declared) -> None:
    kinds = {"tables": "TABLE", "sequences": "SEQUENCE", "functions": "FUNCTION"}
    for role in declared.model["roles"]:
        for item in role["privileges"]:
            found = superuser(
                "SELECT coalesce(string_agg(DISTINCT a.privilege_type, ',' ORDER BY a.privilege_type), '')"
                " FROM pg_default_acl AS d, aclexplode(d.defaclacl) AS a"
                f" WHERE d.defaclnamespace = '\"{item['schema']}\"'::regnamespace"
                f" AND a.grantee = '\"{role['name']}\"'::regrole",
                role["database"],
            )
            assert found == ",".join(sorted({right for key in kinds for right in item[key]}))
            usage = f"SELECT has_schema_privilege('{role['name']}', '{item['schema']}', 'USAGE')"
            assert superuser(usage, role["database"]) == "t"


def test_declared_roles_own_nothing_but_through_the_owner_role(superuser: Any) -> None:
    for role in DECLARED.model["roles"]:
        if role["login"] and role["database"]:
            owned = f"SELECT count(*) FROM pg_shdepend WHERE refobjid = '\"{role['name']}\"'::regrole AND deptype = 'o'"
            assert superuser(owned, role["database"]) == "0"
